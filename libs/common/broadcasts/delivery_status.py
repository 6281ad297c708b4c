"""Record what becomes of messages that the carrier took, and act on the code of one that is not delivered.

Missive takes messages without asking Twilio, so most of what Twilio and the networks say comes only in the log, or in a
delivery report: that somebody had opted out (21610), that messages come too fast (30001, 30022), that a number takes no
messages (30005), that nothing more will get through. What the codes mean is in `carriers.error_codes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from libs.common.broadcasts import auto_pause, messages, opt_outs, repository, unreachable
from libs.common.carriers.error_codes import ErrorAction, classify
from libs.common.database import Connection, all_rows
from libs.common.domain import events as e
from libs.common.domain.states import DELIVERED, ConsentSource, SkipReason
from libs.common.eventstore import store
from libs.common.rate_limits import rate

log = structlog.stdlib.get_logger(__name__)

#: Kinds of errors that ask for something to be done about their message's recipient or number.
ASKING = (ErrorAction.OPT_OUT, ErrorAction.SLOW_DOWN)
TURNED_AWAY = (ErrorAction.STOP_BROADCAST, ErrorAction.STOP_ABOVE_THRESHOLD)
SLOW_DOWN = 60.0  # seconds in which a sending number's queue gets shorter
#: What a message says of the pace after that long it says of the past.
LATELY = timedelta(minutes=10)

#: Who did not get some messages, from which number of ours, and whether they have asked for messages again since.
ABOUT = text(f"""
SELECT m.id, m.recipient_phone_number AS phone_number, m.attempt_started_at,
       {messages.number_of("m", "b")} AS sending_number_id, m.contact_id, m.is_second, EXISTS (
    SELECT FROM events v WHERE v.stream = 'contact-' || m.contact_id AND v.type = '{e.OptedIn.__name__}'
    AND v.occurred_at >= m.attempt_started_at) AS opted_in_since
FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id WHERE m.id = ANY(:message_ids) ORDER BY m.id
""")


@dataclass(frozen=True, slots=True)
class Failed:
    """A message that somebody did not get."""

    id: int
    #: E.164; None once it was forgotten.
    phone_number: str | None
    attempt_started_at: datetime
    sending_number_id: int
    contact_id: int
    is_second: bool
    opted_in_since: bool


async def record(connection: Connection, event: e.StatusesSynced, now: datetime, *, publish: bool = False) -> None:
    """Record new statuses of a broadcast's messages, and do what they ask for, in the caller's transaction.

    Who had opted out is on record as such from now on. A number of ours whose messages come too fast is held back for
    everybody. No follow-up goes to a number that takes no messages, and it is left out if it failed before. A broadcast
    that the carriers turn away is paused.
    """
    stream = store.stream(event.broadcast_id, "statuses")
    await repository.append_events(connection, stream, [event], now, publish=publish)
    await _follow(connection, event.broadcast_id, event.statuses, now)


async def _follow(connection: Connection, broadcast_id: int, news: Sequence[e.MessageStatus], now: datetime) -> None:
    meanings = {item.message_id: classify(item.error_code) for item in news if item.error_code is not None}
    message_ids = [
        message_id for message_id, meaning in meanings.items() if meaning.kind in ASKING or meaning.is_unreachable
    ]
    codes = {item.message_id: item.error_code for item in news if item.error_code is not None}
    failed: list[str] = []
    if message_ids:
        for message in all_rows(await connection.execute(ABOUT, {"message_ids": message_ids}), Failed):
            meaning = meanings[message.id]
            if meaning.kind is ErrorAction.SLOW_DOWN:
                if message.attempt_started_at > now - LATELY:
                    await rate.rest(connection, rate.number_key(message.sending_number_id), SLOW_DOWN)
                    log.warning("slowed_down", broadcast_id=broadcast_id, message_id=message.id)
            elif meaning.is_unreachable:
                if not message.is_second:
                    reason = SkipReason.NUMBER_UNREACHABLE
                    await messages.skip_second(connection, broadcast_id, message.contact_id, reason, now)
                if message.phone_number is not None:
                    failed.append(message.phone_number)
            elif message.phone_number is not None and not message.opted_in_since:
                number, source = message.phone_number, ConsentSource.CARRIER
                note = opt_outs.carrier_code(codes[message.id])
                await opt_outs.opt_out(connection, number, source, now, broadcast_id=broadcast_id, note=note)
    await unreachable.arrived(connection, [item.message_id for item in news if item.status in DELIVERED], now)
    await unreachable.judge(connection, failed, now, broadcast_id=broadcast_id)
    if any(meaning.kind in TURNED_AWAY for meaning in meanings.values()):
        await auto_pause.pause_if_not_delivered(connection, broadcast_id, now)
