"""Planning what comes next: rows and messages for a step, written in the transaction that decides it.

A batch is a row of `batches`, so that a step that got lost with the broker can be told from one that is under way.
"""

from datetime import datetime
from uuid import UUID, uuid4

from libs.common import lifecycle, outbox, tracing
from libs.common.commands import SendBatch, SettleUncertain, SyncStatuses
from libs.common.database import Connection
from libs.common.errors import Conflict

#: States in which a status sync makes sense: something has been sent.
SYNCABLE = ("sending_first", "waiting", "sending_second", "paused", "syncing", "cancelled", "completed")

#: Plans a batch.
PLAN_BATCH = "INSERT INTO batches (id, broadcast_id, is_second, due_at, traceparent) VALUES (%s, %s, %s, %s, %s)"

#: Makes the batches of a phase that nobody has begun due now.
HURRY = """
UPDATE batches SET due_at = %(now)s
WHERE broadcast_id = %(broadcast_id)s AND is_second = %(is_second)s AND closed_at IS NULL AND lease_until IS NULL
RETURNING id
"""

#: Batches of a phase that are planned or under way.
OPEN_BATCHES = """
SELECT count(*) AS batches FROM batches
WHERE broadcast_id = %(broadcast_id)s AND is_second = %(is_second)s AND closed_at IS NULL
"""

#: Counts the passes over the log; a step of an earlier pass does nothing any more.
NEXT_PASS = """
INSERT INTO syncs AS s (broadcast_id, number, due_at, traceparent)
VALUES (%(broadcast_id)s, 1, %(due)s, %(traceparent)s)
ON CONFLICT (broadcast_id) DO UPDATE
SET number = s.number + 1, due_at = excluded.due_at, traceparent = excluded.traceparent
RETURNING number
"""


async def plan_batch(
    connection: Connection, broadcast_id: int, due: datetime, now: datetime, *, is_second: bool
) -> UUID:
    """Plan a batch of a phase for `due`."""
    batch_id = uuid4()
    await connection.execute(PLAN_BATCH, (batch_id, broadcast_id, is_second, due, tracing.current()))
    command = SendBatch(broadcast_id=broadcast_id, batch_id=batch_id, is_second=is_second)
    await outbox.write(connection, [command], now=now, deliver_at=due)
    return batch_id


async def open_batches(connection: Connection, broadcast_id: int, *, is_second: bool) -> int:
    """Give how many batches of a phase are planned or under way."""
    cursor = await connection.execute(OPEN_BATCHES, {"broadcast_id": broadcast_id, "is_second": is_second})
    row = await cursor.fetchone()
    assert row is not None
    return int(row["batches"])


async def plan_sync(connection: Connection, broadcast_id: int, due: datetime, now: datetime) -> int:
    """Plan the next pass over the carrier's log for `due`; give its number."""
    cursor = await connection.execute(
        NEXT_PASS, {"broadcast_id": broadcast_id, "due": due, "traceparent": tracing.current()}
    )
    row = await cursor.fetchone()
    assert row is not None
    command = SyncStatuses(broadcast_id=broadcast_id, number=row["number"])
    await outbox.write(connection, [command], now=now, deliver_at=due)
    return int(row["number"])


async def plan_settling(connection: Connection, broadcast_id: int, due: datetime, now: datetime) -> None:
    """Plan a look into the carrier's log for the uncertain texts of a broadcast, in place of any planned here."""
    await outbox.forget(connection, broadcast_id, SettleUncertain.__name__)
    await outbox.write(connection, [SettleUncertain(broadcast_id=broadcast_id)], now=now, deliver_at=due)


async def ask_for_batch(connection: Connection, broadcast_id: int, now: datetime, *, is_second: bool) -> None:
    """Have the next batch of a phase sent now: what is planned for later becomes due, what is under way stays so.

    Raises NotFound, or Conflict unless the broadcast is in that phase.
    """
    broadcast, _ = await lifecycle.load(connection, broadcast_id)
    phase = "sending_second" if is_second else "sending_first"
    if broadcast.state != phase:
        raise Conflict(f"a broadcast that is {broadcast.state} sends no {'second' if is_second else 'first'} messages")
    cursor = await connection.execute(HURRY, {"broadcast_id": broadcast_id, "is_second": is_second, "now": now})
    planned = await cursor.fetchall()
    commands = [SendBatch(broadcast_id=broadcast_id, batch_id=row["id"], is_second=is_second) for row in planned]
    await outbox.write(connection, commands, now=now)
    if not commands and await open_batches(connection, broadcast_id, is_second=is_second) == 0:
        await plan_batch(connection, broadcast_id, now, now, is_second=is_second)


async def ask_for_sync(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Have one pass over the carrier's log made now.

    Raises NotFound, or Conflict if nothing of the broadcast can have been sent.
    """
    broadcast, _ = await lifecycle.load(connection, broadcast_id)
    if broadcast.state not in SYNCABLE:
        raise Conflict(f"a broadcast that is {broadcast.state} has no statuses")
    await outbox.write(connection, [SyncStatuses(broadcast_id=broadcast_id)], now=now)
