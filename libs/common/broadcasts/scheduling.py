"""Planning what comes next: rows and messages for a step, written in the transaction that decides it.

A batch is a row of `batches`, so that a step that got lost with the broker can be told from one that is under way.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text

from libs.common.broadcasts import messages, repository
from libs.common.database import Connection
from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from libs.common.domain.states import SENDING, BroadcastState
from libs.common.errors import Conflict
from libs.common.messaging import outbox
from libs.common.observability import tracing

#: States in which a status sync makes sense: something has been sent.
SYNCABLE = (
    *SENDING,
    BroadcastState.PAUSED,
    BroadcastState.SYNCING,
    BroadcastState.CANCELLED,
    BroadcastState.COMPLETED,
)

#: Plans a batch.
PLAN_BATCH = text("""
INSERT INTO batches (id, broadcast_id, is_second, pool_index, due_at, traceparent)
VALUES (:id, :broadcast_id, :is_second, :pool_index, :due, :traceparent)
""")

#: Makes the batches of a phase that nobody has begun due now.
HURRY = text("""
UPDATE batches SET due_at = :now
WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND closed_at IS NULL AND lease_until IS NULL
RETURNING id
""")

#: Makes the batches of a number that nobody has begun due now, of all broadcasts.
HURRY_NUMBER = text(f"""
UPDATE batches b SET due_at = :now FROM broadcasts c
WHERE c.id = b.broadcast_id AND b.closed_at IS NULL AND b.lease_until IS NULL AND b.due_at > :now
  AND {messages.number_of("b", "c")} = :number
RETURNING b.id, b.broadcast_id, b.is_second
""")

#: Closes the batches of a broadcast that nobody has begun. Those under way find nothing to send, and close themselves:
#: a worker that starts messages locks its batch before the broadcast.
DROP_BATCHES = text("""
UPDATE batches SET closed_at = :now
WHERE broadcast_id = :broadcast_id AND closed_at IS NULL AND lease_until IS NULL
""")

#: Forgets when the next pass over the log is due.
DROP_PASS = text("UPDATE syncs SET due_at = NULL WHERE broadcast_id = :broadcast_id")

#: When the batches of a phase are due, or were, that are planned or under way.
OPEN = """
SELECT due_at FROM batches WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND closed_at IS NULL
"""
OPEN_BATCHES = text(OPEN)

#: Counts the passes over the log; a step of an earlier pass does nothing any more.
NEXT_PASS = text("""
INSERT INTO syncs AS s (broadcast_id, number, due_at, traceparent)
VALUES (:broadcast_id, 1, :due, :traceparent)
ON CONFLICT (broadcast_id) DO UPDATE
SET number = s.number + 1, due_at = excluded.due_at, traceparent = excluded.traceparent
RETURNING number
""")

#: Plans a look at the uncertain messages of a broadcast, unless one is planned that is due before.
PLAN_LOOK = text("""
INSERT INTO settlings AS s (broadcast_id, number, due_at, traceparent)
VALUES (:broadcast_id, 1, :due, :traceparent)
ON CONFLICT (broadcast_id) DO UPDATE
SET number = s.number + 1, due_at = excluded.due_at, traceparent = excluded.traceparent
WHERE s.due_at IS NULL OR s.due_at > excluded.due_at
RETURNING number
""")

#: Takes the look that is planned. Its number goes up: the same step that comes again does nothing, and what the
#: watchdog emits, should nothing more be heard of whoever takes it, is another one.
TAKE_LOOK = text("""
UPDATE settlings SET number = number + 1, due_at = :until
WHERE broadcast_id = :broadcast_id AND number = :number AND due_at IS NOT NULL RETURNING number
""")

#: Takes whatever look is planned, or none.
TAKE_ANY_LOOK = text("""
INSERT INTO settlings AS s (broadcast_id, number, due_at) VALUES (:broadcast_id, 1, :until)
ON CONFLICT (broadcast_id) DO UPDATE SET number = s.number + 1, due_at = excluded.due_at RETURNING number
""")

KEEP_LOOK = text("""
UPDATE settlings SET due_at = :until WHERE broadcast_id = :broadcast_id AND number = :number RETURNING number
""")

END_LOOK = text("""
UPDATE settlings SET number = number + 1, due_at = :due, traceparent = :traceparent
WHERE broadcast_id = :broadcast_id AND number = :number RETURNING number
""")


async def plan_batch(
    connection: Connection,
    broadcast_id: int,
    due: datetime,
    now: datetime,
    *,
    is_second: bool,
    pool_index: int = 0,
) -> UUID:
    """Plan a batch of a phase for `due`, of messages from one of the broadcast's numbers."""
    batch_id = uuid4()
    names = {"id": batch_id, "broadcast_id": broadcast_id, "is_second": is_second, "pool_index": pool_index}
    await connection.execute(PLAN_BATCH, {**names, "due": due, "traceparent": tracing.current()})
    command = SendBatch(broadcast_id=broadcast_id, batch_id=batch_id, is_second=is_second)
    await outbox.write(connection, [command], now=now, deliver_at=due)
    return batch_id


async def open_batches(connection: Connection, broadcast_id: int, *, is_second: bool) -> int:
    """Return how many batches of a phase are planned or under way."""
    cursor = await connection.execute(OPEN_BATCHES, {"broadcast_id": broadcast_id, "is_second": is_second})
    return len(cursor.scalars().all())


async def drop_steps(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Take back the steps that are planned for a broadcast, which the caller has locked: it does not send any more."""
    await connection.execute(DROP_BATCHES, {"broadcast_id": broadcast_id, "now": now})
    await connection.execute(DROP_PASS, {"broadcast_id": broadcast_id})
    for step in (SendBatch, SyncStatuses):
        await outbox.forget(connection, broadcast_id, step.__name__)


async def plan_sync(connection: Connection, broadcast_id: int, due: datetime, now: datetime) -> int:
    """Plan the next pass over the carrier's log for `due`; return its number."""
    cursor = await connection.execute(
        NEXT_PASS, {"broadcast_id": broadcast_id, "due": due, "traceparent": tracing.current()}
    )
    number = int(cursor.scalar_one())
    command = SyncStatuses(broadcast_id=broadcast_id, number=number)
    await outbox.write(connection, [command], now=now, deliver_at=due)
    return number


async def plan_settling(connection: Connection, broadcast_id: int, due: datetime, now: datetime) -> None:
    """Have the uncertain messages of a broadcast looked up by `due`: one look is planned at a time, the earliest."""
    planned = {"broadcast_id": broadcast_id, "due": due, "traceparent": tracing.current()}
    number = (await connection.execute(PLAN_LOOK, planned)).scalar_one_or_none()
    if number is not None:
        await _write_settling(connection, broadcast_id, number, due, now)


async def plan_settling_again(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Have a look made now in place of one that was lost, or was never planned."""
    cursor = await connection.execute(TAKE_ANY_LOOK, {"broadcast_id": broadcast_id, "until": now})
    await _write_settling(connection, broadcast_id, cursor.scalar_one(), now, now)


async def take_settling(connection: Connection, broadcast_id: int, number: int | None, until: datetime) -> int | None:
    """Take a planned look, and be left alone with it until `until`; return its number from then on.

    None if somebody else has it, it was made, or another is planned in its place.
    """
    statement = TAKE_ANY_LOOK if number is None else TAKE_LOOK
    cursor = await connection.execute(statement, {"broadcast_id": broadcast_id, "number": number, "until": until})
    taken: int | None = cursor.scalar_one_or_none()
    return taken


async def keep_settling(connection: Connection, broadcast_id: int, number: int, until: datetime) -> bool:
    """Be left alone for longer, and lock the look until the transaction ends; False if it is somebody else's now."""
    cursor = await connection.execute(KEEP_LOOK, {"broadcast_id": broadcast_id, "number": number, "until": until})
    return cursor.first() is not None


async def end_settling(
    connection: Connection, broadcast_id: int, number: int, due: datetime | None, now: datetime
) -> None:
    """Record that a look is over, and when the next is due; None if none is needed."""
    names = {"broadcast_id": broadcast_id, "number": number, "due": due, "traceparent": tracing.current()}
    following = (await connection.execute(END_LOOK, names)).scalar_one_or_none()
    if following is not None and due is not None:
        await _write_settling(connection, broadcast_id, following, due, now)


async def _write_settling(connection: Connection, broadcast_id: int, number: int, due: datetime, now: datetime) -> None:
    await outbox.forget(connection, broadcast_id, SettleUncertain.__name__)
    command = SettleUncertain(broadcast_id=broadcast_id, number=number)
    await outbox.write(connection, [command], now=now, deliver_at=due)


async def ask_for_batch(connection: Connection, broadcast_id: int, now: datetime, *, is_second: bool) -> None:
    """Have the next batch of a phase sent now: what is planned for later becomes due, what is under way stays so.

    Raise NotFound, or Conflict unless the broadcast is in that phase.
    """
    broadcast = await repository.load(connection, broadcast_id)
    phase = BroadcastState.SENDING_SECOND if is_second else BroadcastState.SENDING_FIRST
    if broadcast.state != phase:
        raise Conflict(f"a broadcast that is {broadcast.state} sends no {'second' if is_second else 'first'} messages")
    cursor = await connection.execute(HURRY, {"broadcast_id": broadcast_id, "is_second": is_second, "now": now})
    commands = [
        SendBatch(broadcast_id=broadcast_id, batch_id=batch_id, is_second=is_second) for batch_id in cursor.scalars()
    ]
    await outbox.write(connection, commands, now=now)
    if not commands and await open_batches(connection, broadcast_id, is_second=is_second) == 0:
        for index in range(len(broadcast.numbers)):
            await plan_batch(connection, broadcast_id, now, now, is_second=is_second, pool_index=index)


async def look_at_number_again(connection: Connection, sending_number_id: int, now: datetime) -> None:
    """Have what waits for a number looked at now: how the number sends was changed, and it may go on earlier."""
    cursor = await connection.execute(HURRY_NUMBER, {"number": sending_number_id, "now": now})
    commands = [
        SendBatch(broadcast_id=broadcast_id, batch_id=batch_id, is_second=is_second)
        for batch_id, broadcast_id, is_second in cursor.tuples()
    ]
    await outbox.write(connection, commands, now=now)


async def ask_for_sync(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Have one pass over the carrier's log made now.

    Raise NotFound, or Conflict if nothing of the broadcast can have been sent.
    """
    broadcast = await repository.load(connection, broadcast_id)
    if broadcast.state not in SYNCABLE:
        raise Conflict(f"a broadcast that is {broadcast.state} has no statuses")
    await outbox.write(connection, [SyncStatuses(broadcast_id=broadcast_id)], now=now)
