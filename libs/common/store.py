"""The event store: streams that are only appended to.

A stream's versions run 1, 2, 3 … without a gap. Appending locks the stream's head until the transaction ends, so
appends to one stream queue up, and a writer that names the version it has read is refused when the stream moved on.

The hazard of reading by position: positions are handed out before commits, so a reader may see 7 while 6 is still
uncommitted and, if it remembers 7, never see 6. Readers that follow the table therefore stop at the oldest
transaction still running (`pg_snapshot_xmin`). A dump that was loaded elsewhere brings numbers of transactions along
that may not have begun there: a row that is visible and of such a number was committed in its former life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from psycopg.types.json import Jsonb

from libs.common import causation, codec, database, telemetry
from libs.common.database import Connection
from libs.common.errors import ConcurrencyError
from libs.common.events import EVENTS, Event

#: Moves a stream's head by `count` and writes the events behind it; no row where the head is not where it should be.
APPEND = """
WITH head AS (
    INSERT INTO streams AS s (stream, version) VALUES (%(stream)s, %(count)s)
    ON CONFLICT (stream) DO UPDATE SET version = s.version + %(count)s
    WHERE %(expected)s::integer IS NULL OR s.version = %(expected)s::integer
    RETURNING version
), appended AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id)
    SELECT %(stream)s, head.version - %(count)s + e.n, e.id, e.type, e.schema_version, %(broadcast_id)s, e.data,
           %(now)s, %(correlation_id)s, %(causation_id)s
    FROM head, unnest(%(ids)s::uuid[], %(types)s::text[], %(versions)s::smallint[], %(data)s::jsonb[])
         WITH ORDINALITY AS e (id, type, schema_version, data, n)
    ORDER BY e.n
)
SELECT version FROM head
"""

#: One stream, oldest first.
READ = """
SELECT version, type, schema_version, data, occurred_at FROM events WHERE stream = %(stream)s ORDER BY version
"""

#: A page of all that concerns a broadcast, oldest first, up to the oldest transaction that still runs.
OF_BROADCAST = """
SELECT position, stream, version, id, type, schema_version, data, occurred_at, correlation_id, causation_id
FROM events
WHERE broadcast_id = %(broadcast_id)s AND position > %(after)s
  AND (transaction_id < pg_snapshot_xmin(pg_current_snapshot())
       OR transaction_id >= pg_snapshot_xmax(pg_current_snapshot()))
ORDER BY position LIMIT %(limit)s
"""


for _type in EVENTS:
    telemetry.EVENTS.labels(_type.__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event with the time it was recorded at."""

    event: Event
    at: datetime


async def append(
    connection: Connection, stream: str, events: Sequence[Event], *, now: datetime, expected: int | None = None
) -> int:
    """Append events to a stream and give its new version.

    `expected` is the version that the writer has read (0 for a new stream); None appends wherever the end is.
    Raises ConcurrencyError if the stream is not at `expected`.
    """
    cause = causation.current()
    names = [type(event).__name__ for event in events]
    cursor = await connection.execute(
        APPEND,
        {
            "stream": stream,
            "count": len(events),
            "expected": expected,
            "broadcast_id": getattr(events[0], "broadcast_id", None),
            "now": now,
            "correlation_id": cause.correlation_id,
            "causation_id": cause.causation_id,
            "ids": [uuid4() for _ in events],
            "types": names,
            "versions": [codec.version(name) for name in names],
            "data": [Jsonb(codec.encode(event)) for event in events],
        },
    )
    row = await cursor.fetchone()
    if row is None or (expected is not None and row["version"] != expected + len(events)):
        raise ConcurrencyError
    database.when_committed(lambda: _count(names))
    return int(row["version"])


def _count(names: Sequence[str]) -> None:
    for name in names:
        telemetry.EVENTS.labels(name).inc()


async def read(connection: Connection, stream: str) -> tuple[list[Recorded], int]:
    """Give a stream's events, oldest first, and its version (0 where there is none)."""
    cursor = await connection.execute(READ, {"stream": stream})
    rows = await cursor.fetchall()
    recorded = [Recorded(event=event_of(row), at=row["occurred_at"]) for row in rows]
    return recorded, rows[-1]["version"] if rows else 0


async def of_broadcast(
    connection: Connection, broadcast_id: int, *, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Give the raw events of a broadcast behind position `after`, at most `limit` of them."""
    cursor = await connection.execute(OF_BROADCAST, {"broadcast_id": broadcast_id, "after": after, "limit": limit})
    return await cursor.fetchall()


def event_of(row: dict[str, Any]) -> Event:
    """Give the event of a row of `events`, whatever version it was written in. Raises UnreadableMessage."""
    return cast("Event", codec.decode(row["type"], row["schema_version"], row["data"]))


def stream(broadcast_id: int, part: str | None = None) -> str:
    """Name a broadcast's own stream, or that of one part of it (`texts`, `statuses`, `replies`, `recipients`)."""
    return f"broadcast-{broadcast_id}-{part}" if part else f"broadcast-{broadcast_id}"
