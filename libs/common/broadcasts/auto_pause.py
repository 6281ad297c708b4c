"""Pause a broadcast when its messages fail for a reason that is not their recipients'.

One message that a carrier filters (30007), or that comes from an unregistered number (30034), says little. When many
fail so, the others will fail, too, and cost money and reputation. One number that the provider refuses is a bad number.
Ten refusals in a row by the same code are a fault of ours that the code does not name: Missive has no codes, and
answers 400 to every request if it does not know the sending number. One message that Missive never hands to Twilio is
most likely an opt-out. Ten in a row mean that the link between Missive and Twilio is broken. In these cases the
broadcast is paused, with the code.
"""

from datetime import datetime

import structlog
from sqlalchemy import text

from libs.common.broadcasts import repository
from libs.common.carriers.error_codes import CODES, ErrorAction
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain.broadcast import PAUSABLE, pause
from libs.common.domain.states import MessageState, Outcome, PauseReason
from libs.common.eventstore import store

log = structlog.stdlib.get_logger(__name__)

LATEST = 200  # messages whose fate is known that are looked at
LEAST = 5  # of those that failed so before it is a pattern
SHARE = 0.05  # of those that are looked at
RUN = 10  # messages one after the other that the provider refused by the same code, or never handed over

_AT_ONCE = [code for code, meaning in CODES.items() if meaning.kind is ErrorAction.STOP_BROADCAST]
_MANY = [code for code, meaning in CODES.items() if meaning.kind is ErrorAction.STOP_ABOVE_THRESHOLD]
#: The provider's answers to messages, and what begins their count anew.
_ANSWERS = [each.__name__ for each in (e.MessageAccepted, e.MessageRefused, e.BroadcastResumed)]

#: How many of the latest messages of a broadcast whose fate is known failed by each code that is not their recipients'
#: fault, and of how many. What began to leave before somebody resumed it does not count: whoever did that knew of it.
FAILED = text(f"""
WITH latest AS (
    SELECT s.twilio_error_code AS code
    FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    WHERE m.broadcast_id = :broadcast_id AND m.state = '{MessageState.ACCEPTED}' AND s.settled
      AND m.attempt_started_at >= (
        SELECT coalesce(max(occurred_at), '-infinity') FROM events
        WHERE stream = :stream AND type = '{e.BroadcastResumed.__name__}')
    ORDER BY m.attempt_started_at DESC LIMIT :latest
)
SELECT code, count(*) AS messages, (SELECT count(*) FROM latest) AS looked_at
FROM latest WHERE code = ANY(:codes) GROUP BY 1 ORDER BY 2 DESC
""")

#: Whether none of the latest messages of which it is known, since somebody resumed the broadcast, got to Twilio.
NONE_HANDED_OVER = text(f"""
SELECT count(*) FILTER (WHERE latest.outcome = '{Outcome.NOT_HANDED_OVER}') = :run AS none
FROM (
    SELECT s.outcome
    FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    WHERE m.broadcast_id = :broadcast_id AND m.state = '{MessageState.ACCEPTED}'
      AND (s.twilio_id IS NOT NULL OR s.outcome = '{Outcome.NOT_HANDED_OVER}') AND m.attempt_started_at >= (
        SELECT coalesce(max(occurred_at), '-infinity') FROM events
        WHERE stream = :stream AND type = '{e.BroadcastResumed.__name__}')
    ORDER BY m.attempt_started_at DESC, m.id DESC LIMIT :run
) AS latest
""")

#: The last answers of the provider to a broadcast's messages; a resumption begins the count anew.
LAST_ANSWERS = text("""
SELECT type, data ->> 'code' AS code FROM events
WHERE broadcast_id = :broadcast_id AND type = ANY(:types)
ORDER BY position DESC LIMIT :run
""")


async def pause_if_not_delivered(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Pause a broadcast that the carriers turn away, in the transaction that recorded new statuses."""
    which = {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id)}
    cursor = await connection.execute(FAILED, {**which, "codes": _AT_ONCE + _MANY, "latest": LATEST})
    for code, messages, looked_at in cursor.tuples().all():
        if code in _AT_ONCE or messages >= max(LEAST, SHARE * looked_at):
            await pause_for(connection, broadcast_id, code, now)
            return


async def pause_if_refused(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Pause a broadcast all of whose messages the provider refuses, in the transaction that recorded a refusal."""
    cursor = await connection.execute(LAST_ANSWERS, {"broadcast_id": broadcast_id, "types": _ANSWERS, "run": RUN})
    answers = cursor.tuples().all()
    if len(answers) == RUN and set(answers) == {(e.MessageRefused.__name__, code := answers[0][1])}:
        await pause_for(connection, broadcast_id, code, now)


async def pause_if_not_handed_over(connection: Connection, broadcast_id: int, now: datetime) -> bool:
    """Pause a broadcast none of whose messages gets to Twilio, and return whether that is so.

    In the transaction that recorded that messages were not handed over.
    """
    which = {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id), "run": RUN}
    if not (await connection.execute(NONE_HANDED_OVER, which)).scalar_one():
        return False
    await pause_for(connection, broadcast_id, PauseReason.NOT_HANDED_OVER, now)
    return True


async def pause_for(connection: Connection, broadcast_id: int, code: str, now: datetime) -> None:
    """Pause a broadcast that the transaction has locked, unless it sends nothing now.

    Its row comes before those of its messages, so whoever recorded something of theirs has locked it.
    """
    broadcast = await repository.read(connection, broadcast_id)
    if broadcast.state in PAUSABLE:
        await repository.save(connection, broadcast, pause(broadcast, code), now)
        log.error("broadcast_turned_away", broadcast_id=broadcast_id, code=code)
