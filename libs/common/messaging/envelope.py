"""How a message is written for the broker: an envelope with where it comes from, as JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import aio_pika
import msgspec

from libs.common.errors import UnreadableMessage
from libs.common.messaging.outbox import Leased
from libs.common.observability import spans, tracing

#: How far ahead a step may be planned to be part of the trace that planned it.
LINK_AFTER = timedelta(minutes=15)

#: A time with its offset: one without could be anybody's.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What goes over the wire, as JSON: a message and where it comes from."""

    id: UUID
    type: str
    version: int
    #: When it was written, UTC.
    time: Moment
    #: When it is due, UTC: `time`, unless it is a step for later.
    due: Moment
    correlation_id: UUID
    causation_id: UUID | None
    #: Who wrote it, as `user:7` or `service:planner`.
    actor: str
    data: dict[str, Any]


_decoder = msgspec.json.Decoder(Envelope)
_encode = msgspec.json.encode


def from_outbox(leased: Leased) -> Envelope:
    """Return the envelope of a message of the outbox."""
    return Envelope(
        id=leased.message_id,
        type=leased.type,
        version=leased.schema_version,
        time=leased.occurred_at,
        due=leased.deliver_at,
        correlation_id=leased.correlation_id,
        causation_id=leased.causation_id,
        actor=leased.actor,
        data=leased.data,
    )


@contextmanager
def publishing(envelope: Envelope, traceparent: str | None) -> Iterator[str | None]:
    """Trace that a message is published, as what follows from `traceparent`; return what its reader follows from.

    A step that was planned for much later begins a trace of its own, with a link to the one that planned it: else each
    day's broadcast would be part of the trace of the day before.
    """
    later = envelope.due - envelope.time > LINK_AFTER
    with tracing.span(
        f"publish {envelope.type}",
        "producer",
        parent=None if later else traceparent,
        links=(traceparent,) if later else (),
        message=envelope.type,
        message_id=str(envelope.id),
        correlation_id=str(envelope.correlation_id),
        broadcast_id=envelope.data.get("broadcast_id"),
        delay=(envelope.due - envelope.time).total_seconds(),
    ):
        yield tracing.current() or traceparent


def amqp_message(envelope: Envelope, traceparent: str | None = None) -> aio_pika.Message:
    """Return the message for the broker: persistent JSON, with the envelope's ids as AMQP properties, too."""
    return aio_pika.Message(
        _encode(envelope),
        headers={spans.HEADER: traceparent} if traceparent else None,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(envelope.id),
        correlation_id=str(envelope.correlation_id),
        type=envelope.type,
        timestamp=envelope.time,
    )


def open_envelope(body: bytes) -> Envelope:
    """Read an envelope. Raise UnreadableMessage, with a reason that holds no value of the message."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnreadableMessage(f"envelope: {error}") from error
    except RecursionError as error:
        raise UnreadableMessage("nested too deeply") from error
    # msgspec looks at UTF-8 only where it makes a text, and lets Python's own error pass there.
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage("not JSON") from error
