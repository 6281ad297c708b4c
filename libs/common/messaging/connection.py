"""The nodes of the broker: a service knows them all, and goes on with another when it loses the one it is connected to.

`BROADSHEET_AMQP_URL` names them, separated by commas. They are one cluster, so whichever answers will do.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import aio_pika
import aio_pika.exceptions
import aiormq
import aiormq.abc
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from faststream.rabbit import RabbitBroker
from yarl import URL

from libs.common.errors import BroadsheetError, BrokerUnfit
from libs.common.messaging.addresses import addresses

log = structlog.stdlib.get_logger(__name__)

CONNECT_TIMEOUT = 5.0  # seconds for one node to take a connection
CLOSE_TIMEOUT = 5.0  # seconds for a node to answer the close
PREPARE_TIMEOUT = 60.0  # seconds to declare everything; an empty broker makes two dozen replicated queues
RECONNECT_INTERVAL = 1.0  # seconds between two attempts
CLOSE_POLL = 0.1  # seconds after which a search for a node notices that its connection is to end

#: What a node that cannot be reached, or cannot serve, raises.
AWAY = (
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    OSError,
    TimeoutError,
    BrokerUnfit,
)


def reason(error: BaseException) -> str:
    """Return in words why the broker could not be used. The broker's own words name exchanges and queues, no secret."""
    if isinstance(error, aio_pika.exceptions.InvalidFrameError) and "Connection.Close" in str(error):
        return "the broker closed the connection at once: the virtual host does not exist, or the user may not enter it"
    if isinstance(error, aio_pika.exceptions.ProbableAuthenticationError):
        return "the broker does not know the user, or the password is wrong"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"the broker's certificate is not trusted (an authority of your own: ?cafile=… in the URL): {said}"
    if isinstance(error, BroadsheetError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


async def connect(amqp_url: str) -> AbstractConnection:
    """Connect to the first node that answers; the connection ends with its node. Raise what the last one raised."""
    *others, last = addresses(amqp_url)
    for url in others:
        try:
            return await aio_pika.connect(url, timeout=CONNECT_TIMEOUT)
        except AWAY:
            continue
    return await aio_pika.connect(last, timeout=CONNECT_TIMEOUT)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise ConnectionError for a connection that was lost without a reason: aiormq says a bare Exception then."""
    try:
        yield
    except Exception as error:
        if type(error) is Exception:
            raise ConnectionError("the connection was lost") from error
        raise


async def open_channel(connection: AbstractConnection, **options: Any) -> AbstractChannel:
    """Open a channel. Raise ConnectionError if the connection is lost; aio-pika says RuntimeError then."""
    try:
        with translate_errors():
            return await connection.channel(**options)
    except RuntimeError as error:
        raise ConnectionError(str(error)) from error


async def underlying(broker: RabbitBroker) -> aiormq.abc.AbstractConnection:
    """Return the connection that a broker has now. Raise ConnectionError at once if it has none: it is being made anew.

    Whoever waits for it by way of aio-pika waits without an end. A broker that was stopped would connect again if it
    were asked: nobody would close that connection, and the process would not end.
    """
    if not broker.running:
        raise ConnectionError("the service ends")
    connection = await broker.connect()
    transport = connection.transport
    if transport is None or not connection.connected.is_set() or transport.connection.is_closed:
        raise ConnectionError("the connection is being made anew")
    return transport.connection


async def reconnect(broker: RabbitBroker) -> None:
    """Break the connection of a broker, so that it is made anew to the next node, with its channels and consumers.

    Everything is declared again then. It is also the way out of a connection that lives and a channel that aio-pika
    waits for without an end.
    """
    if not broker.running:
        return  # the service ends: it would connect again
    connection = await broker.connect()
    if connection.transport is not None:
        with suppress(*AWAY):
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await connection.transport.connection.close()


async def close(connection: AbstractConnection) -> None:
    """Close a connection that was for one purpose; a node that does not answer the close in time is not waited for."""
    with suppress(*AWAY):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connection.close()


SetUp = Callable[[URL], Awaitable[object]]


class Failover:
    """Chooses the node that a lost connection is made anew to, and sets it up: it may have come back empty.

    aio-pika calls it when a connection is lost and when an attempt has failed (`close_callbacks`). It waits for the
    answer, and connects to `connection.url` then.
    """

    def __init__(self, nodes: Sequence[URL], set_up: SetUp) -> None:
        #: The nodes, the one to try next first.
        self._nodes = deque(nodes)
        self._set_up = set_up
        self._lock = asyncio.Lock()

    async def find(self) -> URL:
        """Set up the first node that can be; return its URL. Raise what the last one raised."""
        for remaining in reversed(range(len(self._nodes))):
            try:
                with translate_errors():
                    await self._set_up(self._nodes[0])
            except AWAY:
                self._nodes.rotate(-1)
                if not remaining:
                    raise
            else:
                break
        return self._nodes[0]

    async def __call__(self, connection: AbstractConnection | None, _error: BaseException | None) -> None:
        """Have a lost connection made anew to the next node that can be set up."""
        async with self._lock:
            # While it is still connected, this is the first of two calls about channels that could not be restored.
            if not isinstance(connection, aio_pika.RobustConnection) or connection.connected.is_set():
                return
            self._nodes.rotate(-1)
            while not connection.close_called:
                try:
                    if (url := await self._find_for(connection)) is not None:
                        connection.url = url
                        return
                except Exception as error:  # noqa: BLE001 - aio-pika would pass over it
                    log.warning("waiting_for_broker", reason=reason(error))
                    await asyncio.sleep(RECONNECT_INTERVAL)

    async def _find_for(self, connection: aio_pika.RobustConnection) -> URL | None:
        """Return what `find` returns; None as soon as the connection is to end, since its end waits for this."""
        finding = asyncio.create_task(self.find())
        try:
            while not connection.close_called:
                done, _ = await asyncio.wait([finding], timeout=CLOSE_POLL)
                if done:
                    return finding.result()
            return None
        finally:
            finding.cancel()
            await asyncio.gather(finding, return_exceptions=True)
