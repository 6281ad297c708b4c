"""What a batch does to the database. Each step that matters is one statement, and names the fence.

A batch is taken with a fence that is newer than any before; a worker whose fence is old finds that its statements
change nothing, and stops. The statement that starts an attempt is the last look before a text leaves: it checks the
fence, the broadcast's state, opt-outs, erasures, replies, quiet hours and whether a restore is settled
(`restored.py`), and commits the attempt, all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common import events as e
from libs.common import lifecycle, outbox, restored, store, texts
from libs.common.database import Connection
from libs.common.texts import Attempt

#: Takes a batch: planned, given back by a worker that did not finish, or left by one that went quiet.
TAKE = """
UPDATE batches b SET fence = b.fence + 1, lease_until = %(lease_until)s
FROM broadcasts c JOIN sending_numbers n ON n.id = c.sending_number_id
WHERE b.id = %(batch_id)s AND c.id = b.broadcast_id AND b.closed_at IS NULL
  AND (b.lease_until IS NULL OR b.lease_until < %(now)s OR %(redelivered)s)
RETURNING b.fence, b.broadcast_id, b.is_second, c.sending_number_id, n.phone_number,
          CASE WHEN b.is_second THEN c.second_message ELSE c.first_message END AS body
"""

#: Keeps a batch; no row if it is somebody else's now.
RENEW = """
UPDATE batches SET lease_until = %(lease_until)s
WHERE id = %(batch_id)s AND fence = %(fence)s AND closed_at IS NULL RETURNING id
"""

#: Claims texts until the batch holds `size` of them; other batches pass over those that this one looks at. They are
#: found again one by one: a join would be planned for as many as a limit that is not known before might let through.
CLAIM = f"""
WITH batch AS (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.id = %(batch_id)s AND b.fence = %(fence)s AND b.closed_at IS NULL AND c.state = %(state)s
    FOR SHARE
), picked AS (
    SELECT m.id FROM outgoing_messages m
    WHERE {texts.CLAIMABLE} AND EXISTS (SELECT FROM batch)
    ORDER BY {texts.CLAIM_ORDER}
    LIMIT greatest(0, %(size)s - (SELECT count(*) FROM outgoing_messages
                                  WHERE claimed_by = %(batch_id)s AND state = 'claimed'))
    FOR UPDATE SKIP LOCKED
)
UPDATE outgoing_messages m SET state = 'claimed', claimed_by = %(batch_id)s
WHERE m.id = ANY(ARRAY(SELECT id FROM picked)) RETURNING m.id
"""

#: How many claimed texts a batch holds.
HELD = "SELECT count(*) AS texts FROM outgoing_messages WHERE claimed_by = %(batch_id)s AND state = 'claimed'"

#: Starts the attempts of the next texts of a batch: after this has committed their requests may leave.
START = f"""
WITH batch AS (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.id = %(batch_id)s AND b.fence = %(fence)s AND b.closed_at IS NULL AND c.state = %(state)s
    FOR SHARE
), next AS (
    SELECT m.id FROM outgoing_messages m
    WHERE m.claimed_by = %(batch_id)s AND m.state = 'claimed' AND EXISTS (SELECT FROM batch) AND NOT %(quiet)s
      AND NOT {restored.HOLDS}
      AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = m.recipient_phone_number)
      AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL)
      AND NOT (m.is_second AND EXISTS (
          SELECT FROM replies r WHERE r.broadcast_id = m.broadcast_id AND r.contact_id = m.contact_id))
    ORDER BY m.id LIMIT %(count)s FOR UPDATE OF m
)
UPDATE outgoing_messages m SET state = 'started', attempts = m.attempts + 1, attempt_started_at = %(now)s
FROM next WHERE m.id = next.id
RETURNING m.id, m.attempts, m.failures, m.recipient_phone_number
"""

#: Closes a batch; no row if it is somebody else's now.
CLOSE = """
UPDATE batches SET closed_at = %(now)s WHERE id = %(batch_id)s AND fence = %(fence)s AND closed_at IS NULL RETURNING id
"""

#: Locks what a batch claimed and did not start.
UNSTARTED = """
SELECT id FROM outgoing_messages WHERE claimed_by = %(batch_id)s AND state = 'claimed' ORDER BY id FOR NO KEY UPDATE
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as its worker holds it."""

    id: UUID
    fence: int
    broadcast_id: int
    is_second: bool
    sending_number_id: int
    from_number: str
    body: str

    @property
    def state(self) -> str:
        """The state that the broadcast has while texts of this batch may leave."""
        return "sending_second" if self.is_second else "sending_first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An attempt whose request may leave now."""

    attempt: Attempt
    #: Attempts before this one that count towards `MAX_ATTEMPTS`.
    failures: int


async def take(
    connection: Connection, batch_id: UUID, *, lease: float, redelivered: bool, now: datetime
) -> Batch | None:
    """Take a batch for `lease` seconds; None if it is closed, or a worker that stirs has it."""
    cursor = await connection.execute(
        TAKE,
        {
            "batch_id": batch_id,
            "lease_until": now + timedelta(seconds=lease),
            "now": now,
            "redelivered": redelivered,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Batch(
        id=batch_id,
        fence=row["fence"],
        broadcast_id=row["broadcast_id"],
        is_second=row["is_second"],
        sending_number_id=row["sending_number_id"],
        from_number=row["phone_number"],
        body=row["body"],
    )


async def renew(connection: Connection, batch: Batch, *, lease: float, now: datetime) -> bool:
    """Keep the batch for `lease` seconds more; False if it is lost."""
    parameters = {"batch_id": batch.id, "fence": batch.fence, "lease_until": now + timedelta(seconds=lease)}
    return await (await connection.execute(RENEW, parameters)).fetchone() is not None


async def claim(connection: Connection, batch: Batch, *, size: int, now: datetime) -> int:
    """Claim texts until the batch holds `size`, less those that must not leave; give how many it holds then."""
    cursor = await connection.execute(CLAIM, {**_names(batch), "size": size, "now": now})
    claimed = tuple(sorted(row["id"] for row in await cursor.fetchall()))
    if claimed:
        event = e.BatchClaimed(broadcast_id=batch.broadcast_id, batch_id=batch.id, fence=batch.fence, texts=claimed)
        await store.append(connection, texts.batch_stream(batch.broadcast_id, batch.id), [event], now=now)
        await texts.skip_unwanted(connection, batch.broadcast_id, now, is_second=batch.is_second, texts=claimed)
    row = await (await connection.execute(HELD, {"batch_id": batch.id})).fetchone()
    assert row is not None
    return int(row["texts"])


async def start(connection: Connection, batch: Batch, *, count: int, quiet: bool, now: datetime) -> list[Started]:
    """Commit the attempts of the next texts, at most `count`; none if the batch must not go on, or has no more."""
    cursor = await connection.execute(START, {**_names(batch), "count": count, "quiet": quiet, "now": now})
    rows = sorted(await cursor.fetchall(), key=lambda row: row["id"])
    if rows:
        event = e.TextsStarted(
            broadcast_id=batch.broadcast_id, batch_id=batch.id, texts=tuple(row["id"] for row in rows), at=now
        )
        await store.append(connection, texts.batch_stream(batch.broadcast_id, batch.id), [event], now=now)
    return [
        Started(
            attempt=Attempt(
                text=row["id"],
                broadcast_id=batch.broadcast_id,
                number=row["attempts"],
                batch_id=batch.id,
                to=row["recipient_phone_number"],
            ),
            failures=row["failures"],
        )
        for row in rows
    ]


async def close(connection: Connection, batch: Batch, *, started: int, now: datetime) -> bool:
    """Give back what was not started and say that the batch is over; False if it is somebody else's."""
    if await (await connection.execute(CLOSE, {**_names(batch), "now": now})).fetchone() is None:
        return False
    cursor = await connection.execute(UNSTARTED, {"batch_id": batch.id})
    returned: Sequence[int] = [row["id"] for row in await cursor.fetchall()]
    event = e.BatchSent(
        broadcast_id=batch.broadcast_id,
        batch_id=batch.id,
        is_second=batch.is_second,
        started=started,
        returned=tuple(returned),
    )
    await lifecycle.note(connection, texts.batch_stream(batch.broadcast_id, batch.id), [event], now)
    await outbox.write(connection, [event], now=now)
    return True


def _names(batch: Batch) -> dict[str, object]:
    return {
        "batch_id": batch.id,
        "fence": batch.fence,
        "broadcast_id": batch.broadcast_id,
        "is_second": batch.is_second,
        "state": batch.state,
    }
