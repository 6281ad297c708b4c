"""The event store: streams that are only appended to.

A stream's versions run 1, 2, 3 … without a gap. Appending locks the stream's head until the transaction ends, so
appends to one stream queue up, and a writer that names the version it has read is refused when the stream moved on.

The hazard of reading by position: positions are handed out before commits, so a reader may see 7 while 6 is still
uncommitted and, if it remembers 7, never see 6. Readers that follow the table therefore stop at the oldest
transaction still running (`pg_snapshot_xmin`). A dump that was loaded into another server has
transaction numbers that may not have begun there. A visible row with such a number was committed on the old server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Connection, all_rows
from libs.common.domain import codec
from libs.common.domain.cause import Cause
from libs.common.domain.events import Event
from libs.common.errors import ConcurrencyError
from libs.common.observability import telemetry

#: Moves a stream's head by `count` and writes the events behind it; no row where the head is not where it should be.
APPEND = text("""
WITH head AS (
    INSERT INTO streams AS s (stream, version) VALUES (:stream, :count)
    ON CONFLICT (stream) DO UPDATE SET version = s.version + :count
    WHERE CAST(:expected AS integer) IS NULL OR s.version = CAST(:expected AS integer)
    RETURNING version
), appended AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id, actor)
    SELECT :stream, head.version - :count + e.n, e.id, e.type, e.schema_version, :broadcast_id, e.data,
           :now, :correlation_id, :causation_id, :actor
    FROM head, unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:versions AS smallint[]),
                      CAST(:data AS jsonb[])) WITH ORDINALITY AS e (id, type, schema_version, data, n)
    ORDER BY e.n
)
SELECT version FROM head
""").bindparams(bindparam("data", type_=ARRAY(JSONB)))

#: Writes one event behind the end of each of many streams, none of a broadcast.
APPEND_EACH = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:streams AS text[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:versions AS
    smallint[]),
                         CAST(:data AS jsonb[])) AS g (stream, id, type, schema_version, data)
), heads AS (
    INSERT INTO streams AS s (stream, version) SELECT stream, 1 FROM given ORDER BY stream
    ON CONFLICT (stream) DO UPDATE SET version = s.version + 1 RETURNING stream, version
)
INSERT INTO events (stream, version, id, type, schema_version, data, occurred_at, correlation_id, causation_id, actor)
SELECT stream, h.version, g.id, g.type, g.schema_version, g.data, :now, :correlation_id, :causation_id, :actor
FROM given g JOIN heads h USING (stream) ORDER BY stream
""").bindparams(bindparam("data", type_=ARRAY(JSONB)))

#: The name of the user who did it: events hold an id alone.
ACTOR_NAME = """
(SELECT u.name FROM users u WHERE u.id = CASE WHEN actor LIKE 'user:%' THEN CAST(substr(actor, 6) AS bigint) END)
"""

#: One stream, oldest first.
READ = text("""
SELECT version, type, schema_version, data, occurred_at FROM events WHERE stream = :stream ORDER BY version
""").columns(data=JSONB)

#: A page of all that concerns a broadcast, oldest first, up to the oldest transaction that still runs.
OF_BROADCAST = text(f"""
SELECT position, stream, version, id, type, schema_version, data, occurred_at, correlation_id, causation_id, actor,
       {ACTOR_NAME} AS actor_name
FROM events
WHERE broadcast_id = :broadcast_id AND position > :after
  AND (transaction_id < pg_snapshot_xmin(pg_current_snapshot())
       OR transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY position LIMIT :limit
""").columns(data=JSONB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event with the time it was recorded at."""

    event: Event
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is stored."""

    position: int
    stream: str
    version: int
    id: UUID
    type: str
    schema_version: int
    data: dict[str, Any]
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    #: Who did it, as `Actor` writes it, and the user's name where it was a user.
    actor: str
    actor_name: str | None


def appended(name: str, *, source: str, stream: str, event: type[Event], data: str) -> str:
    """Return the parts of a WITH that append one event where `source`, a part before, has its one row.

    For a statement in which every round trip counts. `stream` and `data`, a jsonb, are expressions over the source,
    which has a `broadcast_id`; `{name}_event` has a row if there was one. `origin` and `identity` give the parameters.
    """
    return f"""
{name}_head AS (
    INSERT INTO streams AS s (stream, version) SELECT {stream}, 1 FROM {source}
    ON CONFLICT (stream) DO UPDATE SET version = s.version + 1 RETURNING version
), {name}_event AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id, actor)
    SELECT {stream}, {name}_head.version, CAST(:{name}_id AS uuid), '{event.__name__}',
           CAST(:{name}_version AS smallint),
           {source}.broadcast_id, {data}, :now, CAST(:correlation_id AS uuid), CAST(:causation_id AS uuid),
           CAST(:actor AS text)
    FROM {source}, {name}_head
    RETURNING position
)"""


def origin(connection: Connection, now: datetime) -> dict[str, Any]:
    """Return the parameters that all parts of `appended` share."""
    return origin_of(replace(database.cause_of(connection), actor=database.actor_of(connection)), now)


def origin_of(cause: Cause, now: datetime) -> dict[str, Any]:
    """Return the parameters that all parts of `appended` share, for a statement that stands alone."""
    assert cause.actor is not None, "nobody did it"
    return {
        "now": now,
        "correlation_id": cause.correlation_id,
        "causation_id": cause.causation_id,
        "actor": str(cause.actor),
    }


def identity(name: str, event: type[Event]) -> dict[str, Any]:
    """Return the parameters of one part of `appended`."""
    return {f"{name}_id": uuid4(), f"{name}_version": codec.version(event.__name__)}


def count(connection: Connection, *events: type[Event]) -> None:
    """Count events that `appended` wrote, once they are committed."""
    database.on_commit(connection, lambda: count_committed(events))


def count_committed(events: Sequence[type[Event]]) -> None:
    """Count events that are committed."""
    _count([event.__name__ for event in events])


async def append(
    connection: Connection, stream: str, events: Sequence[Event], *, now: datetime, expected: int | None = None
) -> int:
    """Append events to a stream and give its new version.

    `expected` is the version that the writer has read (0 for a new stream); None appends wherever the end is.
    Raise ConcurrencyError if the stream is not at `expected`.
    """
    names = [type(event).__name__ for event in events]
    cursor = await connection.execute(
        APPEND,
        {
            "stream": stream,
            "count": len(events),
            "expected": expected,
            "broadcast_id": getattr(events[0], "broadcast_id", None),
            **origin(connection, now),
            "ids": [uuid4() for _ in events],
            "types": names,
            "versions": [codec.version(name) for name in names],
            "data": [codec.encode(event) for event in events],
        },
    )
    version: int | None = cursor.scalar_one_or_none()
    if version is None or (expected is not None and version != expected + len(events)):
        raise ConcurrencyError
    database.on_commit(connection, lambda: _count(names))
    return version


async def append_each(connection: Connection, events: Mapping[str, Event], *, now: datetime) -> None:
    """Append one event to each of many streams, wherever its end is. None may change a table (`projections.py`)."""
    if not events:
        return
    names = [type(event).__name__ for event in events.values()]
    await connection.execute(
        APPEND_EACH,
        {
            "streams": list(events),
            **origin(connection, now),
            "ids": [uuid4() for _ in events],
            "types": names,
            "versions": [codec.version(name) for name in names],
            "data": [codec.encode(event) for event in events.values()],
        },
    )
    database.on_commit(connection, lambda: _count(names))


def _count(names: Sequence[str]) -> None:
    for name in names:
        telemetry.EVENTS.labels(name).inc()


async def read(connection: Connection, stream: str) -> tuple[list[Recorded], int]:
    """Return a stream's events, oldest first, and its version (0 where there is none)."""
    rows = (await connection.execute(READ, {"stream": stream})).all()
    recorded = [recorded_event(type_, version, data, at) for _, type_, version, data, at in rows]
    return recorded, rows[-1].version if rows else 0


async def of_broadcast(
    connection: Connection, broadcast_id: int, *, after: int = 0, limit: int = 100
) -> list[StoredEvent]:
    """Return the raw events of a broadcast behind position `after`, at most `limit` of them."""
    cursor = await connection.execute(OF_BROADCAST, {"broadcast_id": broadcast_id, "after": after, "limit": limit})
    return all_rows(cursor, StoredEvent)


def recorded_event(type_: str, schema_version: int, data: dict[str, Any], at: datetime) -> Recorded:
    """Return an event by what stands in `events`, whatever version it was written in. Raise UnreadableMessage."""
    return Recorded(event=cast("Event", codec.decode(type_, schema_version, data)), at=at)


def stream(broadcast_id: int, part: str | None = None) -> str:
    """Name a broadcast's own stream, or that of one part of it (`messages`, `statuses`, `replies`, `recipients`)."""
    return f"broadcast-{broadcast_id}-{part}" if part else f"broadcast-{broadcast_id}"
