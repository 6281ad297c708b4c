"""Both ways to delay a step, on the real broker."""

import asyncio
import time
from uuid import UUID, uuid4

import aio_pika
import pytest

from libs.common import delays, topology, worker
from libs.common.delays import Mode
from tests.support import broker

LATE = 1.5  # seconds that a busy machine may take on top


async def deliveries(amqp_url: str, mode: Mode, waits: list[float]) -> dict[UUID, float]:
    """Publish a step for each wait; give when each arrived, in seconds from its publishing."""
    arrived: dict[UUID, float] = {}
    published: dict[UUID, float] = {}
    everything = asyncio.Event()
    await worker.declare(amqp_url, mode)
    async with broker.consuming(amqp_url, ()) as publisher, await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(topology.MAKE_BROADCAST.name, ensure=False)

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            await message.ack()
            arrived[UUID(str(message.message_id))] = time.monotonic()
            if len(arrived) == len(waits):
                everything.set()

        await queue.consume(take)
        ids = []
        for wait in waits:
            ids.append(uuid4())
            message = aio_pika.Message(b"{}", message_id=str(ids[-1]))
            published[ids[-1]] = time.monotonic()
            await delays.publish(publisher, mode, message, command="MakeBroadcast", delay=wait)
        await asyncio.wait_for(everything.wait(), max(waits) + 20)
    return {id_: arrived[id_] - published[id_] for id_ in ids}


def check(took: dict[UUID, float], waits: list[float]) -> None:
    for seconds, wait in zip(took.values(), waits, strict=True):
        assert wait - 0.02 <= seconds <= wait + LATE, f"{wait} s took {seconds:.2f} s"


async def test_the_ladder_delivers_each_step_when_it_is_due_and_no_short_one_behind_a_long_one(amqp_url: str) -> None:
    waits = [3.7, 0.1, 1.3, 0.0, 2.5, 0.4]
    check(await deliveries(amqp_url, "ladder", waits), waits)


async def test_the_plugin_delivers_each_step_when_it_is_due(amqp_url: str) -> None:
    if await delays.probe(amqp_url, "auto") != "plugin":
        pytest.skip("this broker has no delayed-message plugin")
    waits = [1.7, 0.1, 0.9]
    check(await deliveries(amqp_url, "plugin", waits), waits)


async def test_a_broker_without_the_plugin_gets_the_ladder_and_a_wish_is_a_wish(amqp_url: str) -> None:
    assert await delays.probe(amqp_url, "auto") in ("ladder", "plugin")
    assert await delays.probe(amqp_url, "plugin") == "plugin"
    assert await delays.probe(amqp_url, "ladder") == "ladder"


async def test_declaring_everything_again_changes_nothing(amqp_url: str) -> None:
    await worker.declare(amqp_url, "ladder")
    await worker.declare(amqp_url, "ladder")


async def test_a_step_is_not_delivered_even_a_moment_before_it_is_due(amqp_url: str) -> None:
    """It would find that its time has not come, do nothing, and be gone."""
    waits = [0.01, 0.05, 0.09]
    took = await deliveries(amqp_url, "ladder", waits)
    assert all(seconds >= wait for seconds, wait in zip(took.values(), waits, strict=True))
