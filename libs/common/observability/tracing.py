"""Traces, where somebody collects them: one from a request through every message to the carrier's answer.

Off unless OpenTelemetry's own variable `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says
where to; else its SDK is not even imported, and every span is one object that does nothing. What is traced is in
docs/tracing.md, and what a span may say in `spans.py`.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Unpack

from libs.common.observability.spans import Attributes, Kind, Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Off:
    def set(self, **attributes: Unpack[Attributes]) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Process:
    tracer: Tracer | None = None


_process = _Process()
_OFF: AbstractContextManager[Span] = nullcontext(_Off())


def wanted() -> bool:
    """Return whether the environment names a collector."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and any(os.environ.get(name, "").strip() for name in ENDPOINTS)


def configure(service: str) -> None:
    """Begin to trace this process as `service`, if the environment names a collector."""
    if wanted():
        # It costs each process memory and a part of its start: who traces nothing does not pay for it.
        from libs.common.observability import otel

        install(otel.exporting(service))


def install(tracer: Tracer | None) -> None:
    """Trace with `tracer` from now on; None turns traces off."""
    _process.tracer = tracer


def shutdown() -> None:
    """Hand over what remains, and end; blocks for a few seconds at most."""
    if _process.tracer is not None:
        _process.tracer.shutdown()
        _process.tracer = None


def on() -> bool:
    """Return whether this process traces."""
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
    """Return the `traceparent` of the work under way, for what is to follow from it; None where nothing is traced."""
    return None if _process.tracer is None else _process.tracer.current()
