"""The list of the broker's nodes."""

import asyncio

import aio_pika
import pytest
from aiormq.base import FutureStore
from yarl import URL

from libs.common import nodes


def test_nodes_keep_their_order_and_are_tried_once_each() -> None:
    found = nodes.addresses("amqp://u:p@a/, amqps://u:p@b:5999/x,amqp://u:p@a/")
    assert [(url.scheme, url.host, url.port, url.path) for url in found] == [
        ("amqp", "a", None, "/"),
        ("amqps", "b", 5999, "/x"),
    ]


def test_a_silent_node_is_given_up_soon_unless_its_url_says_otherwise() -> None:
    ours, theirs = nodes.addresses("amqp://a/?name=x,amqp://b/?heartbeat=30")
    assert dict(ours.query) == {"name": "x", "heartbeat": str(nodes.HEARTBEAT)}
    assert dict(theirs.query) == {"heartbeat": "30"}


@pytest.mark.parametrize("text", ["", "amqp://a/,", "amqp://a/,http://b/", "amqp://a/,amqp://", "a,b", "amqp://a:x/"])
def test_one_bad_address_spoils_the_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"AMQP URL|port"):
        nodes.addresses(text)


async def test_a_connection_that_is_lost_before_its_channel_opens_is_a_lost_connection() -> None:
    """aio-pika says RuntimeError, for which a background task would end its service."""
    connection = aio_pika.Connection(URL("amqp://127.0.0.1/"))
    with pytest.raises(nodes.AWAY):
        await nodes.open_channel(connection)


async def test_a_connection_that_is_lost_without_a_reason_is_a_lost_connection() -> None:
    """aiormq rejects what waits for an answer with a bare Exception then."""
    waiting = FutureStore(asyncio.get_running_loop())
    answer = waiting.create_future()
    await waiting.reject_all(None)
    with pytest.raises(nodes.AWAY), nodes.losing():
        await answer


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")])
def test_an_error_of_our_own_is_not_taken_for_a_lost_connection(error: Exception) -> None:
    with pytest.raises(type(error)), nodes.losing():
        raise error
