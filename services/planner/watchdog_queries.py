"""What the watchdog asks the database: what is overdue, and what is to be forgotten."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from libs.common.broadcasts.drafts import is_draft
from libs.common.database import Connection, all_rows, literals
from libs.common.domain.commands import SendBatch, SyncStatuses
from libs.common.domain.states import SENDING, BroadcastState, MessageKind, MessageState

#: A broadcast in these states goes on by itself.
GOES_ON = (*SENDING, BroadcastState.SYNCING)
#: In these it may have batches that are not closed; those of one that was paused or cancelled close when they come.
HAS_BATCHES = (
    BroadcastState.SENDING_FIRST, BroadcastState.SENDING_SECOND, BroadcastState.PAUSED, BroadcastState.CANCELLED,
)  # fmt: skip
#: In these passes over the carrier's log are made for it.
HAS_PASSES = (*GOES_ON, BroadcastState.CANCELLED)

#: Broadcasts for which something may be due.
UNDER_WAY = text(f"""
SELECT b.id, b.state = '{BroadcastState.SCHEDULED}' AS is_to_be_made FROM broadcasts b
WHERE b.completed_at IS NULL AND (
    (b.state = '{BroadcastState.SCHEDULED}' AND b.run_at <= :now AND NOT {is_draft("b")})
    OR b.state IN {literals(GOES_ON)} OR (b.state = '{BroadcastState.CANCELLED}' AND b.made_at IS NOT NULL))
ORDER BY b.id
""")

#: Steps that are due and not published yet, by type.
STEPS_TO_PUBLISH = text(f"""
SELECT type, count(*) AS steps FROM outbox WHERE kind = '{MessageKind.COMMAND}' AND deliver_at <= :now GROUP BY type
""")

#: Which batches are overdue that nobody has opened: their steps are lost, or wait for a sender.
UNOPENED = f"""
b.closed_at IS NULL AND b.lease_until IS NULL AND b.due_at < :before
AND c.state IN {literals(HAS_BATCHES)}
"""

#: How many batches are overdue that nobody has opened.
UNOPENED_BATCHES = text(f"""
SELECT count(*) FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id WHERE {UNOPENED}
""")

#: Takes batches that are overdue: whose worker has gone quiet, and, unless they merely wait their turn, never opened.
OVERDUE_BATCHES = text(f"""
UPDATE batches SET due_at = :now, lease_until = NULL WHERE id IN (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.closed_at IS NULL AND c.state IN {literals(HAS_BATCHES)}
      AND coalesce(b.lease_until, b.due_at) < :before AND (b.lease_until IS NOT NULL OR NOT :wait)
    ORDER BY b.id FOR UPDATE OF b SKIP LOCKED)
RETURNING id, broadcast_id, is_second, traceparent,
          (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = batches.broadcast_id) AS trace
""")

#: Which passes over the log are overdue.
OVERDUE = f"""
b.id = s.broadcast_id AND b.completed_at IS NULL AND s.due_at < :before
AND b.state IN {literals(HAS_PASSES)}
"""

#: How many passes over the log are overdue.
OVERDUE_PASSES = text(f"SELECT count(*) FROM syncs s JOIN broadcasts b ON {OVERDUE}")

#: Takes passes over the log that are overdue.
OVERDUE_SYNCS = text(f"""
UPDATE syncs s SET due_at = :now FROM broadcasts b
WHERE {OVERDUE}
RETURNING s.broadcast_id, s.number, s.traceparent,
          (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = s.broadcast_id) AS trace
""")

#: Broadcasts whose look at uncertain messages is overdue, or that have such messages and no look planned.
OVERDUE_SETTLING = text(f"""
SELECT b.id FROM broadcasts b LEFT JOIN settlings s ON s.broadcast_id = b.id
WHERE b.completed_at IS NULL AND b.made_at IS NOT NULL AND (s.due_at < :due_before OR (s.due_at IS NULL AND EXISTS (
    SELECT FROM outgoing_messages m WHERE m.broadcast_id = b.id AND m.state = '{MessageState.UNCERTAIN}'
    AND m.attempt_started_at < :before)))
ORDER BY b.id
""")

#: Forgets answers kept for callers who might have asked again.
PRUNE_KEYS = text("DELETE FROM idempotency_keys WHERE created_at < :before")

#: One who looks at many broadcasts does not wait for one that somebody else holds.
SHORT_WAIT = text("SELECT set_config('lock_timeout', '1s', true)")


@dataclass(frozen=True, slots=True)
class BroadcastUnderWay:
    """A broadcast for which something may be due."""

    id: int
    #: Whether it is to be made: a draw may take minutes.
    is_to_be_made: bool


@dataclass(frozen=True, slots=True)
class OverdueBatch:
    """A batch that was due."""

    id: UUID
    broadcast_id: int
    is_second: bool
    #: The span that planned it.
    traceparent: str | None
    #: The trace of its broadcast.
    trace: str | None

    @property
    def command(self) -> SendBatch:
        """The step that is lost, or waits for nobody."""
        return SendBatch(broadcast_id=self.broadcast_id, batch_id=self.id, is_second=self.is_second)


@dataclass(frozen=True, slots=True)
class OverduePass:
    """A pass over the log that was due."""

    broadcast_id: int
    number: int
    #: The span that planned it.
    traceparent: str | None
    #: The trace of its broadcast.
    trace: str | None

    @property
    def command(self) -> SyncStatuses:
        """The step that is lost, or waits for nobody."""
        return SyncStatuses(broadcast_id=self.broadcast_id, number=self.number)


async def under_way(connection: Connection, now: datetime) -> list[BroadcastUnderWay]:
    """Return the broadcasts for which something may be due, the oldest first."""
    return all_rows(await connection.execute(UNDER_WAY, {"now": now}), BroadcastUnderWay)


async def steps_to_publish(connection: Connection, now: datetime) -> Counter[str]:
    """Return how many steps of each type are due and not published yet."""
    return Counter(dict((await connection.execute(STEPS_TO_PUBLISH, {"now": now})).tuples().all()))


async def count_unopened_batches(connection: Connection, before: datetime) -> int:
    """Return how many batches that nobody has opened were due before a time."""
    return int((await connection.execute(UNOPENED_BATCHES, {"before": before})).scalar_one())


async def take_overdue_batches(
    connection: Connection, now: datetime, *, before: datetime, wait: bool
) -> list[OverdueBatch]:
    """Take the batches that were due before a time, and return their steps: they are due now.

    `wait` leaves out those that nobody has opened.
    """
    cursor = await connection.execute(OVERDUE_BATCHES, {"now": now, "before": before, "wait": wait})
    return all_rows(cursor, OverdueBatch)


async def count_overdue_passes(connection: Connection, before: datetime) -> int:
    """Return how many passes over the log were due before a time."""
    return int((await connection.execute(OVERDUE_PASSES, {"before": before})).scalar_one())


async def take_overdue_passes(connection: Connection, now: datetime, *, before: datetime) -> list[OverduePass]:
    """Take the passes over the log that were due before a time, and return their steps: they are due now."""
    cursor = await connection.execute(OVERDUE_SYNCS, {"now": now, "before": before})
    return all_rows(cursor, OverduePass)


async def overdue_settling(connection: Connection, *, before: datetime, due_before: datetime) -> list[int]:
    """Return the broadcasts whose look at uncertain messages was due before `due_before`.

    Those that have no look planned count as well, if a message of theirs has been uncertain since `before`.
    """
    cursor = await connection.execute(OVERDUE_SETTLING, {"before": before, "due_before": due_before})
    return list(cursor.scalars())


async def wait_briefly(connection: Connection) -> None:
    """Let each wait for a lock in this transaction end after a second, with a Collision."""
    await connection.execute(SHORT_WAIT)


async def prune_keys(connection: Connection, before: datetime) -> None:
    """Forget answers that were kept before a time for callers who might have asked again."""
    await connection.execute(PRUNE_KEYS, {"before": before})
