"""What the planner asks the database. Each query reads what is left, never what is done."""

from datetime import datetime, timedelta
from typing import Any

from libs.common import pace, steps, texts
from libs.common.database import Connection
from libs.common.settings import LANES, Settings
from libs.common.workdays import quiet_until
from services.planner.next_steps import Facts

SLOT_LEAD = 4.0  # seconds before the next free slot at which a batch is due; a sender waits for one for 5 s at least

#: The row of a broadcast that decides what is next.
BROADCAST = """
SELECT b.id, b.state, b.run_at, b.made_at, b.second_due_at, b.sending_number_id, b.sync_started_at, b.twilio_paging,
       b.completed_at, s.number AS sync_number, s.due_at AS sync_due_at
FROM broadcasts b LEFT JOIN syncs s ON s.broadcast_id = b.id WHERE b.id = %(broadcast_id)s
"""

#: What is left of a phase. The count stops at what all lanes can take.
PHASE = f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM outgoing_messages m WHERE {texts.CLAIMABLE}
                           ORDER BY {texts.CLAIM_ORDER} LIMIT %(enough)s) AS enough) AS claimable,
    EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = %(broadcast_id)s AND is_second = %(is_second)s
            AND state IN ('claimed', 'started')) AS in_flight,
    u.texts AS uncertain, u.newest AS newest_uncertain
FROM (SELECT count(*) AS texts, max(attempt_started_at) AS newest FROM outgoing_messages
      WHERE broadcast_id = %(broadcast_id)s AND is_second = %(is_second)s AND state = 'uncertain') AS u
"""

#: When the first of the texts that have to wait may go; one that was given back since they were counted may go now.
FIRST_NOT_BEFORE = """
SELECT min(greatest(not_before, %(now)s)) AS at FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND is_second = %(is_second)s AND state = 'pending'
"""

#: When the last first message left.
LAST_STARTED = """
SELECT max(attempt_started_at) AS at FROM outgoing_messages
WHERE broadcast_id = %(broadcast_id)s AND NOT is_second AND state IN ('accepted', 'uncertain')
"""

#: Whether the fate of a text is still open.
UNSETTLED = """
SELECT EXISTS (SELECT FROM broadcast_sent_message_status WHERE broadcast_id = %(broadcast_id)s AND NOT settled)
    OR EXISTS (SELECT FROM outgoing_messages WHERE broadcast_id = %(broadcast_id)s
               AND state IN ('claimed', 'started', 'uncertain')) AS unsettled
"""

#: Texts that the carrier has and whose fate its log has not told.
UNSETTLED_COUNT = """
SELECT count(*) AS texts FROM broadcast_sent_message_status WHERE broadcast_id = %(broadcast_id)s AND NOT settled
"""

#: Broadcasts for which something may be due.
UNDER_WAY = """
SELECT id FROM broadcasts
WHERE completed_at IS NULL AND (
    (state = 'scheduled' AND run_at <= %(now)s) OR state IN ('sending_first', 'waiting', 'sending_second', 'syncing')
    OR (state = 'cancelled' AND made_at IS NOT NULL))
ORDER BY id
"""

#: Takes batches that are overdue: never opened, or whose worker has gone quiet.
OVERDUE_BATCHES = """
UPDATE batches SET due_at = %(now)s, lease_until = NULL WHERE id IN (
    SELECT b.id FROM batches b JOIN broadcasts c ON c.id = b.broadcast_id
    WHERE b.closed_at IS NULL AND c.state IN ('sending_first', 'sending_second', 'paused', 'cancelled')
      AND coalesce(b.lease_until, b.due_at) < %(before)s
    ORDER BY b.id FOR UPDATE OF b SKIP LOCKED)
RETURNING id, broadcast_id, is_second, traceparent,
          (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = batches.broadcast_id) AS trace
"""

#: Takes passes over the log that are overdue.
OVERDUE_SYNCS = """
UPDATE syncs s SET due_at = %(now)s FROM broadcasts b
WHERE b.id = s.broadcast_id AND b.completed_at IS NULL AND s.due_at < %(before)s
  AND b.state IN ('sending_first', 'waiting', 'sending_second', 'syncing', 'cancelled')
RETURNING s.broadcast_id, s.number, s.traceparent,
          (SELECT t.traceparent FROM traces t WHERE t.broadcast_id = s.broadcast_id) AS trace
"""

#: Broadcasts with texts that should have been settled by now.
OVERDUE_SETTLING = """
SELECT DISTINCT broadcast_id FROM outgoing_messages WHERE state = 'uncertain' AND attempt_started_at < %(before)s
"""

#: Forgets the numbers of people who were erased while a text of theirs was still to be settled.
FORGET_ERASED = """
UPDATE outgoing_messages m SET recipient_phone_number = NULL FROM contacts c
WHERE c.id = m.contact_id AND c.erased_at IS NOT NULL AND m.recipient_phone_number IS NOT NULL
  AND m.state IN ('accepted', 'refused', 'skipped')
"""

#: Forgets answers kept for callers who might have asked again.
PRUNE_KEYS = "DELETE FROM idempotency_keys WHERE created_at < %(before)s"


async def one(connection: Connection, query: str, **parameters: Any) -> dict[str, Any]:
    """Give the only row of a query."""
    row = await (await connection.execute(query, parameters)).fetchone()
    assert row is not None
    return row


async def phase(connection: Connection, row: dict[str, Any], now: datetime, settings: Settings) -> Facts:
    """Gather what decides the next step of the phase that a broadcast is in."""
    is_second = row["state"] == "sending_second"
    which = {"broadcast_id": row["id"], "is_second": is_second}
    enough = LANES * settings.batch_texts
    left = await one(connection, PHASE, **which, now=now, enough=enough)
    waiting = None if left["claimable"] else (await one(connection, FIRST_NOT_BEFORE, **which, now=now))["at"]
    number = pace.number_key(row["sending_number_id"])
    hold, _ = await pace.held(connection, [settings.carrier, number])
    # At a text every few minutes a batch that is due now would wait for its slot in vain, and the next one, too.
    wait = max(hold, await pace.ahead(connection, number) - SLOT_LEAD)
    return Facts(
        claimable=left["claimable"],
        first_not_before=waiting,
        in_flight=left["in_flight"],
        uncertain=left["uncertain"],
        newest_uncertain=left["newest_uncertain"],
        open_batches=await steps.open_batches(connection, row["id"], is_second=is_second),
        made_at=row["made_at"],
        quiet_until=quiet_until(now, settings.quiet, settings.zone),
        held_until=now + timedelta(seconds=wait) if wait > 0 else None,
    )
