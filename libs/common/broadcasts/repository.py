"""Load a broadcast from its events, and record what becomes of it: events, tables and outbox in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast, evolve, fold
from libs.common.errors import NotFound
from libs.common.eventstore import projections, store
from libs.common.messaging import outbox

#: Makes those who want to change the same broadcast wait in line, while messages that only refer to it go on.
LOCK = text("SELECT id FROM broadcasts WHERE id = :id FOR NO KEY UPDATE")


async def lock(connection: Connection, broadcast_id: int) -> None:
    """Lock a broadcast until the transaction ends: its row comes before those of its messages. Raise NotFound."""
    if (await connection.execute(LOCK, {"id": broadcast_id})).first() is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")


async def load(connection: Connection, broadcast_id: int) -> Broadcast:
    """Lock a broadcast until the transaction ends, and return it. Raise NotFound."""
    await lock(connection, broadcast_id)
    return await read(connection, broadcast_id)


async def read(connection: Connection, broadcast_id: int) -> Broadcast:
    """Return a broadcast that the transaction has locked."""
    recorded, version = await store.read(connection, store.stream(broadcast_id))
    broadcast = fold((item.event, item.at) for item in recorded)
    assert broadcast is not None, "the row of a broadcast is written with its first event"
    return replace(broadcast, version=version)


async def create(connection: Connection, scheduled: e.BroadcastScheduled, now: datetime) -> Broadcast:
    """Record a new broadcast. Raise ConcurrencyError if its id is taken."""
    return await _record(connection, scheduled.broadcast_id, None, [scheduled], now)


async def save(connection: Connection, broadcast: Broadcast, events: Sequence[e.Event], now: datetime) -> Broadcast:
    """Record what happens to a broadcast, and return it as it is then.

    Raise ConcurrencyError if something else has happened to it since it was loaded.
    """
    return await _record(connection, broadcast.id, broadcast, events, now) if events else broadcast


async def _record(
    connection: Connection, broadcast_id: int, before: Broadcast | None, events: Sequence[e.Event], now: datetime
) -> Broadcast:
    """Append events to a broadcast's stream, do what they say to its tables and tell the other services."""
    events = [_signed(connection, event) for event in events]
    expected = 0 if before is None else before.version
    version = await store.append(connection, store.stream(broadcast_id), events, now=now, expected=expected)
    after = before
    for event in events:
        after = evolve(after, event, now)
    assert after is not None, "a broadcast begins with BroadcastScheduled"
    await projections.save(connection, after, is_new=before is None)
    for event in events:
        await projections.apply(connection, event, now)
    published = [event for event in events if isinstance(event, e.PUBLISHED)]
    await outbox.write(connection, published, now=now)
    return replace(after, version=version)


def _signed(connection: Connection, event: e.Event) -> e.Event:
    """Return an event with its author, where it has one and names none: whoever the transaction is of."""
    if isinstance(event, e.BroadcastScheduled | e.BroadcastEdited) and not event.author:
        return replace(event, author=str(database.actor_of(connection)))
    return event


async def append_events(
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
