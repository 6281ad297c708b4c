"""Both ways to delay a step, on the real broker."""

import asyncio
import itertools
import time
from uuid import UUID, uuid4

import aio_pika
import pytest

from libs.common.errors import BrokerUnfit
from libs.common.messaging import broker_setup, delays, topology
from libs.common.messaging.delays import Mode
from tests.support import broker

LATE = 15.0  # seconds that a busy machine may take on top


async def deliveries(amqp_url: str, mode: Mode, waits: list[float]) -> dict[UUID, float]:
    """Publish a step for each wait; give when each arrived, in seconds from its publishing."""
    arrived: dict[UUID, float] = {}
    published: dict[UUID, float] = {}
    everything = asyncio.Event()
    async with broker.publishing(amqp_url, mode) as publisher, await aio_pika.connect(amqp_url) as connection:
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
            await publisher.publish_step(message, command="MakeBroadcast", delay=wait)
        await asyncio.wait_for(everything.wait(), max(waits) + 90)
    return {id_: arrived[id_] - published[id_] for id_ in ids}


def check(took: dict[UUID, float], waits: list[float]) -> None:
    for seconds, wait in zip(took.values(), waits, strict=True):
        assert wait - 0.02 <= seconds <= wait + LATE, f"{wait} s took {seconds:.2f} s"
    # Who is due seconds earlier comes earlier, whoever was published first.
    for (seconds, wait), (others, longer) in itertools.permutations(zip(took.values(), waits, strict=True), 2):
        assert wait + 2.5 > longer or seconds < others, f"{wait} s took {seconds:.2f} s, {longer} s {others:.2f} s"


async def test_the_ladder_delivers_each_step_when_it_is_due_and_no_short_one_behind_a_long_one(amqp_url: str) -> None:
    waits = [6.3, 0.1, 1.3, 0.0, 2.5, 0.4]
    check(await deliveries(amqp_url, "ladder", waits), waits)


async def needs_plugin(amqp_url: str) -> None:
    """Skip unless the broker can delay by the plugin."""
    if await delays.probe(amqp_url, "auto") != "plugin":
        pytest.skip("this broker has no exchange type x-delayed-message (plugin rabbitmq_delayed_message_exchange)")


async def test_the_plugin_delivers_each_step_when_it_is_due(amqp_url: str) -> None:
    await needs_plugin(amqp_url)
    waits = [1.7, 0.1, 0.9]
    check(await deliveries(amqp_url, "plugin", waits), waits)


async def test_the_plugin_holds_a_step_for_a_time_that_fits_into_one_byte(amqp_url: str) -> None:
    """Up to 127 ms went out as an int8, which RabbitMQ 4's plugin does not take: it delivered at once."""
    await needs_plugin(amqp_url)
    waits = [0.01, 0.05, 0.127]
    took = await deliveries(amqp_url, "plugin", waits)
    assert all(seconds >= wait for seconds, wait in zip(took.values(), waits, strict=True))


async def test_what_the_broker_can_is_found_out_and_a_wish_that_it_cannot_meet_is_refused(amqp_url: str) -> None:
    assert await delays.probe(amqp_url, "ladder") == "ladder"
    if await delays.probe(amqp_url, "auto") == "plugin":
        assert await delays.probe(amqp_url, "plugin") == "plugin"
    else:
        with pytest.raises(BrokerUnfit, match="x-delayed-message"):
            await delays.probe(amqp_url, "plugin")


async def test_declaring_everything_again_changes_nothing(amqp_url: str) -> None:
    mode = await broker_setup.set_up(amqp_url, "auto")
    assert await broker_setup.set_up(amqp_url, "auto") == mode


async def test_a_step_is_not_delivered_even_a_moment_before_it_is_due(amqp_url: str) -> None:
    """It would find that its time has not come, do nothing, and be gone."""
    waits = [0.01, 0.05, 0.09]
    took = await deliveries(amqp_url, "ladder", waits)
    assert all(seconds >= wait for seconds, wait in zip(took.values(), waits, strict=True))
