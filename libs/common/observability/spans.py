"""What is traced, and what a span may say.

There are no attributes but those named here: ids, counts and names of things, never a phone number, a name or a body,
and never the message of an error, which may hold one.
"""

from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypedDict, Unpack

#: The header of a message, and of a request: https://www.w3.org/TR/trace-context/#traceparent-header.
HEADER = "traceparent"

Kind = Literal["internal", "server", "client", "producer", "consumer"]


class Attributes(TypedDict, total=False):
    """What a span may say. None is left out."""

    broadcast_id: int | None
    batch_id: str
    #: The row of `outgoing_messages`.
    outgoing_message_id: int
    attempt: int
    #: What came of it, in one of our words.
    outcome: str
    #: The carrier's code, where there is one.
    code: str | None
    #: Messages, slots or entries of a log.
    count: int
    #: Seconds.
    delay: float
    carrier: str
    correlation_id: str
    #: The id of the command or event.
    message_id: str
    #: Its type, such as `SendBatch`.
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
    "outgoing_message_id": "broadsheet.outgoing_message_id",
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
    """What `libs.common.observability.otel` does."""

    def span(
        self, name: str, kind: Kind, parent: str | None, links: tuple[str | None, ...], attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Time a block."""

    def current(self) -> str | None:
        """Return the `traceparent` of the work under way."""

    def shutdown(self) -> None:
        """Hand over what remains."""
