"""Publishes what the outbox holds: at once what is due, as a delayed message what is due soon.

A message leaves the table after the broker has confirmed it, so it is published at least once. What is due later than
the broker's delays reach waits in the table. Relays of several planners share the work: each passes over rows that
another has taken. No transaction is open while the broker is waited for.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.domain.states import MessageKind
from libs.common.errors import Unpublishable
from libs.common.messaging import consumer, delays, outbox, topology
from libs.common.messaging.connection import reason
from libs.common.messaging.envelope import amqp_message, from_outbox, publishing
from libs.common.messaging.outbox import Leased
from libs.common.observability import redaction, telemetry
from libs.common.runtime import tasks
from libs.common.runtime.worker import Worker

log = structlog.stdlib.get_logger(__name__)

HORIZON = timedelta(seconds=300)  # what is due within this is handed to the broker, which then keeps the time
POLL = 1.0  # seconds between two looks where no notification comes
BATCH = 20  # messages that one relay takes at a time
PUT_OFF = timedelta(seconds=5)  # before a message that the broker did not take is tried again
LISTEN_AGAIN = 1.0  # seconds before a lost connection for LISTEN is opened again

TROUBLE = (*consumer.BROKER_AWAY, *database.TRANSIENT)

assert HORIZON.total_seconds() < delays.LONGEST


async def run(worker: Worker) -> None:
    """Relay until cancelled. A notification wakes it at once, a slow poll in any case."""
    wake = asyncio.Event()
    listener = asyncio.create_task(_listen(worker, wake))
    try:
        while True:
            wake.clear()
            try:
                while await relay(worker, worker.clock()) == BATCH:
                    pass
            except TROUBLE as error:
                log.warning("relay_waits", reason=reason(error))
                await asyncio.sleep(POLL)
            try:
                async with asyncio.timeout(POLL):
                    await wake.wait()
            except TimeoutError:
                pass
    finally:
        await tasks.cancel_and_wait([listener])


async def relay(worker: Worker, now: datetime) -> int:
    """Publish up to `BATCH` messages that are due within the horizon; return how many were taken.

    One that cannot be published is put off; it neither holds nor repeats the others. Raise what the loss of the broker
    raises.
    """
    messages = await outbox.take(worker.engine, until=now + HORIZON, now=now, limit=BATCH)
    published: list[int] = []
    put_off: list[int] = []
    try:
        for message in messages:
            try:
                await _publish(worker, message)
            except TROUBLE:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this one, the next ones are to go
                what = {"message": message.type, "message_id": str(message.message_id)}
                log.error("message_put_off", **what, reason=_reason(error))  # noqa: TRY400 - in one line
                put_off.append(message.id)
            else:
                published.append(message.id)
    finally:
        if messages:
            done = {*published, *put_off}
            remaining = [message.id for message in messages if message.id not in done]
            await outbox.done(worker.engine, published)
            await outbox.give_back(worker.engine, put_off, after=now + PUT_OFF)
            await outbox.give_back(worker.engine, remaining, after=now)
    return len(messages)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Unpublishable) else redaction.placed(error)


async def _publish(worker: Worker, leased: Leased) -> None:
    assert worker.publisher is not None
    envelope = from_outbox(leased)
    with publishing(envelope, leased.traceparent) as traceparent:
        message = amqp_message(envelope, traceparent)
        if leased.kind is MessageKind.COMMAND:
            delay = max(0.0, (leased.deliver_at - worker.clock()).total_seconds())
            await worker.publisher.publish_step(message, command=envelope.type, delay=delay)
        else:
            await worker.publisher.publish(message, exchange=topology.EVENTS.name, routing_key=envelope.type)
    telemetry.PUBLISHED.labels(envelope.type).inc()


async def _listen(worker: Worker, wake: asyncio.Event) -> None:
    """Set `wake` whenever the outbox is written to."""
    while True:
        try:
            async for _ in database.listen(worker.settings.database_url.get_secret_value(), outbox.CHANNEL):
                wake.set()
        except TROUBLE as error:
            log.warning("relay_polls", error=type(error).__name__)
            await asyncio.sleep(LISTEN_AGAIN)
