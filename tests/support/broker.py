"""A service's messaging on the real broker, with handlers of a test's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from faststream.rabbit import RabbitBroker
from pydantic import SecretStr

from libs.common.database import Engine
from libs.common.messaging import broker_setup, connection, consumer
from libs.common.messaging.delays import Wish
from libs.common.messaging.publisher import Publisher
from libs.common.runtime.worker import Worker
from libs.common.settings import WorkerSettings


def settings(database_url: str | SecretStr, amqp_url: str, **changes: object) -> WorkerSettings:
    """Return settings for tests."""
    given: dict[str, object] = {
        "database_url": database_url,
        "amqp_url": amqp_url,
        "from_number": "+13135550100",
        "quiet_hours": "",
        "timezone": "UTC",
        "holidays": "",
        **changes,
    }
    return WorkerSettings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]


@asynccontextmanager
async def publishing(amqp_url: str, delays: Wish = "auto") -> AsyncIterator[Publisher]:
    """Yield a publisher that is connected; by default it delays as the broker at hand can."""
    publisher = Publisher(broker_setup.Setup(amqp_url, delays))
    try:
        await publisher.connect()
        yield publisher
    finally:
        await publisher.close()


@asynccontextmanager
async def consuming(
    amqp_url: str, routes: Sequence[consumer.Route], *, graceful_timeout: float = 5
) -> AsyncIterator[RabbitBroker]:
    """Declare everything and run the routes' handlers for the time of the block."""
    setup = broker_setup.Setup(amqp_url, "auto")
    publisher = Publisher(setup)
    failover = connection.Failover(setup.nodes, setup)
    broker = consumer.create_broker(
        await failover.find(), failover, publisher, routes, prefetch=5, graceful_timeout=graceful_timeout
    )
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
        await publisher.close()


@asynccontextmanager
async def relaying(database_url: str, amqp_url: str, engine: Engine) -> AsyncIterator[Worker]:
    """Yield a worker whose publisher is connected, for the relay."""
    async with publishing(amqp_url) as publisher:
        yield Worker(settings=settings(database_url, amqp_url), engine=engine, long_work=engine, publisher=publisher)


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
