"""How far the pass over Missive's labels came: its one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, first_row

#: The first pass is due at once.
BEGIN = text("INSERT INTO missive_label_passes (due_at) VALUES (:now) ON CONFLICT DO NOTHING")

#: Takes the step that is due: no other process takes it before `until_then`, unless this one writes how it ended.
TAKE = text("""
UPDATE missive_label_passes SET due_at = :until_then, began_at = coalesce(began_at, :now) WHERE due_at <= :now
RETURNING began_at, listed, is_listed, remaining, until
""")

#: Writes how far a step came; nothing where another process has taken it meanwhile.
WRITE = text("""
UPDATE missive_label_passes SET due_at = :now, listed = :new_listed, is_listed = :new_is_listed,
    remaining = :new_remaining, until = CAST(:new_until AS double precision)
WHERE began_at = :began_at AND due_at = :until_then
""")

#: Writes that the pass is done, and when the next one is due.
DONE = text("""
UPDATE missive_label_passes SET due_at = :next_at, began_at = NULL, listed = 0, is_listed = false, remaining = '{}',
    until = NULL, done_at = :now
WHERE began_at = :began_at AND due_at = :until_then
""")


@dataclass(frozen=True, slots=True)
class Step:
    """Where a pass stands."""

    began_at: datetime
    #: How many labels were listed.
    listed: int
    #: Whether all were.
    is_listed: bool
    #: Ids of labels whose conversations are still to be read.
    remaining: Sequence[str]
    #: Where the next page of the first of them begins; None for its first page.
    until: float | None


async def take(connection: Connection, now: datetime, until_then: datetime) -> Step | None:
    """Take the step that is due, the first one at once; None where none is, or another process was faster."""
    await connection.execute(BEGIN, {"now": now})
    return first_row(await connection.execute(TAKE, {"now": now, "until_then": until_then}), Step)


async def write(connection: Connection, step: Step, now: datetime, until_then: datetime) -> bool:
    """Write how far a step came; False where another process has taken it meanwhile."""
    cursor = await connection.execute(
        WRITE,
        {
            "now": now,
            "until_then": until_then,
            "began_at": step.began_at,
            "new_listed": step.listed,
            "new_is_listed": step.is_listed,
            "new_remaining": list(step.remaining),
            "new_until": step.until,
        },
    )
    return cursor.rowcount > 0


async def done(connection: Connection, step: Step, now: datetime, until_then: datetime, next_at: datetime) -> None:
    """Write that the pass is done, and when the next one is due."""
    times = {"now": now, "until_then": until_then, "next_at": next_at}
    await connection.execute(DONE, {**times, "began_at": step.began_at})
