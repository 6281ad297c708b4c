"""What Broadsheet needs on the broker: it is declared by each service at each of its connections.

A broker may come back empty, or without its plugin, or with it: nothing that was found at one connection holds for the
next. Who declares needs the permission to configure, write and read everything that is called `planner.…`, `sender.…`,
`twilio_sync.…` and `broadsheet.…` (docs/connections.md).
"""

import asyncio

import structlog
from aio_pika.abc import AbstractChannel
from yarl import URL

from libs.common.messaging import declarations, delays, queue_repair, topology
from libs.common.messaging.addresses import addresses
from libs.common.messaging.connection import PREPARE_TIMEOUT, close, connect, open_channel, translate_errors

log = structlog.stdlib.get_logger(__name__)


class Setup:
    """Sets the broker up for one service, one connection after the other."""

    def __init__(self, amqp_url: str, wish: delays.Wish, *, repair: bool = True) -> None:
        self.nodes = addresses(amqp_url)
        # In a cluster a queue may be without a leader for a moment, and is left alone.
        self._repair = repair and len(self.nodes) == 1
        # A node that cannot reach the others takes connections and answers nothing: the next one is to be tried soon.
        self._within = PREPARE_TIMEOUT if len(self.nodes) == 1 else PREPARE_TIMEOUT / 3
        #: How the broker delays, as was found out last.
        self.mode: delays.Mode | None = None
        self._wish = wish
        self._lock = asyncio.Lock()

    async def __call__(self, url: URL) -> delays.Mode:
        """Find out how a node delays and declare everything there. Raise as `set_up` does."""
        async with self._lock, asyncio.timeout(self._within):
            mode = await set_up(str(url), self._wish, repair=self._repair)
        if self.mode not in (None, mode):
            log.warning("delays_changed", mode=mode)
        self.mode = mode
        return mode


async def set_up(amqp_url: str, wish: delays.Wish, *, repair: bool = True) -> delays.Mode:
    """Find out how the broker delays and declare all exchanges and queues; what exists stays as it is.

    Queues that a lone node has on record and cannot use are made anew, unless `repair` is false. Raise BrokerUnfit if
    the broker cannot be worked with, and what its loss raises.
    """
    mode = await delays.probe(amqp_url, wish)
    await declare(amqp_url, mode)
    if repair and await queue_repair.delete_broken(amqp_url, names(mode)):
        await declare(amqp_url, mode)
    return mode


async def declare(amqp_url: str, mode: delays.Mode) -> None:
    """Declare all exchanges and queues. What exists stays as it is."""
    connection = await connect(amqp_url)
    try:
        channel = await open_channel(connection)
        with translate_errors():
            await _declare(channel)
            await delays.declare(channel, mode)
    finally:
        await close(connection)


async def _declare(channel: AbstractChannel) -> None:
    for exchange in (topology.COMMANDS, topology.EVENTS, topology.DEAD):
        await declarations.exchange(channel, exchange)
    queues = [(topology.queue(work), topology.exchange(work)) for work in topology.WORK]
    queues += [(topology.dead_letters(service), topology.DEAD) for service in topology.SERVICES]
    for queue, _ in queues:
        await declarations.queue(channel, queue)
    for queue, exchange in queues:
        await declarations.bind(channel, queue.name, exchange.name, queue.routing())


def names(mode: delays.Mode) -> list[str]:
    """Return the names of all queues that there should be."""
    found = [topology.queue(work).name for work in topology.WORK]
    found += [topology.dead_letters(service).name for service in topology.SERVICES]
    if mode == "ladder":
        found += [delays.rung_queue(rung).name for rung in range(delays.RUNGS)]
    return found


def exchanges(mode: delays.Mode) -> list[str]:
    """Return the names of the exchanges that are published to; not the one of events, where nothing goes nowhere."""
    delayed = delays.PLUGIN if mode == "plugin" else delays.rung_exchange(delays.RUNGS - 1)
    return [topology.COMMANDS.name, topology.DEAD.name, delayed.name]
