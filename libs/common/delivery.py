"""Recording what becomes of texts that the carrier took, and what follows from the code of one that is not delivered.

Missive takes texts without asking Twilio, so most of what Twilio and the networks say comes only in the log, or in a
delivery report: that somebody had opted out (21610), that texts come too fast (30001, 30022), that nothing more will
get through. What the codes mean is in `carriers.codes`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from libs.common import consent, filtering, lifecycle, pace, store
from libs.common import events as e
from libs.common.carriers.codes import Kind, classify
from libs.common.database import Connection

log = structlog.stdlib.get_logger(__name__)

SLOW_DOWN = 60.0  # seconds in which a sending number's queue gets shorter
#: What a text says of the pace after that long it says of the past.
LATELY = timedelta(minutes=10)

#: Who did not get some texts, from which number of ours, and whether they have asked for texts again since.
ABOUT = """
SELECT m.id, m.recipient_phone_number AS phone_number, m.attempt_started_at, b.sending_number_id, EXISTS (
    SELECT FROM events e WHERE e.stream = 'contact-' || m.contact_id AND e.type = 'OptedIn'
    AND e.occurred_at >= m.attempt_started_at) AS opted_in_since
FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id WHERE m.id = ANY(%(texts)s) ORDER BY m.id
"""


async def record(connection: Connection, event: e.StatusesSynced, now: datetime, *, publish: bool = False) -> None:
    """Record new statuses of a broadcast's texts, and do what they ask for, in the caller's transaction.

    Who had opted out is on record as such from now on; a number whose texts come too fast is held back for everybody;
    a broadcast that the carriers turn away is paused.
    """
    stream = store.stream(event.broadcast_id, "statuses")
    await lifecycle.note(connection, stream, [event], now, publish=publish)
    await _follow(connection, event.broadcast_id, event.statuses, now)


async def _follow(connection: Connection, broadcast_id: int, news: Sequence[e.TextStatus], now: datetime) -> None:
    kinds = {item.text: classify(item.error_code).kind for item in news if item.error_code is not None}
    texts = [text for text, kind in kinds.items() if kind in (Kind.OPT_OUT, Kind.SLOW_DOWN)]
    if texts:
        for row in await (await connection.execute(ABOUT, {"texts": texts})).fetchall():
            if kinds[row["id"]] is Kind.SLOW_DOWN:
                if row["attempt_started_at"] > now - LATELY:
                    await pace.hold(connection, pace.number_key(row["sending_number_id"]), SLOW_DOWN)
                    log.warning("slowed_down", broadcast_id=broadcast_id, text=row["id"])
            elif row["phone_number"] is not None and not row["opted_in_since"]:
                await consent.opt_out(connection, row["phone_number"], "carrier", now, broadcast_id=broadcast_id)
    if any(kind in (Kind.STOP_BROADCAST, Kind.STOP_ABOVE_THRESHOLD) for kind in kinds.values()):
        await filtering.pause_if_not_delivered(connection, broadcast_id, now)
