"""A queue that the broker has on record and cannot use, as RabbitMQ leaves it when it is killed at a bad moment."""

from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from aiormq.exceptions import ConnectionInternalError

from libs.common.messaging import broker_setup, queue_repair, topology
from libs.common.messaging.connection import close, connect
from libs.local.rabbitmq import RabbitMQ

QUEUE = topology.SEND_BATCH.name


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitMQ]:
    """A broker of this test's own."""
    broker = RabbitMQ(tmp_path / "rabbitmq", management=False)
    broker.start()
    yield broker
    broker.stop()


#: The process that holds a queue's messages: ended while the queue stays on record, or without a leader for ever.
ENDED = "ra:stop_server(quorum_queues, {{'%2F_{queue}', node()}})."
STUCK = "sys:suspend('%2F_{queue}')."


def break_queue(node: RabbitMQ, queue: str, how: str) -> None:
    """Leave a queue on record, and do that to the process that holds its messages."""
    assert node.control("eval", how.format(queue=queue)) == "ok"


async def get(amqp_url: str, queue: str) -> object:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        return await (await channel.get_queue(queue)).get(fail=False)


async def test_a_queue_that_cannot_be_used_is_deleted_and_declared_anew(node: RabbitMQ) -> None:
    await broker_setup.set_up(node.url, "auto")
    break_queue(node, QUEUE, ENDED)
    with pytest.raises(ConnectionInternalError):
        await get(node.url, QUEUE)
    await broker_setup.set_up(node.url, "auto")
    assert await get(node.url, QUEUE) is None


async def test_a_queue_that_never_answers_is_found(node: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether RabbitMQ can delete it depends on what is wrong; one without a leader goes within seconds."""
    await broker_setup.set_up(node.url, "auto")
    break_queue(node, QUEUE, STUCK)
    monkeypatch.setattr(queue_repair, "ANSWERS_WITHIN", 1.0)
    connection = await connect(node.url)
    assert not await queue_repair.works(connection, QUEUE)
    await close(connection)


async def test_a_queue_that_works_is_left_as_it_is(node: RabbitMQ) -> None:
    mode = await broker_setup.set_up(node.url, "auto")
    async with await aio_pika.connect(node.url) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"kept"), routing_key=QUEUE)
    assert await queue_repair.delete_broken(node.url, broker_setup.names(mode)) == []
    message = await get(node.url, QUEUE)
    assert isinstance(message, aio_pika.abc.AbstractIncomingMessage)
    assert not message.redelivered


async def test_a_queue_of_a_cluster_is_never_deleted(node: RabbitMQ) -> None:
    await broker_setup.set_up(node.url, "auto")
    break_queue(node, QUEUE, ENDED)
    assert await queue_repair.delete_broken(f"{node.url},{node.url}?name=other", [QUEUE]) == []
    with pytest.raises(ConnectionInternalError):
        await get(node.url, QUEUE)
