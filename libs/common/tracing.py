"""Traces, where somebody collects them: one from a request through every message to the carrier's answer.

Off unless OpenTelemetry's own variable `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says
where to; else its SDK is not even imported, and every span is one object that does nothing. What is
traced is in docs/tracing.md. There are no attributes but those named here: ids, counts and names of things, never a
phone number, a name or a text, and never the message of an error, which may hold one.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict, Unpack

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: The header of a message, and of a request: https://www.w3.org/TR/trace-context/#traceparent-header.
HEADER = "traceparent"

Kind = Literal["internal", "server", "client", "producer", "consumer"]


class Attributes(TypedDict, total=False):
    """What a span may say. None is left out."""

    broadcast_id: int | None
    batch_id: str
    #: The row of `outgoing_messages`.
    text_id: int
    attempt: int
    #: What came of it, in one of our words.
    outcome: str
    #: The carrier's code, where there is one.
    code: str | None
    #: Texts, slots or entries of a log.
    count: int
    #: Seconds.
    delay: float
    carrier: str
    correlation_id: str
    message_id: str
    #: The message's type, such as `SendBatch`.
    message: str
    #: A queue or an exchange.
    destination: str
    method: str
    #: The route's template: a path may hold what is personal.
    route: str
    status: int
    host: str | None


#: The names by which a collector sees them; those without a prefix of ours are OpenTelemetry's semantic conventions.
NAMES = {
    "broadcast_id": "broadsheet.broadcast_id",
    "batch_id": "broadsheet.batch_id",
    "text_id": "broadsheet.text_id",
    "attempt": "broadsheet.attempt",
    "outcome": "broadsheet.outcome",
    "code": "broadsheet.code",
    "count": "broadsheet.count",
    "delay": "broadsheet.delay_seconds",
    "carrier": "broadsheet.carrier",
    "correlation_id": "broadsheet.correlation_id",
    "message": "broadsheet.message",
    "message_id": "messaging.message.id",
    "destination": "messaging.destination.name",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "host": "server.address",
}


class Span(Protocol):
    """A piece of work that is being timed."""

    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Add attributes."""


class Tracer(Protocol):
    """What `libs.common.otel` does."""

    def span(
        self, name: str, kind: Kind, parent: str | None, links: tuple[str | None, ...], attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Time a block."""

    def current(self) -> str | None:
        """Give the `traceparent` of the work under way."""

    def shutdown(self) -> None:
        """Hand over what is left."""


class _Off:
    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Process:
    tracer: Tracer | None = None


_process = _Process()
_OFF: AbstractContextManager[Span] = nullcontext(_Off())


def wanted() -> bool:
    """Tell whether the environment names a collector."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and any(os.environ.get(name, "").strip() for name in ENDPOINTS)


def configure(service: str) -> None:
    """Begin to trace this process as `service`, if the environment names a collector."""
    if wanted():
        from libs.common import otel

        install(otel.exporting(service))


def install(tracer: Tracer | None) -> None:
    """Trace with `tracer` from now on; None turns traces off."""
    _process.tracer = tracer


def shutdown() -> None:
    """Hand over what is left, and end; blocks for a few seconds at most."""
    if _process.tracer is not None:
        _process.tracer.shutdown()
        _process.tracer = None


def on() -> bool:
    """Tell whether this process traces."""
    return _process.tracer is not None


def span(
    name: str,
    kind: Kind = "internal",
    *,
    parent: str | None = None,
    links: tuple[str | None, ...] = (),
    **attributes: Unpack[Attributes],
) -> AbstractContextManager[Span]:
    """Time a block as part of the work under way, or as what follows from `parent` (a `traceparent`).

    `links` name work that this has to do with and is no part of. A block that raises is marked with the error's type.
    """
    if _process.tracer is None:
        return _OFF
    return _process.tracer.span(name, kind, parent, links, attributes)


def current() -> str | None:
    """Give the `traceparent` of the work under way, for what is to follow from it; None where nothing is traced."""
    return None if _process.tracer is None else _process.tracer.current()
