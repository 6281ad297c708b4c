"""Finding queues that the broker has on record and cannot use, and deleting them, so that they are declared anew.

RabbitMQ that is killed while it makes a quorum queue may come back with the queue's name and arguments but without the
process that holds its messages, or with one that never becomes a leader (both seen with 3.10.8). To declare it
succeeds; to consume from it ends the connection with INTERNAL_ERROR (`noproc`), or gets no answer at all. It stays so
until somebody deletes it. A queue never holds the only copy of a step, so to delete one that holds nothing that can be
reached loses nothing. In a cluster a queue may be without a leader for a moment, and is left alone.
"""

from collections.abc import Sequence

import structlog
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ConnectionInternalError

from libs.common.messaging.addresses import addresses
from libs.common.messaging.connection import close, connect, open_channel

log = structlog.stdlib.get_logger(__name__)

ANSWERS_WITHIN = 10.0  # seconds


async def delete_broken(amqp_url: str, queues: Sequence[str]) -> list[str]:
    """Delete those of the queues that a lone node cannot use; return their names.

    Raise what the loss of the broker raises, and ChannelNotFoundEntity if one does not exist at all.
    """
    if len(addresses(amqp_url)) > 1:
        return []
    broken = []
    connection = await connect(amqp_url)
    try:
        for name in queues:
            if await works(connection, name):
                continue
            await close(connection)
            connection = await connect(amqp_url)
            channel = await open_channel(connection)
            await channel.queue_delete(name, timeout=ANSWERS_WITHIN)
            log.error("broken_queue_deleted", queue=name)
            broken.append(name)
    finally:
        await close(connection)
    return broken


async def works(connection: AbstractConnection, name: str) -> bool:
    """Return whether a queue answers. One that has messages or consumers is not asked: it does."""
    channel = await open_channel(connection)
    queue = await channel.declare_queue(name, passive=True)
    found = queue.declaration_result
    if not found.message_count and not found.consumer_count:
        try:
            # What came in this moment goes back when the channel closes.
            await queue.get(fail=False, timeout=ANSWERS_WITHIN)
        except (ConnectionInternalError, TimeoutError):
            return False
    await channel.close()
    return True
