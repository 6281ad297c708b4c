"""Declarations on the broker. A refusal raises BrokerUnfit, which names the permission that is missing.

Older brokers (RabbitMQ 3.10 is one) name what they refuse access to, and not the permission. Which one it is follows
from the operation, and from whether a queue or an exchange was refused.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue
from aiormq.exceptions import ChannelAccessRefused
from faststream.rabbit import RabbitExchange, RabbitQueue

from libs.common.errors import BrokerUnfit

#: How the broker refuses; newer ones name the permission, too.
REFUSED = re.compile(r"(?:(configure|write|read) )?access to (queue|exchange)")


@contextmanager
def permission(*, queue: str = "", exchange: str = "") -> Iterator[None]:
    """Raise BrokerUnfit where the broker refuses access.

    `queue` and `exchange` are the permissions that the operation needs on the one and on the other.
    """
    try:
        yield
    except ChannelAccessRefused as error:
        refused = REFUSED.search(str(error))
        named, kind = refused.groups() if refused else (None, "")
        missing = named or {"queue": queue, "exchange": exchange}.get(kind) or "configure, write or read"
        raise BrokerUnfit(f"the broker's user lacks the permission to {missing}: {error}") from error


async def exchange(channel: AbstractChannel, settings: RabbitExchange) -> AbstractExchange:
    """Declare an exchange. What exists stays as it is."""
    with permission(exchange="configure"):
        return await channel.declare_exchange(
            settings.name, type=settings.type.value, durable=True, arguments=settings.arguments
        )


async def queue(channel: AbstractChannel, settings: RabbitQueue) -> AbstractQueue:
    """Declare a queue. What exists stays as it is."""
    # Where it makes the queue, the broker also asks for the permission to read it, and to write to its dead-letter
    # exchange. Where the queue exists it does not.
    with permission(queue="configure or read", exchange="write"):
        return await channel.declare_queue(settings.name, durable=True, arguments=settings.arguments)


async def bind(channel: AbstractChannel, name: str, to: str, routing_key: str) -> None:
    """Bind a queue to an exchange; both exist."""
    bound = await channel.get_queue(name, ensure=False)
    with permission(queue="write", exchange="read"):
        await bound.bind(to, routing_key=routing_key)


async def bind_exchange(bound: AbstractExchange, to: AbstractExchange, routing_key: str) -> None:
    """Bind an exchange to another one."""
    with permission(exchange="write or read"):
        await bound.bind(to, routing_key=routing_key)
