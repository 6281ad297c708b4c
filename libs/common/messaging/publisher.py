"""A service's own connection for what it publishes.

It is another than the one on which messages come in: a broker with an alarm of memory or disk stops reading from
whoever publishes, and acknowledgements must not wait behind that. It is made when it is needed, everything is declared
at it, and whatever goes wrong on it ends it: the next message makes a new one, to a node that answers. So nobody waits
for a connection that somebody else is making.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelClosed, DeliveryError
from yarl import URL

from libs.common.errors import BrokerBlocked, BrokerUnfit, Unpublishable
from libs.common.messaging import broker_setup, declarations, delays, topology
from libs.common.messaging.connection import AWAY, close, connect, open_channel, reason, translate_errors

TIMEOUT = 5.0  # seconds for the broker to take a message and confirm it
CONNECTED_EVERY = 5.0  # seconds between two looks whether there is a connection
#: A routing key that nothing is bound by: the broker confirms such a message and drops it.
NOWHERE = "nowhere"


class Publisher:
    """Publishes one message after the other, each confirmed before the next leaves."""

    def __init__(self, setup: broker_setup.Setup) -> None:
        self._setup = setup
        #: The nodes, the one to try next first.
        self._nodes = deque(setup.nodes)
        self._lock = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        #: How the broker delays, as was found out for this connection.
        self._mode: delays.Mode = "ladder"

    async def publish(self, message: aio_pika.Message, *, exchange: str, routing_key: str) -> None:
        """Publish a message to a queue and wait for the confirm.

        Raise Unpublishable if it is this message that the broker does not take, and what the loss of the broker raises.
        """
        async with self._lock:
            await self._connect()
            await self._publish(message, delays.Address(exchange=exchange, routing_key=routing_key))

    async def publish_step(self, message: aio_pika.Message, *, command: str, delay: float) -> None:
        """Publish a command that arrives `delay` seconds from now. Raise as `publish` does."""
        async with self._lock:
            mode = await self._connect()
            to = delays.address(mode, command, delay)
            message.headers.update(to.headers)
            await self._publish(message, to)

    async def check(self, seconds: float, exchanges: Sequence[str] = (topology.DEAD.name,)) -> None:
        """Check that the broker takes messages now. Raise BrokerBlocked, or the error that prevents it."""
        try:
            async with asyncio.timeout(seconds), self._lock:
                await self._connect()
                for exchange in exchanges:
                    to = delays.Address(exchange=exchange, routing_key=NOWHERE, mandatory=False)
                    await self._publish(aio_pika.Message(b""), to)
        except TimeoutError as error:
            if await self._is_blocked():
                raise BrokerBlocked from error
            raise

    async def connect(self) -> delays.Mode:
        """Connect unless it is connected; return how the broker delays. Raise what the loss of the broker raises."""
        async with self._lock:
            return await self._connect()

    async def stay_connected(self) -> None:
        """Connect again whenever the connection is lost, until cancelled.

        A service that seldom publishes is ready again without having to: a look at its readiness is over sooner than a
        busy broker has declared everything.
        """
        while True:
            await asyncio.sleep(CONNECTED_EVERY)
            with suppress(*AWAY):
                await self.connect()

    async def close(self) -> None:
        """End the connection."""
        async with self._lock:
            await self._drop()

    async def _connect(self) -> delays.Mode:
        if self._channel is not None and not self._channel.is_closed:
            if await self._is_blocked():
                raise BrokerBlocked
            return self._mode
        await self._drop()
        for remaining in reversed(range(len(self._nodes))):
            try:
                return await self._connect_to(self._nodes[0])
            except AWAY:
                await self._leave()
                if not remaining:
                    raise
        raise AssertionError("there is at least one node")

    async def _connect_to(self, url: URL) -> delays.Mode:
        self._mode = await self._setup(url)
        self._connection = await connect(str(url))
        self._channel = await open_channel(self._connection, publisher_confirms=True, on_return_raises=True)
        return self._mode

    async def _publish(self, message: aio_pika.Message, to: delays.Address) -> None:
        assert self._channel is not None
        try:
            with translate_errors(), declarations.permission(exchange="write"):
                async with asyncio.timeout(TIMEOUT):
                    exchange = await self._channel.get_exchange(to.exchange, ensure=False)
                    await exchange.publish(message, routing_key=to.routing_key, mandatory=to.mandatory)
        except (ChannelClosed, DeliveryError, BrokerUnfit) as error:
            # Something is not there any more, or is not what it was: the next connection declares it anew.
            await self._drop()
            raise Unpublishable(reason(error)) from error
        except TimeoutError as error:
            if await self._is_blocked():
                raise BrokerBlocked from error
            await self._leave()
            raise
        except AWAY:
            await self._leave()
            raise

    async def _is_blocked(self) -> bool:
        """Whether the broker has said that it reads nothing from this connection."""
        transport = self._connection.transport if self._connection is not None else None
        if transport is None or transport.connection.is_closed:
            return False
        try:
            async with asyncio.timeout(0):
                await transport.connection.ready()
        except TimeoutError:
            return True
        return False

    async def _leave(self) -> None:
        """End the connection, and try the next node next."""
        await self._drop()
        self._nodes.rotate(-1)

    async def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await close(connection)
