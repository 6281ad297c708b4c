"""What happens to a message that comes in over the broker. How one is written is in `envelope.py`.

What always holds: a message is acknowledged only after its handler has returned, that is after its transaction has
committed. One that cannot be read, or whose handler fails in a way that trying again does not help, is put aside with
the reason, and the queue goes on. While the database is away, messages wait here with their handler.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import aio_pika
import aio_pika.exceptions
import structlog
from faststream import AckPolicy, BaseMiddleware, Context
from faststream.message import StreamMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitRoute, RabbitRouter
from yarl import URL

from libs.common import database
from libs.common.domain import codec
from libs.common.domain.cause import Cause
from libs.common.errors import ConcurrencyError, Unpublishable, UnreadableMessage
from libs.common.messaging import connection, delays, topology
from libs.common.messaging.envelope import Envelope, amqp_message, open_envelope
from libs.common.messaging.publisher import Publisher
from libs.common.observability import redaction, spans, telemetry, tracing

log = structlog.stdlib.get_logger(__name__)

#: Waits in seconds before a handler is tried again, when the database was away or somebody else was faster. With the
#: pool's own wait before each they last a quarter of an hour, half of what RabbitMQ gives a consumer to acknowledge; a
#: message is delivered 20 times, so that a database may be away for hours before messages are put aside.
RETRIES = (0.05, 0.2, 0.5, 1.0, 2.0, *(5.0,) * 45)
REASON = "x-broadsheet-reason"
QUEUE = "x-broadsheet-queue"

#: What the loss of the broker raises.
BROKER_AWAY = connection.AWAY

TRANSIENT = (*database.TRANSIENT, ConcurrencyError)

#: Name in FastStream's context of how the message came that is handled.
DELIVERY = "delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a message came: what a handler is given beside the message."""

    message_id: UUID
    correlation_id: UUID
    #: Whether it was given to a worker before who did not finish with it.
    redelivered: bool

    @property
    def cause(self) -> Cause:
        """What everything that its handler does follows from."""
        return Cause(correlation_id=self.correlation_id, causation_id=self.message_id)


#: The second argument of a handler.
Delivered = Annotated[Delivery, Context(DELIVERY)]

Handler = Callable[[Any, Delivery], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a service does with a queue: the routing table of its `app.py` is made of these."""

    work: topology.Work
    handler: Handler
    description: str


async def decode(message: StreamMessage[Any]) -> codec.Message:
    """Return the message that a handler gets. Raise UnreadableMessage."""
    envelope = open_envelope(message.body)
    return codec.decode(envelope.type, envelope.version, envelope.data)


class Consumption(BaseMiddleware):
    """Everything around a handler: cause, time, retries and dead letters.

    Nothing that is wrong with a message has it delivered again: that it would be wrong twenty times.
    """

    def __init__(self, *given: Any, publisher: Publisher, **options: Any) -> None:
        super().__init__(*given, **options)
        self._publisher = publisher

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """Handle one message; whatever this raises has it delivered again."""
        try:
            envelope = open_envelope(msg.body)
            codec.decode(envelope.type, envelope.version, envelope.data)
        except UnreadableMessage as error:
            await self._put_aside(msg, "unreadable", str(error))
            return None
        delivery = Delivery(
            message_id=envelope.id,
            correlation_id=envelope.correlation_id,
            redelivered=bool(msg.raw_message.redelivered),
        )
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
            structlog.contextvars.bound_contextvars(
                message=envelope.type,
                correlation_id=str(envelope.correlation_id),
                causation_id=str(envelope.id),
            ),
        ):
            try:
                return await self._handle(call_next, msg, envelope, delivery)
            except (*TRANSIENT, *BROKER_AWAY):
                telemetry.STEPS.labels(envelope.type, "delivered_again").inc()
                raise
            except Exception as error:  # noqa: BLE001 - it is logged with the dead letter, in one line
                span.set(outcome=type(error).__name__)
                await self._put_aside(msg, envelope.type, f"the handler failed: {redaction.placed(error)}", error)
                return None

    async def _handle(
        self,
        call_next: Callable[[Any], Awaitable[Any]],
        msg: StreamMessage[Any],
        envelope: Envelope,
        delivery: Delivery,
    ) -> Any:
        began = time.monotonic()
        lateness = (datetime.now(UTC) - envelope.due).total_seconds()
        if lateness < 0 and envelope.due > envelope.time:
            await self._plan_again(msg, envelope, -lateness)
            return None
        if lateness >= 0:  # a message for now may come from a machine whose clock is ahead
            telemetry.STEP_LATENESS.labels(envelope.type).observe(lateness)
        result = await self._patiently(call_next, msg, delivery)
        telemetry.STEPS.labels(envelope.type, "done").inc()
        telemetry.STEP_SECONDS.labels(envelope.type).observe(time.monotonic() - began)
        return result

    async def _patiently(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any], delivery: Delivery
    ) -> Any:
        """Call the handler, again and again while what stopped it may pass; then let the broker deliver it again."""
        for wait in RETRIES:
            try:
                with self.context.scope(DELIVERY, delivery):
                    return await call_next(msg)
            except TRANSIENT as error:
                log.warning("handler_waits", error=type(error).__name__, seconds=wait)
                # What it had begun when it was stopped is its own to take up again: nobody else has to notice first.
                delivery = replace(delivery, redelivered=True)
                await asyncio.sleep(wait)
        with self.context.scope(DELIVERY, delivery):
            return await call_next(msg)

    async def _plan_again(self, msg: StreamMessage[Any], envelope: Envelope, delay: float) -> None:
        """Have a step that came early come again when it is due. Its handler would do nothing, and it would be gone."""
        again = amqp_message(envelope, _traceparent(msg))
        hop = min(delay, delays.LONGEST)
        await _until_published(partial(self._publisher.publish_step, again, command=envelope.type, delay=hop))
        telemetry.STEPS.labels(envelope.type, "early").inc()
        log.info("step_was_early", seconds=round(delay, 3))

    async def _put_aside(
        self, msg: StreamMessage[Any], type_: str, reason: str, error: Exception | None = None
    ) -> None:
        """Publish the message to the dead letters of its service with the reason."""
        queue = self.context.get("handler_").queue.name
        dead = aio_pika.Message(
            msg.body,
            headers={REASON: reason, QUEUE: queue, **({spans.HEADER: found} if (found := _traceparent(msg)) else {})},
            content_type=msg.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=msg.message_id,
        )
        service = queue.partition(".")[0]
        publish = partial(self._publisher.publish, dead, exchange=topology.DEAD.name, routing_key=service)
        await _until_published(publish)
        telemetry.DEAD_LETTERS.labels(type_).inc()
        log.error("message_put_aside", queue=queue, reason=reason, exc_info=error)


def _traceparent(msg: StreamMessage[Any]) -> str | None:
    """Return what a message follows from. The header comes from outside, so it may be anything."""
    found = msg.headers.get(spans.HEADER)
    return found if isinstance(found, str) else None


async def _until_published(publish: Callable[[], Awaitable[None]]) -> None:
    """Publish what must not be lost, again and again while the broker does not take it; the message itself waits."""
    for wait in RETRIES:
        try:
            return await publish()
        except (*BROKER_AWAY, Unpublishable) as error:
            log.warning("publishing_waits", reason=connection.reason(error), seconds=wait)
            await asyncio.sleep(wait)
    return await publish()


def create_broker(
    url: URL,
    failover: connection.Failover,
    publisher: Publisher,
    routes: Sequence[Route],
    *,
    prefetch: int,
    graceful_timeout: float,
) -> RabbitBroker:
    """Build a broker with the subscribers of a service.

    It connects to the node at `url` when it is started, and to the one that `failover` finds when it has lost it.
    `prefetch` messages are handled at once; `graceful_timeout` is how many seconds they get to finish at the end.
    """
    for type_ in (*codec.TYPES, "unreadable"):
        telemetry.DEAD_LETTERS.labels(type_)  # 0 from the start
    return RabbitBroker(
        url,
        timeout=connection.CONNECT_TIMEOUT,
        default_channel=Channel(prefetch_count=prefetch),
        decoder=decode,
        middlewares=[partial(Consumption, publisher=publisher)],
        graceful_timeout=graceful_timeout,
        reconnect_interval=connection.RECONNECT_INTERVAL,
        on_close=[failover],
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
