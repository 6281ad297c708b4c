"""Forgetting: numbers and words that nobody needs any more are taken out, what was counted stays.

That a broadcast's numbers were forgotten is an event, so that a rebuild forgets them again. Replies keep their
provider's id: a webhook that is played again stays known. Opt-outs are kept by number for as long as they hold.
"""

from dataclasses import dataclass
from datetime import datetime

from libs.common import database, lifecycle, store
from libs.common import events as e
from libs.common.database import Pool

AT_ONCE = 5000  # replies a transaction

#: Broadcasts that are over and whose texts still have numbers.
OVER = """
SELECT b.id FROM broadcasts b WHERE b.completed_at < %(before)s AND EXISTS (
    SELECT FROM outgoing_messages m WHERE m.broadcast_id = b.id AND m.recipient_phone_number IS NOT NULL
    AND m.state IN ('accepted', 'refused', 'skipped'))
ORDER BY b.id
"""

#: Takes number and words out of old replies, a bounded number at a time.
FORGET_REPLIES = """
UPDATE replies SET phone_number = NULL, body = '' WHERE id IN (
    SELECT id FROM replies WHERE received_at < %(before)s AND (phone_number IS NOT NULL OR body <> '')
    ORDER BY id LIMIT %(limit)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was forgotten."""

    broadcasts: int
    replies: int


async def prune(pool: Pool, before: datetime, now: datetime) -> Forgotten:
    """Forget the numbers of broadcasts completed, and number and words of replies received, before a time.

    Each broadcast is a transaction; one that is cut off goes on with the next call.
    """
    async with pool.connection() as connection:
        over = [row["id"] for row in await (await connection.execute(OVER, {"before": before})).fetchall()]
    for broadcast_id in over:
        async with database.transaction(pool) as connection:
            event = e.NumbersForgotten(broadcast_id=broadcast_id)
            await lifecycle.note(connection, store.stream(broadcast_id, "texts"), [event], now)
    replies = 0
    while True:
        async with database.transaction(pool) as connection:
            done = await connection.execute(FORGET_REPLIES, {"before": before, "limit": AT_ONCE})
        replies += done.rowcount
        if done.rowcount < AT_ONCE:
            return Forgotten(broadcasts=len(over), replies=replies)
