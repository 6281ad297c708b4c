"""Loading a broadcast from its events, and recording what becomes of it: events, tables and messages in one go."""

from collections.abc import Sequence
from datetime import datetime

from libs.common import broadcast as rules
from libs.common import events as e
from libs.common import outbox, projections, store
from libs.common.broadcast import Broadcast
from libs.common.database import Connection
from libs.common.errors import NotFound

#: Makes those who want to change the same broadcast wait in line, while texts that only refer to it go on.
LOCK = "SELECT id FROM broadcasts WHERE id = %s FOR NO KEY UPDATE"


async def load(connection: Connection, broadcast_id: int) -> tuple[Broadcast, int]:
    """Lock a broadcast until the transaction ends; give its state and its stream's version. Raises NotFound."""
    await connection.execute(LOCK, (broadcast_id,))
    recorded, version = await store.read(connection, store.stream(broadcast_id))
    broadcast = rules.fold(item.event for item in recorded)
    if broadcast is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")
    return broadcast, version


async def record(
    connection: Connection, broadcast_id: int, version: int, events: Sequence[e.Event], now: datetime
) -> int:
    """Append events to a broadcast's stream, do what they say to its tables and tell the other services.

    Gives the stream's new version. Raises ConcurrencyError if the stream is not at `version`.
    """
    if not events:
        return version
    version = await store.append(connection, store.stream(broadcast_id), events, now=now, expected=version)
    for event in events:
        await projections.apply(connection, event, now)
    published = [event for event in events if isinstance(event, e.PUBLISHED)]
    await outbox.write(connection, published, now=now)
    return version


async def note(
    connection: Connection, stream: str, events: Sequence[e.Event], now: datetime, *, publish: bool = False
) -> None:
    """Append events to one of the streams beside the broadcast's own, at its end, and do what they say."""
    if not events:
        return
    await store.append(connection, stream, events, now=now)
    for event in events:
        await projections.apply(connection, event, now)
    if publish:
        await outbox.write(connection, events, now=now)
