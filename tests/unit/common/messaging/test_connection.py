"""The list of the broker's nodes."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika import RobustConnection
from aiormq.base import FutureStore
from yarl import URL

from libs.common.messaging.addresses import HEARTBEAT, addresses
from libs.common.messaging.connection import AWAY, Failover, SetUp, open_channel, translate_errors


def test_nodes_keep_their_order_and_are_tried_once_each() -> None:
    found = addresses("amqp://u:p@a/, amqps://u:p@b:5999/x,amqp://u:p@a/")
    assert [(url.scheme, url.host, url.port, url.path) for url in found] == [
        ("amqp", "a", None, "/"),
        ("amqps", "b", 5999, "/x"),
    ]


def test_a_silent_node_is_given_up_soon_unless_its_url_says_otherwise() -> None:
    ours, theirs = addresses("amqp://a/?name=x,amqp://b/?heartbeat=30")
    assert dict(ours.query) == {"name": "x", "heartbeat": str(HEARTBEAT)}
    assert dict(theirs.query) == {"heartbeat": "30"}


@pytest.mark.parametrize("text", ["", "amqp://a/,", "amqp://a/,http://b/", "amqp://a/,amqp://", "a,b", "amqp://a:x/"])
def test_one_bad_address_spoils_the_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"AMQP URL|port"):
        addresses(text)


async def test_a_connection_that_is_lost_before_its_channel_opens_is_a_lost_connection() -> None:
    """aio-pika says RuntimeError, for which a background task would end its service."""
    connection = aio_pika.Connection(URL("amqp://127.0.0.1/"))
    with pytest.raises(AWAY):
        await open_channel(connection)


async def test_a_connection_that_is_lost_without_a_reason_is_a_lost_connection() -> None:
    """aiormq rejects what waits for an answer with a bare Exception then."""
    waiting = FutureStore(asyncio.get_running_loop())
    answer = waiting.create_future()
    await waiting.reject_all(None)
    with pytest.raises(AWAY), translate_errors():
        await answer


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")])
def test_an_error_of_our_own_is_not_taken_for_a_lost_connection(error: Exception) -> None:
    with pytest.raises(type(error)), translate_errors():
        raise error


ONE, TWO, THREE = (URL(f"amqp://guest:guest@{name}/") for name in ("one", "two", "three"))


@pytest.fixture
async def lost() -> AsyncIterator[RobustConnection]:
    """A connection to the first node that is lost."""
    made = RobustConnection(ONE)
    yield made
    await made.close()


def away(*nodes: URL) -> SetUp:
    """Return a function that sets a node up, unless it is one of these."""

    async def set_up(url: URL) -> None:
        if url in nodes:
            raise ConnectionError(f"{url.host} is away")

    return set_up


async def test_a_lost_connection_is_made_anew_to_the_next_node_that_can_be_set_up(lost: RobustConnection) -> None:
    await Failover([ONE, TWO, THREE], away(TWO))(lost, None)
    assert lost.url == THREE


async def test_a_connection_whose_node_is_the_only_one_is_made_anew_to_it(lost: RobustConnection) -> None:
    await Failover([ONE], away())(lost, None)
    assert lost.url == ONE


async def test_a_connection_that_is_still_there_keeps_its_node(lost: RobustConnection) -> None:
    lost.connected.set()
    await Failover([ONE, TWO], away())(lost, None)
    assert lost.url == ONE


async def test_a_node_is_waited_for_while_none_can_be_set_up(
    lost: RobustConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.messaging.connection.RECONNECT_INTERVAL", 0.0)
    nodes = [ONE, TWO]
    tries = iter(range(7))

    async def set_up(_url: URL) -> None:
        if next(tries) < 6:
            raise ConnectionError

    await Failover(nodes, set_up)(lost, None)
    assert next(tries, None) is None


async def test_the_end_of_a_connection_ends_the_search_for_a_node(lost: RobustConnection) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def set_up(_url: URL) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(30):
        search = asyncio.create_task(Failover([ONE, TWO], set_up)(lost, None))
        await begun.wait()
        await lost.close()
        await search
    assert ended.is_set()
    assert lost.url == ONE


async def test_the_first_connection_goes_to_the_first_node_that_can_be_set_up() -> None:
    assert await Failover([ONE, TWO, THREE], away()).find() == ONE
    assert await Failover([ONE, TWO, THREE], away(ONE, TWO)).find() == THREE
    with pytest.raises(ConnectionError, match="two is away"):
        await Failover([ONE, TWO], away(ONE, TWO)).find()
