"""Whether a broadcast is turned away: many texts fail for a reason that is not their recipients'.

One text that a carrier filters (30007) or that comes from an unregistered number (30034) is bad luck; many of them
mean that the rest will fare no better, and cost money and reputation. One number that the provider refuses is a bad
number; one after the other, by the same code, are a fault of ours that the code does not tell (Missive has no codes: it
answers 400 to everybody where it does not know the sending number). Then the broadcast is paused, with the code.
"""

from datetime import datetime

import structlog

from libs.common import broadcast as rules
from libs.common import lifecycle, store
from libs.common.carriers.codes import CODES, Kind
from libs.common.database import Connection

log = structlog.stdlib.get_logger(__name__)

LATEST = 200  # texts whose fate is known that are looked at
LEAST = 5  # of those that failed so before it is a pattern
SHARE = 0.05  # of those that are looked at
RUN = 10  # texts one after the other that the provider refused by the same code

_AT_ONCE = [code for code, meaning in CODES.items() if meaning.kind is Kind.STOP_BROADCAST]
_MANY = [code for code, meaning in CODES.items() if meaning.kind is Kind.STOP_ABOVE_THRESHOLD]

#: How many of the latest texts of a broadcast whose fate is known failed by each code that is not their recipients'
#: fault, and of how many. What began to leave before somebody resumed it does not count: whoever did that knew of it.
FAILED = """
WITH latest AS (
    SELECT s.twilio_error_code AS code
    FROM outgoing_messages m JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
    WHERE m.broadcast_id = %(broadcast_id)s AND m.state = 'accepted' AND s.settled AND m.attempt_started_at >= (
        SELECT coalesce(max(occurred_at), '-infinity') FROM events
        WHERE stream = %(stream)s AND type = 'BroadcastResumed')
    ORDER BY m.attempt_started_at DESC LIMIT %(latest)s
)
SELECT code, count(*) AS texts, (SELECT count(*) FROM latest) AS of
FROM latest WHERE code = ANY(%(codes)s) GROUP BY 1 ORDER BY 2 DESC
"""

#: The last answers of the provider to a broadcast's texts; a resumption begins the count anew.
LAST_ANSWERS = """
SELECT type, data ->> 'code' AS code FROM events
WHERE broadcast_id = %(broadcast_id)s AND type IN ('TextAccepted', 'TextRefused', 'BroadcastResumed')
ORDER BY position DESC LIMIT %(run)s
"""


async def pause_if_not_delivered(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Pause a broadcast that the carriers turn away, in the transaction that recorded new statuses."""
    which = {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id)}
    cursor = await connection.execute(FAILED, {**which, "codes": _AT_ONCE + _MANY, "latest": LATEST})
    for row in await cursor.fetchall():
        if row["code"] in _AT_ONCE or row["texts"] >= max(LEAST, SHARE * row["of"]):
            await _pause(connection, broadcast_id, row["code"], now)
            return


async def pause_if_refused(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Pause a broadcast all of whose texts the provider refuses, in the transaction that recorded a refusal."""
    cursor = await connection.execute(LAST_ANSWERS, {"broadcast_id": broadcast_id, "run": RUN})
    answers = [(row["type"], row["code"]) for row in await cursor.fetchall()]
    if len(answers) == RUN and set(answers) == {("TextRefused", code := answers[0][1])}:
        await _pause(connection, broadcast_id, code, now)


async def _pause(connection: Connection, broadcast_id: int, code: str, now: datetime) -> None:
    broadcast, version = await lifecycle.load(connection, broadcast_id)
    if broadcast.state in rules.PAUSABLE:
        await lifecycle.record(connection, broadcast_id, version, rules.pause(broadcast, code), now)
        log.error("broadcast_turned_away", broadcast_id=broadcast_id, code=code)
