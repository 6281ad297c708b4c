"""Publishes what the outbox holds: at once what is due, as a delayed message what is due soon.

A message leaves the table in the transaction in which the broker confirms it, so it is published at least once. What
is due later than the broker's delays reach waits in the table. Relays of several planners share the work: each passes
over rows that another holds.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import aio_pika
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from libs.common import database, delays, ending, messaging, nodes, outbox, telemetry, topology
from libs.common.worker import Worker

log = structlog.stdlib.get_logger(__name__)

HORIZON = timedelta(seconds=300)  # what is due within this is handed to the broker, which then keeps the time
POLL = 1.0  # seconds between two looks where no notification comes
BATCH = 20  # messages to a transaction, which must not sit idle for long while the broker confirms them
LISTEN_AGAIN = 1.0  # seconds before a lost connection for LISTEN is opened again

TROUBLE = (*messaging.BROKER_AWAY, OperationalError, PoolTimeout)

assert HORIZON.total_seconds() < delays.LONGEST


async def run(worker: Worker) -> None:
    """Relay until cancelled. A notification wakes it at once, a slow poll in any case."""
    wake = asyncio.Event()
    listener = asyncio.create_task(_listen(worker, wake))
    try:
        while True:
            wake.clear()
            try:
                with nodes.losing():
                    while await relay(worker, worker.clock()) == BATCH:
                        pass
            except TROUBLE as error:
                log.warning("relay_waits", error=type(error).__name__)
                await asyncio.sleep(POLL)
            try:
                async with asyncio.timeout(POLL):
                    await wake.wait()
            except TimeoutError:
                pass
    finally:
        await ending.end([listener])


async def relay(worker: Worker, now: datetime) -> int:
    """Publish up to `BATCH` messages that are due within the horizon; give how many. All of them, or none leaves."""
    assert worker.broker is not None
    async with database.transaction(worker.pool) as connection:
        rows = await outbox.take(connection, until=now + HORIZON, limit=BATCH)
        async with nodes.bounded(worker.broker, messaging.PUBLISH_TIMEOUT):
            for row in rows:
                await _publish(worker, row, max(0.0, (row["deliver_at"] - now).total_seconds()))
    return len(rows)


async def _publish(worker: Worker, row: dict[str, Any], delay: float) -> None:
    envelope = messaging.from_outbox(row)
    with messaging.publishing(envelope, row["traceparent"]) as traceparent:
        await _hand_over(worker, envelope, messaging.wire(envelope, traceparent), row["kind"], delay)
    telemetry.PUBLISHED.labels(envelope.type).inc()


async def _hand_over(
    worker: Worker, envelope: messaging.Envelope, message: aio_pika.Message, kind: str, delay: float
) -> None:
    assert worker.broker is not None
    if kind == "command":
        await delays.publish(
            worker.broker,
            worker.delay_mode,
            message,
            command=envelope.type,
            delay=delay,
        )
    else:
        await worker.broker.publish(
            message,
            exchange=topology.EVENTS,
            routing_key=envelope.type,
            mandatory=True,
            persist=True,
        )


async def _listen(worker: Worker, wake: asyncio.Event) -> None:
    """Set `wake` whenever the outbox is written to."""
    while True:
        try:
            async with await database.connect(worker.settings.database_url) as connection:
                await connection.execute(f"LISTEN {outbox.CHANNEL}")
                wake.set()
                async for _ in connection.notifies():
                    wake.set()
        except TROUBLE as error:
            log.warning("relay_polls", error=type(error).__name__)
            await asyncio.sleep(LISTEN_AGAIN)
