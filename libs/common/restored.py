"""The mark that a database was restored to a point in the past: while it stands, nothing is started.

Texts that left after that point are `pending` in such a database. So the statement that starts attempts and the making
of broadcasts ask for the mark themselves, the planner plans nothing, and nothing reads the carrier's log but
`reconcile`, which alone knows all that may be in it, and lifts the mark.
"""

from dataclasses import dataclass
from datetime import datetime

from libs.common.database import Connection

#: A condition that holds while nothing may start. Statements that start something have it in them.
HOLDS = "EXISTS (SELECT FROM restored WHERE reconciled_at IS NULL)"

HELD = f"SELECT {HOLDS} AS held"

#: Sets the mark. One that stands already stays, from the earlier of the two times on; what left until now may be in
#: the log, whichever restore this is.
MARK = """
INSERT INTO restored AS r (since, held_at) VALUES (%(since)s, %(now)s)
ON CONFLICT (one) DO UPDATE SET
    since = CASE WHEN r.reconciled_at IS NULL THEN least(r.since, excluded.since) ELSE excluded.since END,
    held_at = greatest(r.held_at, excluded.held_at),
    reconciled_at = NULL
"""

READ = "SELECT since, held_at, reconciled_at FROM restored"

#: Lifts the mark, unless the database was marked anew meanwhile.
LIFT = """
UPDATE restored SET reconciled_at = greatest(held_at, %(now)s)
WHERE reconciled_at IS NULL AND since = %(since)s AND held_at = %(held_at)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The last restore."""

    since: datetime
    held_at: datetime
    reconciled_at: datetime | None


async def held(connection: Connection) -> bool:
    """Tell whether nothing may start."""
    row = await (await connection.execute(HELD)).fetchone()
    assert row is not None
    return bool(row["held"])


async def hold(connection: Connection, since: datetime, now: datetime) -> None:
    """Mark the database as restored to `since`: nothing starts from now on.

    A statement that began before this has committed may still start texts; a restored database has no such statements
    when nobody can connect to it before.
    """
    await connection.execute(MARK, {"since": since, "now": now})


async def read(connection: Connection) -> Mark | None:
    """Give the last restore; None if there was none."""
    row = await (await connection.execute(READ)).fetchone()
    return None if row is None else Mark(**row)


async def lift(connection: Connection, mark: Mark, now: datetime) -> None:
    """Say that everything since the mark is settled: broadcasts go on."""
    await connection.execute(LIFT, {"since": mark.since, "held_at": mark.held_at, "now": now})
