"""Messages over the broker: how one is written, and what happens to one that comes in.

What always holds: a message is acknowledged only after its handler has returned, that is after its transaction has
committed. One that cannot be read, or whose handler fails in a way that trying again will not mend, is put aside with
the reason, and the queue goes on. While the database is away, messages wait here with their handler.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import aio_pika
import aio_pika.exceptions
import msgspec
import psycopg
import psycopg_pool
import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.message import StreamMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitRoute, RabbitRouter

from libs.common import causation, codec, nodes, telemetry, topology, tracing
from libs.common.errors import ConcurrencyError, UnreadableMessage

log = structlog.stdlib.get_logger(__name__)

#: Waits in seconds before a handler is tried again, when the database was away or somebody else was faster. With the
#: pool's own wait before each they last a quarter of an hour, half of what RabbitMQ gives a consumer to acknowledge; a
#: message is delivered 20 times, so that a database may be away for hours before messages are put aside.
RETRIES = (0.05, 0.2, 0.5, 1.0, 2.0, *(5.0,) * 45)
PUBLISH_TIMEOUT = 8.0  # seconds for the broker to take messages and confirm them; less than a transaction may sit idle
#: How far ahead a step may be planned to be part of the trace that planned it.
LINK_AFTER = timedelta(minutes=15)
REASON = "x-broadsheet-reason"
QUEUE = "x-broadsheet-queue"

#: What the loss of the broker raises; a publish on a channel that is being replaced is no AMQPError.
BROKER_AWAY = nodes.AWAY

for _type in (*codec.TYPES, "unreadable"):
    telemetry.DEAD_LETTERS.labels(_type)

TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError, psycopg_pool.PoolTimeout, ConcurrencyError)

Handler = Callable[[Any], Awaitable[None]]

_redelivered: ContextVar[bool] = ContextVar("redelivered", default=False)


def message_id() -> UUID:
    """Give the id of the message handled now."""
    causation_id = causation.current().causation_id
    assert causation_id is not None, "no message is being handled"
    return causation_id


def redelivered() -> bool:
    """Tell whether the message handled now was given to a worker before, maybe this one, who did not finish with it."""
    return _redelivered.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What goes over the wire, as JSON: a message and where it comes from."""

    id: UUID
    type: str
    version: int
    #: When it was written, UTC.
    time: datetime
    #: When it is due, UTC: `time`, unless it is a step for later.
    due: datetime
    correlation_id: UUID
    causation_id: UUID | None
    data: dict[str, Any]


_decoder = msgspec.json.Decoder(Envelope)
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a service does with a queue: the routing table of its `app.py` is made of these."""

    work: topology.Work
    handler: Handler
    description: str


def from_outbox(row: dict[str, Any]) -> Envelope:
    """Give the envelope of a row of `outbox`."""
    return Envelope(
        id=row["message_id"],
        type=row["type"],
        version=row["schema_version"],
        time=row["occurred_at"],
        due=row["deliver_at"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        data=row["data"],
    )


@contextmanager
def publishing(envelope: Envelope, traceparent: str | None) -> Iterator[str | None]:
    """Trace that a message is published, as what follows from `traceparent`; give what its reader follows from.

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


def wire(envelope: Envelope, traceparent: str | None = None) -> aio_pika.Message:
    """Give the message for the broker: persistent JSON, with the envelope's ids as AMQP properties, too."""
    return aio_pika.Message(
        _encode(envelope),
        headers={tracing.HEADER: traceparent} if traceparent else None,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(envelope.id),
        correlation_id=str(envelope.correlation_id),
        type=envelope.type,
        timestamp=envelope.time,
    )


def open_envelope(body: bytes) -> Envelope:
    """Read an envelope. Raises UnreadableMessage, with a reason that holds no value of the message."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise UnreadableMessage(f"envelope: {error}") from error
    except RecursionError as error:
        raise UnreadableMessage("nested too deeply") from error
    # msgspec looks at UTF-8 only where it makes a text, and lets Python's own error pass there.
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage("not JSON") from error


async def decode(message: StreamMessage[Any]) -> codec.Message:
    """Give the message that a handler gets. Raises UnreadableMessage."""
    envelope = open_envelope(message.body)
    return codec.decode(envelope.type, envelope.version, envelope.data)


class Consumption(BaseMiddleware):
    """Everything around a handler: cause, time, retries and dead letters."""

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """Handle one message; whatever this raises has it delivered again."""
        try:
            envelope = open_envelope(msg.body)
            codec.decode(envelope.type, envelope.version, envelope.data)
        except UnreadableMessage as error:
            await self._put_aside(msg, "unreadable", str(error))
            return None
        cause = causation.Cause(correlation_id=envelope.correlation_id, causation_id=envelope.id)
        began = time.monotonic()
        _redelivered.set(bool(msg.raw_message.redelivered))
        with (
            tracing.span(
                f"handle {envelope.type}",
                "consumer",
                parent=_traceparent(msg),
                message=envelope.type,
                message_id=str(envelope.id),
                correlation_id=str(envelope.correlation_id),
                broadcast_id=envelope.data.get("broadcast_id"),
                destination=self.context.get("handler_").queue.name,
            ) as span,
            causation.caused_by(cause),
            structlog.contextvars.bound_contextvars(message=envelope.type),
        ):
            lateness = (datetime.now(UTC) - envelope.due).total_seconds()
            telemetry.STEP_LATENESS.labels(envelope.type).observe(max(0.0, lateness))
            try:
                result = await _patiently(call_next, msg)
            except TRANSIENT:
                telemetry.STEPS.labels(envelope.type, "delivered_again").inc()
                raise
            except Exception as error:
                span.set(outcome=type(error).__name__)
                log.exception("handler_failed")
                await self._put_aside(msg, envelope.type, type(error).__name__)
                return None
            telemetry.STEPS.labels(envelope.type, "done").inc()
            telemetry.STEP_SECONDS.labels(envelope.type).observe(time.monotonic() - began)
            return result

    async def _put_aside(self, msg: StreamMessage[Any], type_: str, reason: str) -> None:
        """Publish the message to the dead letters of its service with the reason."""
        broker: RabbitBroker = self.context.get("broker")
        queue = self.context.get("handler_").queue.name
        dead = aio_pika.Message(
            msg.body,
            headers={REASON: reason, QUEUE: queue, **({tracing.HEADER: found} if (found := _traceparent(msg)) else {})},
            content_type=msg.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=msg.message_id,
        )
        service = queue.partition(".")[0]
        async with nodes.bounded(broker, PUBLISH_TIMEOUT):
            await broker.publish(dead, exchange=topology.DEAD, routing_key=service, persist=True)
        telemetry.DEAD_LETTERS.labels(type_).inc()
        log.error("message_put_aside", queue=queue, reason=reason)


def _traceparent(msg: StreamMessage[Any]) -> str | None:
    """Give what a message follows from. The header comes from outside, so it may be anything."""
    found = msg.headers.get(tracing.HEADER)
    return found if isinstance(found, str) else None


async def _patiently(call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
    """Call the handler, again and again while what stopped it may pass; then let the broker deliver it again."""
    for wait in RETRIES:
        try:
            return await call_next(msg)
        except TRANSIENT as error:
            log.warning("handler_waits", error=type(error).__name__, seconds=wait)
            # What it had begun when it was stopped is its own to take up again: nobody else has to notice first.
            _redelivered.set(True)
            await asyncio.sleep(wait)
    return await call_next(msg)


def create_broker(amqp_url: str, routes: Sequence[Route], *, prefetch: int, graceful_timeout: float) -> RabbitBroker:
    """Build a broker with the subscribers of a service. It connects when it is started.

    `prefetch` messages are handled at once; `graceful_timeout` is how many seconds they get to finish at the end.
    """
    channel = Channel(prefetch_count=prefetch, publisher_confirms=True, on_return_raises=True)
    first, *_ = known = nodes.addresses(amqp_url)
    broker = RabbitBroker(
        first,
        timeout=nodes.CONNECT_TIMEOUT,
        # To wait for the first node that answers, instead of raising because the first of the list does not.
        fail_fast=False,
        default_channel=channel,
        decoder=decode,
        middlewares=[Consumption],
        apply_types=False,
        graceful_timeout=graceful_timeout,
        reconnect_interval=1.0,
        logger=None,
        routers=[
            RabbitRouter(
                handlers=[
                    RabbitRoute(
                        route.handler,
                        queue=topology.queue(route.work),
                        exchange=topology.exchange(route.work),
                        title=route.work.name,
                        description=route.description,
                        ack_policy=AckPolicy.NACK_ON_ERROR,
                    )
                    for route in routes
                ]
            )
        ],
    )
    # FastStream has no argument for it; it hands all of these to aio_pika.connect_robust, which has.
    broker._connection_kwargs["connection_class"] = partial(nodes.NodesConnection, nodes=known)
    return broker
