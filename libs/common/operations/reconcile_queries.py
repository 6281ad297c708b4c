"""Statements of `reconcile.py`: messages of which the carrier's log may still say something."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.broadcasts import restore_hold
from libs.common.broadcasts.messages import number_of
from libs.common.broadcasts.personal_words import words_of
from libs.common.database import EnumText, literals
from libs.common.domain import events as e
from libs.common.domain.events.registers import RestoreMarked
from libs.common.domain.states import UNANSWERED, UNDECIDED, BroadcastState, MessageState
from libs.common.operations.restore_matching import NOT_BEGUN

NUMBERS = text("SELECT phone_number FROM sending_numbers ORDER BY id")

#: From when on the log is read: attempts on record whose answer is not, and what was being handed over, may be in it.
READ_FROM = text(f"""
SELECT least(:since, min(attempt_started_at)) AS at FROM outgoing_messages WHERE state IN {literals(UNANSWERED)}
""")

#: What was skipped while nothing may start, as `skipped`: a reply or a STOP came in, and the message may have been sent
#: before that, after the point of the restore.
SKIPPED_SINCE_MARK = f"""
skipped AS (
    SELECT CAST(item.id AS bigint) AS id
    FROM events v, jsonb_array_elements_text(v.data -> 'message_ids') AS item (id)
    WHERE v.type = '{e.MessagesSkipped.__name__}' AND v.position > (
        SELECT max(mark.position) FROM events mark
        WHERE mark.stream = '{restore_hold.STREAM}' AND mark.type = '{RestoreMarked.__name__}')
)
"""

#: Of which messages, as `m` with its status as `s`, the log may still have an entry.
MAY_BE_IN_LOG = f"""
(m.state IN {literals(UNDECIDED)} OR (m.state = '{MessageState.ACCEPTED}' AND s.twilio_id IS NULL)
 OR (m.state = '{MessageState.SKIPPED}' AND m.id IN (SELECT id FROM skipped)))
"""

#: Messages to some numbers of which no entry is known. A second one cannot have been sent before the first.
PLANNED = text(f"""
WITH {SKIPPED_SINCE_MARK}
SELECT m.id AS message_id, m.broadcast_id AS broadcast, m.is_second, m.state, n.phone_number AS from_number,
       m.recipient_phone_number AS number, {words_of("m", "b")} AS body,
       CASE WHEN m.state IN {literals(NOT_BEGUN)} THEN greatest(b.made_at, f.attempt_started_at)
            ELSE m.attempt_started_at END AS not_before
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = {number_of("m", "b")}
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
LEFT JOIN outgoing_messages f ON m.is_second AND f.broadcast_id = m.broadcast_id AND f.contact_id = m.contact_id
                             AND NOT f.is_second
WHERE m.recipient_phone_number = ANY(:numbers) AND {MAY_BE_IN_LOG}
""").columns(state=EnumText(MessageState))

#: Entries that are known to be a message's.
TAKEN = text("""
SELECT twilio_id FROM broadcast_sent_message_status WHERE twilio_id = ANY(:sids)
UNION ALL SELECT twilio_id FROM single_messages WHERE twilio_id = ANY(:sids)
""")

#: Locks messages that are about to be found; one that somebody else has settled meanwhile is left out.
STILL_OPEN = text(f"""
WITH {SKIPPED_SINCE_MARK}
SELECT m.id, m.state FROM outgoing_messages m LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.id = ANY(:message_ids) AND {MAY_BE_IN_LOG}
ORDER BY m.id FOR NO KEY UPDATE OF m
""").columns(state=EnumText(MessageState))

#: Messages that the carrier has.
SENT = text(
    "SELECT outgoing_message_id FROM broadcast_sent_message_status WHERE outgoing_message_id = ANY(:message_ids)"
)

#: Broadcasts that may have been made since the point of the restore, the latest first: an entry is the latest's that
#: was due when it was sent. `alone` is one of whose message no other broadcast was made.
UNMADE = text(f"""
SELECT b.id, b.run_at, b.first_message AS body,
       ARRAY(SELECT n.phone_number FROM sending_numbers n
             WHERE n.id = b.sending_number_id OR n.id = ANY(b.pool) ORDER BY n.id) AS from_numbers, NOT EXISTS (
    SELECT FROM broadcasts o WHERE o.made_at IS NOT NULL AND o.sending_number_id = b.sending_number_id
    AND o.first_message = b.first_message) AS alone
FROM broadcasts b
WHERE b.state IN {literals((BroadcastState.SCHEDULED, BroadcastState.MISSED))}
ORDER BY b.run_at DESC, b.id DESC
""")


@dataclass(frozen=True, slots=True)
class Unmade:
    """A broadcast that may have been made since the point of the restore."""

    id: int
    run_at: datetime
    body: str
    #: Those that it may have been sent from.
    from_numbers: list[str]
    #: Whether no other broadcast of the same body was made.
    alone: bool
