"""The nodes of the broker: a service knows them all, and goes on with another when it loses the one it is connected to.

`BROADSHEET_AMQP_URL` names them, separated by commas. They are one cluster, so whichever answers will do.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aio_pika
import aio_pika.exceptions
from aio_pika.abc import AbstractChannel, AbstractConnection
from faststream.rabbit import RabbitBroker
from yarl import URL

#: Seconds between two signs of life, unless a URL says otherwise. aiormq gives a silent connection up after
#: 3 * (HEARTBEAT + 1) seconds; RabbitMQ's own figure of 60 would leave a service with a node that is cut off for
#: minutes. Less than 5 s gives false alarms (https://www.rabbitmq.com/docs/heartbeats#false-positives).
HEARTBEAT = 5
CONNECT_TIMEOUT = 5.0  # seconds for one node to take a connection
CLOSE_TIMEOUT = 5.0  # seconds for a node to take leave

#: What a node that cannot be reached, or cannot serve, raises.
AWAY = (aio_pika.exceptions.AMQPError, aio_pika.exceptions.ChannelInvalidStateError, OSError, TimeoutError)


def addresses(amqp_url: str) -> tuple[URL, ...]:
    """Give the URL of each node, in the order in which they are tried. Raises ValueError if one is none."""
    found: dict[URL, None] = {}
    for part in amqp_url.split(","):
        url = URL(part.strip())
        if url.scheme not in ("amqp", "amqps") or not url.host:
            raise ValueError("not an AMQP URL, such as amqp://user:password@host/, or several with commas between them")
        found[url if "heartbeat" in url.query else url.update_query(heartbeat=str(HEARTBEAT))] = None
    return tuple(found)


async def connect(amqp_url: str) -> AbstractConnection:
    """Connect to the first node that answers; the connection ends with its node. Raises what the last one raised."""
    *others, last = addresses(amqp_url)
    for url in others:
        try:
            return await aio_pika.connect(url, timeout=CONNECT_TIMEOUT)
        except AWAY:
            continue
    return await aio_pika.connect(last, timeout=CONNECT_TIMEOUT)


@contextmanager
def losing() -> Iterator[None]:
    """Raise ConnectionError for a connection that was lost without a reason: aiormq says a bare Exception then."""
    try:
        yield
    except Exception as error:
        if type(error) is Exception:
            raise ConnectionError("the connection was lost") from error
        raise


async def open_channel(connection: AbstractConnection, **options: Any) -> AbstractChannel:
    """Open a channel. Raises ConnectionError if the connection is lost; aio-pika says RuntimeError then."""
    try:
        with losing():
            return await connection.channel(**options)
    except RuntimeError as error:
        raise ConnectionError(str(error)) from error


async def drop(broker: RabbitBroker) -> None:
    """Break the connection of a broker, so that it is made anew to the next node, with its channels and consumers.

    The way out of a connection that lives and a channel that aio-pika waits for without an end.
    """
    connection = await broker.connect()
    if connection.transport is not None:
        with suppress(*AWAY):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await connection.transport.connection.close()


@asynccontextmanager
async def bounded(broker: RabbitBroker, seconds: float) -> AsyncIterator[None]:
    """Give what is asked of a broker so long, then break its connection and raise TimeoutError.

    A publish has a time-out of its own, but only for the confirm: before that it waits for a channel that is being
    restored, and on a node whose peers it cannot reach that has no end.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        await drop(broker)
        raise


async def close(connection: AbstractConnection) -> None:
    """Close a connection that was for one thing only; a node that does not take leave is left without."""
    with suppress(*AWAY):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connection.close()


class NodesConnection(aio_pika.RobustConnection):
    """A connection that is made anew, with its channels and consumers, to the next node when its own is lost."""

    def __init__(self, url: URL, *, nodes: Sequence[URL], **options: Any) -> None:
        super().__init__(url, **options)
        self._nodes = tuple(nodes)
        self.url = self._nodes[0]

    async def _on_connection_close(self, closing: asyncio.Future[Any]) -> None:
        # aio-pika calls this after a loss, after an attempt that failed, and after one on which the channels could not
        # be restored; the next attempt takes the URL from here.
        self.url = self._nodes[(self._nodes.index(self.url) + 1) % len(self._nodes)]
        await super()._on_connection_close(closing)
