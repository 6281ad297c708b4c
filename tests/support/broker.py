"""A service's messaging on the real broker, with handlers of a test's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from faststream.rabbit import RabbitBroker

from libs.common import messaging, worker
from libs.common.database import Pool
from libs.common.settings import Settings
from libs.common.worker import Worker


def settings(database_url: str, amqp_url: str, **changes: object) -> Settings:
    """Give settings for tests."""
    given: dict[str, object] = {
        "database_url": database_url,
        "amqp_url": amqp_url,
        "from_number": "+13135550100",
        "quiet_hours": "",
        "timezone": "UTC",
        "holidays": "",
        **changes,
    }
    return Settings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]


@asynccontextmanager
async def consuming(
    amqp_url: str, routes: Sequence[messaging.Route], *, graceful_timeout: float = 5
) -> AsyncIterator[RabbitBroker]:
    """Declare everything and run the routes' handlers for the time of the block."""
    await worker.declare(amqp_url, "ladder")
    broker = messaging.create_broker(amqp_url, routes, prefetch=5, graceful_timeout=graceful_timeout)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@asynccontextmanager
async def relaying(database_url: str, amqp_url: str, pool: Pool) -> AsyncIterator[Worker]:
    """Give a worker whose broker is connected, for the relay."""
    await worker.declare(amqp_url, "ladder")
    context = Worker(settings=settings(database_url, amqp_url), pool=pool)
    async with consuming(amqp_url, ()) as broker:
        context.broker = broker
        yield context


async def messages(amqp_url: str, queue: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """Take everything out of a queue."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        found = []
        source = await channel.get_queue(queue, ensure=False)
        while (message := await source.get(fail=False)) is not None:
            await message.ack()
            found.append(message)
        return found


async def publish(amqp_url: str, exchange: str, routing_key: str, body: bytes) -> None:
    """Publish raw bytes."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(aio_pika.Message(body), routing_key=routing_key)
