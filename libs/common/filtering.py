"""Whether the carriers turn a broadcast away: many texts fail for a reason that is not their recipients'.

One text that a carrier filters (30007) or that comes from an unregistered number (30034) is bad luck; many of them
mean that the rest will fare no better, and cost money and reputation. Then the broadcast is paused, with the code.
"""

from datetime import datetime

import structlog

from libs.common import broadcast as rules
from libs.common import lifecycle, store
from libs.common.carriers.codes import CODES, Kind
from libs.common.database import Connection

log = structlog.stdlib.get_logger(__name__)

LEAST = 5  # texts that failed so before it is a pattern
SHARE = 0.05  # of those whose fate is known

_AT_ONCE = [code for code, meaning in CODES.items() if meaning.kind is Kind.STOP_BROADCAST]
_MANY = [code for code, meaning in CODES.items() if meaning.kind is Kind.STOP_ABOVE_THRESHOLD]

#: How many texts of a broadcast failed by each code that is not their recipients' fault, and how many are settled. What
#: began to leave before somebody resumed it does not count: whoever did that knew of it.
FAILED = """
WITH counted AS (
    SELECT s.twilio_error_code AS code, s.outcome, s.settled
    FROM broadcast_sent_message_status s JOIN outgoing_messages m ON m.id = s.outgoing_message_id
    WHERE s.broadcast_id = %(broadcast_id)s AND m.attempt_started_at >= (
        SELECT coalesce(max(occurred_at), '-infinity') FROM events
        WHERE stream = %(stream)s AND type = 'BroadcastResumed')
)
SELECT code, count(*) AS texts, (SELECT count(*) FROM counted WHERE settled) AS settled
FROM counted WHERE outcome = 'accepted' AND code = ANY(%(codes)s) GROUP BY 1 ORDER BY 2 DESC
"""


async def pause_if_turned_away(connection: Connection, broadcast_id: int, now: datetime) -> str | None:
    """Pause a broadcast that the carriers turn away; give the code, None if they do not.

    Called in the transaction that recorded new statuses.
    """
    broadcast, version = await lifecycle.load(connection, broadcast_id)
    if broadcast.state not in rules.PAUSABLE:
        return None
    cursor = await connection.execute(
        FAILED, {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id), "codes": _AT_ONCE + _MANY}
    )
    for row in await cursor.fetchall():
        if row["code"] in _AT_ONCE or row["texts"] >= max(LEAST, SHARE * row["settled"]):
            await lifecycle.record(connection, broadcast_id, version, rules.pause(broadcast, row["code"]), now)
            log.error("broadcast_turned_away", broadcast_id=broadcast_id, code=row["code"], texts=row["texts"])
            return str(row["code"])
    return None
