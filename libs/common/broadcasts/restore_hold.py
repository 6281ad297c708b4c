"""The mark that a database was restored to a point in the past: while it stands, nothing is started.

Messages that were sent after that point are `pending` in such a database. So the statement that starts attempts and the
making of broadcasts ask for the mark themselves, the planner plans nothing, and nothing reads the carrier's log but
`reconcile`, which alone knows all that may be in it, and lifts the mark.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, first_row
from libs.common.domain.events.registers import RestoreMarked, RestoreSettled
from libs.common.eventstore import store

#: What operators do about a restore is in this stream.
STREAM = "restore"

#: A condition that holds while nothing may start. Statements that start something have it in them.
HOLDS = "EXISTS (SELECT FROM restored WHERE reconciled_at IS NULL)"

HELD = text(f"SELECT {HOLDS} AS held")

#: Sets the mark. One that stands already stays, from the earlier of the two times on; what was sent until now may be in
#: the log, whichever restore this is.
MARK = text("""
INSERT INTO restored AS r (since, held_at) VALUES (:since, :now)
ON CONFLICT (one) DO UPDATE SET
    since = CASE WHEN r.reconciled_at IS NULL THEN least(r.since, excluded.since) ELSE excluded.since END,
    held_at = greatest(r.held_at, excluded.held_at),
    reconciled_at = NULL
""")

READ = text("SELECT since, held_at, reconciled_at FROM restored")

#: Lifts the mark, unless the database was marked anew meanwhile.
LIFT = text("""
UPDATE restored SET reconciled_at = greatest(held_at, :now)
WHERE reconciled_at IS NULL AND since = :since AND held_at = :held_at
""")


@dataclass(frozen=True, slots=True)
class Mark:
    """The last restore."""

    since: datetime
    held_at: datetime
    reconciled_at: datetime | None


async def held(connection: Connection) -> bool:
    """Return whether nothing may start."""
    return bool((await connection.execute(HELD)).scalar_one())


async def hold(connection: Connection, since: datetime, now: datetime) -> None:
    """Mark the database as restored to `since`: nothing starts from now on.

    A statement that began before this has committed may still start messages; a restored database has no such
    statements when nobody can connect to it before.
    """
    await connection.execute(MARK, {"since": since, "now": now})
    await store.append(connection, STREAM, [RestoreMarked(since=since)], now=now)


async def read(connection: Connection) -> Mark | None:
    """Return the last restore; None if there was none."""
    return first_row(await connection.execute(READ), Mark)


async def lift(connection: Connection, mark: Mark, now: datetime) -> None:
    """Record that everything since the mark is settled: broadcasts go on."""
    lifted = await connection.execute(LIFT, {"since": mark.since, "held_at": mark.held_at, "now": now})
    if lifted.rowcount:
        await store.append(connection, STREAM, [RestoreSettled(since=mark.since)], now=now)
