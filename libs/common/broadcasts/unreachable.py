"""Numbers that take no messages: one that fails for good in broadcast after broadcast is left out of the next.

A number is left out of every draw after messages of two broadcasts in a row have failed for its own sake
(`error_codes`), by the carrier's word, with none delivered between or after them and no reply since. What counts is
when messages began to leave, not when we hear of them: news may come in any order. A reply, a message that arrives
after all, or a person who says so brings the number back; the row stays, and says which.

Numbers that `prune` has taken out of old messages are known no more, and their failures do not count.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import text

from libs.common.broadcasts import repository
from libs.common.carriers import error_codes
from libs.common.database import Connection, literals
from libs.common.domain import events as e
from libs.common.domain.states import DELIVERED, Channel, ClearedBecause, ReplyKind

log = structlog.stdlib.get_logger(__name__)

#: Broadcasts in a row whose messages to a number failed for good.
ENOUGH = 2

#: Lets one transaction at a time judge a number: two failures that are recorded at once would not see each other.
ALONE = text("""
SELECT pg_advisory_xact_lock(hashtext('broadsheet.unreachable'), hashtext(number))
FROM (SELECT DISTINCT number FROM unnest(CAST(:numbers AS text[])) AS n (number) ORDER BY number) AS sorted
""")

#: Leaves out the numbers, of those given, that have failed often enough since anything came through.
MARK = text(f"""
INSERT INTO unreachable_numbers AS u (phone_number, contact_id, code, since)
SELECT n.number, failed.contact_id, failed.code, failed.since
FROM unnest(CAST(:numbers AS text[])) AS n (number)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT m.broadcast_id) AS broadcasts, min(m.attempt_started_at) AS since,
           (array_agg(s.twilio_error_code ORDER BY m.attempt_started_at DESC))[1] AS code,
           max(m.contact_id) AS contact_id
    FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    WHERE m.recipient_phone_number = n.number AND {error_codes.is_unreachable("s")}
      AND m.attempt_started_at > coalesce(greatest(
          (SELECT max(d.attempt_started_at)
           FROM outgoing_messages d JOIN broadcast_sent_message_status t ON t.outgoing_message_id = d.id
           WHERE d.recipient_phone_number = n.number AND t.twilio_sent_status IN {literals(DELIVERED)}),
          (SELECT max(r.received_at) FROM replies r WHERE r.phone_number = n.number AND r.channel = '{Channel.SMS}'),
          (SELECT c.cleared_at FROM unreachable_numbers c
           WHERE c.phone_number = n.number AND c.cleared_by IS NOT NULL)), '-infinity')
) AS failed
WHERE failed.broadcasts >= :enough
ON CONFLICT (phone_number) DO UPDATE
SET code = excluded.code, since = excluded.since, cleared_at = NULL, cleared_because = NULL, cleared_by = NULL
WHERE u.cleared_at IS NOT NULL
RETURNING contact_id, code
""")

#: Brings back the numbers of messages that arrived after a failure that counted.
ARRIVED = text(f"""
UPDATE unreachable_numbers u SET cleared_at = :now, cleared_because = '{ClearedBecause.DELIVERED}'
FROM outgoing_messages m
WHERE m.id = ANY(:message_ids) AND u.phone_number = m.recipient_phone_number AND u.cleared_at IS NULL
  AND m.attempt_started_at > u.since
RETURNING u.contact_id
""")

#: Brings back the number of somebody who replied after a failure that counted: part of the statement that records it,
#: and of no broadcast.
REPLIED = f"""
UPDATE unreachable_numbers SET cleared_at = :now, cleared_because = '{ClearedBecause.REPLIED}'
WHERE phone_number = :phone_number AND :channel = '{Channel.SMS}'
  AND :kind <> '{ReplyKind.DELIVERY_NOTICE}' AND cleared_at IS NULL AND since < :received_at
RETURNING contact_id, CAST(NULL AS bigint) AS broadcast_id
"""

#: Brings back a contact's number since a person says so.
CLEAR = text(f"""
UPDATE unreachable_numbers u SET cleared_at = :now, cleared_because = '{ClearedBecause.STAFF}', cleared_by = :by
FROM contacts c WHERE c.id = :contact_id AND u.phone_number = c.phone_number AND u.cleared_at IS NULL
RETURNING u.contact_id
""")

FORGET = text("DELETE FROM unreachable_numbers WHERE phone_number = :phone_number")


def unreachable(number: str) -> str:
    """Return the condition that a number, an SQL expression, is left out."""
    return f"EXISTS (SELECT FROM unreachable_numbers u WHERE u.phone_number = {number} AND u.cleared_at IS NULL)"


async def judge(
    connection: Connection, numbers: Sequence[str], now: datetime, *, broadcast_id: int | None = None
) -> None:
    """Leave out the numbers that have failed often enough, in the transaction that recorded their failures."""
    if not numbers:
        return
    await connection.execute(ALONE, {"numbers": list(numbers)})
    cursor = await connection.execute(MARK, {"numbers": sorted(set(numbers)), "enough": ENOUGH})
    for contact_id, code in sorted(cursor.tuples()):
        event = e.NumberUnreachable(contact_id=contact_id, code=code, broadcast_id=broadcast_id)
        await repository.append_events(connection, _stream(contact_id), [event], now)
        log.info("number_left_out", contact_id=contact_id, code=code)


async def arrived(connection: Connection, message_ids: Sequence[int], now: datetime) -> None:
    """Bring back the numbers of messages that were delivered."""
    if not message_ids:
        return
    cursor = await connection.execute(ARRIVED, {"message_ids": list(message_ids), "now": now})
    for contact in sorted(cursor.scalars()):
        await note(connection, contact, ClearedBecause.DELIVERED, now)


async def clear(connection: Connection, contact_id: int, by: str, now: datetime) -> bool:
    """Bring back a contact's number since `by`, a person, says so; False if it is not left out."""
    cursor = await connection.execute(CLEAR, {"contact_id": contact_id, "by": by, "now": now})
    cleared = cursor.scalar_one_or_none()
    if cleared is None:
        return False
    await note(connection, cleared, ClearedBecause.STAFF, now)
    return True


async def note(connection: Connection, contact_id: int, because: ClearedBecause, now: datetime) -> None:
    """Record that a number was brought back."""
    event = e.NumberReachable(contact_id=contact_id, because=because)
    await repository.append_events(connection, _stream(contact_id), [event], now)


def _stream(contact_id: int) -> str:
    return f"contact-{contact_id}"
