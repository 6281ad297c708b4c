"""Messages that come twice, late, in another order, or make no sense.

They are copies, from a queue of our own beside the real ones.
"""

import asyncio
from contextlib import suppress
from random import Random

import aio_pika
import aio_pika.exceptions
from aio_pika.abc import AbstractChannel

from libs.common.domain.commands import COMMANDS
from libs.common.messaging import delays, topology
from libs.common.messaging.connection import open_channel

SHADOW = "chaos.shadow"
KEPT = 300  # messages in the shadow queue
ANSWERS_WITHIN = 5.0  # seconds
WAIT = 5.0  # seconds for the queue to fill, where it has just been declared
NAMES = frozenset(cls.__name__ for cls in COMMANDS)


async def watch(amqp_url: str) -> None:
    """Have copies of all messages kept, as far as there are exchanges. Raise what the broker raises."""
    async with await aio_pika.connect(amqp_url, timeout=5) as connection:
        await _shadow(await open_channel(connection))


async def publish_again(amqp_url: str, random: Random, *, count: int, copies: int, seconds: float) -> int:
    """Publish messages that were seen, `copies` times each, in another order, over `seconds`; return how many."""
    async with await aio_pika.connect(amqp_url, timeout=5) as connection:
        channel = await open_channel(connection)
        queue = await _shadow(channel)
        seen: list[aio_pika.abc.AbstractIncomingMessage] = []
        ends = asyncio.get_running_loop().time() + WAIT
        while len(seen) < count and asyncio.get_running_loop().time() < ends:
            message = await queue.get(no_ack=True, fail=False)
            if message is not None:
                seen.append(message)
            elif seen:
                break
            else:
                await asyncio.sleep(0.1)
        again = seen * copies
        random.shuffle(again)
        for message in again:
            await asyncio.sleep(seconds / len(again))
            exchange = topology.COMMANDS if message.type in NAMES else topology.EVENTS
            target = await channel.get_exchange(exchange.name, ensure=False)
            copy = aio_pika.Message(
                message.body,
                content_type=message.content_type,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                message_id=message.message_id,
                type=message.type,
            )
            await target.publish(copy, routing_key=message.type or "")
    return len(again)


async def publish_nonsense(amqp_url: str, random: Random, count: int) -> None:
    """Publish messages that nobody can read."""
    async with await aio_pika.connect(amqp_url, timeout=5) as connection:
        channel = await open_channel(connection)
        for _ in range(count):
            command = random.choice(sorted(NAMES))
            target = await channel.get_exchange(topology.COMMANDS.name, ensure=False)
            body = random.choice([b"", b"{", b"null", b'{"type": "SendBatch"}', random.randbytes(40)])
            await target.publish(aio_pika.Message(body), routing_key=command)


async def delete_queues(amqp_url: str) -> int:
    """Delete every queue of Broadsheet's that is in working order, with all that is in it; return how many.

    RabbitMQ 3.10 has a race of its own: a quorum queue that is deleted while it is being declared leaves a process
    behind, and no queue of that name can be declared until the node is restarted. Only a queue that answers is deleted.
    """
    names = [topology.queue(work).name for work in topology.WORK]
    names += [topology.dead_letters(service).name for service in topology.SERVICES]
    names += [delays.rung_queue(rung).name for rung in range(delays.RUNGS)]
    deleted = 0
    async with await aio_pika.connect(amqp_url, timeout=5) as connection:
        for name in names:
            channel = await open_channel(connection)
            with suppress(aio_pika.exceptions.ChannelNotFoundEntity):
                queue = await channel.get_queue(name)
                await queue.get(fail=False, timeout=ANSWERS_WITHIN)
                await channel.queue_delete(name)
                deleted += 1
                await channel.close()
    return deleted


async def _shadow(channel: AbstractChannel) -> aio_pika.abc.AbstractQueue:
    queue = await channel.declare_queue(SHADOW, durable=False, arguments={"x-max-length": KEPT})
    await queue.bind(topology.EVENTS.name, routing_key="#")
    for name in NAMES:
        await queue.bind(topology.COMMANDS.name, routing_key=name)
    await queue.bind(delays.LANDING.name, routing_key="#")
    return queue
