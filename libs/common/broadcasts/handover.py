"""Messages that Missive took and never handed to Twilio: they are counted apart and have no follow-up.

Missive takes a message without asking Twilio. Twilio refuses to send to a person who has said STOP to it (21610). Then
Twilio has no message, no sid and no entry in its log, and Missive reports nothing. The only sign is a message of
Missive's that still has no `external_id`. One such message may be an accident. Two in a row for a number are most
likely an opt-out that only Twilio knows of; a person decides about it. If no message of a broadcast gets to Twilio any
more, the recipients are not the reason, and the broadcast is paused (`auto_pause.py`). If a sid or a log entry turns up
later, the message counts as sent after all (`projections.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import text

from libs.common.broadcasts import auto_pause, held_numbers, repository, unwanted_messages
from libs.common.database import Connection, all_rows, literals
from libs.common.domain import events as e
from libs.common.domain.keywords import Reason
from libs.common.domain.states import UNSENT, MessageState, Outcome
from libs.common.eventstore import store

log = structlog.stdlib.get_logger(__name__)

#: Messages in a row that make a likely opt-out.
IN_A_ROW = 2

#: Locks those of some messages of which nothing is known yet but that Missive has them.
STILL_UNKNOWN = text(f"""
SELECT m.id, m.contact_id, m.recipient_phone_number AS phone_number, m.is_second
FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.id = ANY(:message_ids) AND m.broadcast_id = :broadcast_id AND s.outcome = '{Outcome.ACCEPTED}'
  AND s.twilio_id IS NULL
ORDER BY m.id FOR NO KEY UPDATE OF m
""")

#: The second messages of some people that were not sent.
THEIR_SECONDS = text(f"""
SELECT id FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND contact_id = ANY(:contacts) AND is_second
  AND state IN {literals(UNSENT)} ORDER BY id
""")

#: Whether the last messages to somebody of which it is known were not handed over. The count begins anew when they ask
#: for messages, and when a person has looked.
NEVER_LATELY = text(f"""
SELECT count(*) FILTER (WHERE last.outcome = '{Outcome.NOT_HANDED_OVER}') >= :in_a_row AS never
FROM (
    SELECT s.outcome
    FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    WHERE m.recipient_phone_number = :phone_number AND m.state = '{MessageState.ACCEPTED}'
      AND (s.twilio_id IS NOT NULL OR s.outcome = '{Outcome.NOT_HANDED_OVER}')
      AND m.attempt_started_at > coalesce((
          SELECT max(v.occurred_at) FROM events v
          WHERE v.stream = 'contact-' || CAST(:contact_id AS bigint)
            AND v.type IN ('{e.OptedIn.__name__}', '{e.OptOutReviewed.__name__}')),
          '-infinity')
    ORDER BY m.attempt_started_at DESC, m.id DESC LIMIT :in_a_row
) AS last
""")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of which nothing is known but that Missive has it."""

    id: int
    contact_id: int
    #: E.164; None once it was forgotten.
    phone_number: str | None
    is_second: bool


async def give_up(connection: Connection, broadcast_id: int, given: Sequence[int], now: datetime) -> int:
    """Record that messages of a broadcast were not handed over, and what follows; return how many that holds for."""
    which = {"broadcast_id": broadcast_id, "message_ids": list(given)}
    unknown = all_rows(await connection.execute(STILL_UNKNOWN, which), Unknown)
    if not unknown:
        return 0
    event = e.MessagesNotHandedOver(broadcast_id=broadcast_id, message_ids=tuple(message.id for message in unknown))
    await repository.append_events(connection, store.stream(broadcast_id, "messages"), [event], now)
    contacts = [message.contact_id for message in unknown if not message.is_second]
    cursor = await connection.execute(THEIR_SECONDS, {"broadcast_id": broadcast_id, "contacts": contacts})
    seconds: list[int] = list(cursor.scalars())
    await unwanted_messages.skip_unwanted(connection, broadcast_id, now, is_second=True, message_ids=seconds)
    log.warning("messages_not_handed_over", broadcast_id=broadcast_id, messages=len(unknown))
    if await auto_pause.pause_if_not_handed_over(connection, broadcast_id, now):
        return len(unknown)
    for message in unknown:
        number = message.phone_number
        if number is not None and await _never_lately(connection, number, message.contact_id):
            await held_numbers.hold(connection, number, Reason.NOT_HANDED_OVER, now, broadcast_id=broadcast_id)
    return len(unknown)


async def _never_lately(connection: Connection, phone_number: str, contact_id: int) -> bool:
    about = {"phone_number": phone_number, "contact_id": contact_id, "in_a_row": IN_A_ROW}
    return bool((await connection.execute(NEVER_LATELY, about)).scalar_one())
