"""Looks whether a service's queues are there and have a consumer, over the connection that is there.

What is not as it should be is repaired in one way: the connection is dropped, and the next one sets everything up
(`broker_setup.py`). A connection that is being made anew is left alone: that is what it does already.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiormq.abc
import structlog
from aiormq.exceptions import ChannelClosed
from faststream.rabbit import RabbitBroker

from libs.common.messaging import broker_setup, delays, topology
from libs.common.messaging.connection import AWAY, reason, reconnect, translate_errors, underlying

log = structlog.stdlib.get_logger(__name__)

CHECK_EVERY = 5.0  # seconds between two looks
LOOK_AGAIN = 3.0  # seconds in which a consumer that was cut off is there again
ANSWERS_WITHIN = 10.0  # seconds for the broker to answer about all queues; then the connection is taken for stuck


async def run(service: str, broker: RabbitBroker, setup: broker_setup.Setup, stopping: asyncio.Event) -> None:
    """Look again and again until the service ends."""
    while True:
        await asyncio.sleep(CHECK_EVERY)
        if stopping.is_set():
            return
        try:
            connection = await underlying(broker)
        except AWAY:
            continue
        try:
            if await fit(connection, service, setup.mode):
                continue
            # Right after a node was lost its consumers are gone and ours not there yet: that passes by itself.
            await asyncio.sleep(LOOK_AGAIN)
            if await fit(connection, service, setup.mode):
                continue
            log.warning("queues_gone")
        except AWAY as error:
            log.warning("queues_unknown", reason=reason(error))
        # Whatever it is: the next connection, to the next node if there is one, has everything declared anew.
        await reconnect(broker)


async def fit(connection: aiormq.abc.AbstractConnection, service: str, mode: delays.Mode | None) -> bool:
    """Whether each queue exists and each of the service's own has a consumer. Raise what the broker's loss raises."""
    own = {work.name for work in topology.WORK if work.service == service}
    async with asyncio.timeout(ANSWERS_WITHIN):
        try:
            found = await inspect(connection, broker_setup.names(mode or "plugin"))
        except ChannelClosed:
            return False
    return all(queue.consumers for name, queue in found.items() if name in own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What the broker says of a queue."""

    #: Messages that no consumer has been given yet.
    ready: int
    consumers: int


async def inspect(connection: aiormq.abc.AbstractConnection, queues: Sequence[str]) -> dict[str, Queue]:
    """Return what the broker says of queues. Raise ChannelNotFoundEntity if one does not exist.

    It is asked on a channel of its own, which a queue that is missing closes.
    """
    found = {}
    try:
        with translate_errors():
            channel = await connection.channel(publisher_confirms=False)
            try:
                for name in queues:
                    declared = await channel.queue_declare(name, passive=True)
                    ready, consumers = declared.message_count or 0, declared.consumer_count or 0
                    found[name] = Queue(ready=ready, consumers=consumers)
            finally:
                if not channel.is_closed:
                    await channel.close()
    except RuntimeError as error:  # aiormq says so of a connection that was closed meanwhile
        raise ConnectionError(str(error)) from error
    return found


async def look_up(broker: RabbitBroker, queues: Sequence[str], *, seconds: float) -> dict[str, Queue]:
    """Return what the broker of a service says of queues, within so many seconds. Raise as `inspect` does."""
    async with asyncio.timeout(seconds):
        return await inspect(await underlying(broker), queues)
