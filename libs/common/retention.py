"""Forgetting: numbers and words that nobody needs any more are taken out, what was counted stays.

That a broadcast's numbers were forgotten is an event, so that a rebuild forgets them again; it is recorded
first, and then they go, a bounded number at a time. Replies keep their provider's id: a webhook that is
played again stays known. Opt-outs are kept by number for as long as they hold.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common import database, store
from libs.common import events as e
from libs.common.database import Pool

AT_ONCE = 5000  # replies or texts a transaction
LONGEST = 900  # seconds that a statement may take: nobody waits for this

#: Broadcasts that are over and whose texts still have numbers.
OVER = """
SELECT b.id FROM broadcasts b WHERE b.completed_at < %(before)s AND EXISTS (
    SELECT FROM outgoing_messages m WHERE m.broadcast_id = b.id AND m.recipient_phone_number IS NOT NULL
    AND m.state IN ('accepted', 'refused', 'skipped'))
ORDER BY b.id
"""

#: Takes the numbers out of a broadcast's texts, a bounded number at a time, in the order of the index of numbers. What
#: was taken out just now is still in that index: each call begins where the last one ended.
FORGET_NUMBERS = """
WITH found AS (
    SELECT id, recipient_phone_number FROM outgoing_messages
    WHERE broadcast_id = %(broadcast_id)s AND recipient_phone_number >= %(after)s
      AND state IN ('accepted', 'refused', 'skipped')
    ORDER BY recipient_phone_number LIMIT %(limit)s FOR UPDATE
), forgotten AS (
    UPDATE outgoing_messages m SET recipient_phone_number = NULL FROM found WHERE m.id = found.id
    RETURNING found.recipient_phone_number
)
SELECT count(*) AS rows, max(recipient_phone_number) AS last FROM forgotten
"""

#: Takes number and words out of old replies, a bounded number at a time, each behind the last.
FORGET_REPLIES = """
WITH found AS (
    SELECT id FROM replies
    WHERE id > %(after)s AND received_at < %(before)s AND (phone_number IS NOT NULL OR body <> '')
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE
), forgotten AS (
    UPDATE replies r SET phone_number = NULL, body = '' FROM found WHERE r.id = found.id RETURNING r.id
)
SELECT count(*) AS rows, max(id) AS last FROM forgotten
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was forgotten."""

    broadcasts: int
    replies: int


async def prune(pool: Pool, before: datetime, now: datetime) -> Forgotten:
    """Forget number and words of replies received, and the numbers of broadcasts completed, before a time.

    What is cut off goes on with the next call.
    """
    replies, after = 0, 0
    while done := await _chunk(pool, FORGET_REPLIES, before=before, after=after):
        replies, after = replies + done["rows"], done["last"]
    async with database.transaction(pool) as connection:
        await database.allow(connection, LONGEST)
        over = [row["id"] for row in await (await connection.execute(OVER, {"before": before})).fetchall()]
    for broadcast_id in over:
        async with database.transaction(pool) as connection:
            event = e.NumbersForgotten(broadcast_id=broadcast_id)
            await store.append(connection, store.stream(broadcast_id, "texts"), [event], now=now)
        number = ""
        while done := await _chunk(pool, FORGET_NUMBERS, broadcast_id=broadcast_id, after=number):
            number = done["last"]
    return Forgotten(broadcasts=len(over), replies=replies)


async def _chunk(pool: Pool, statement: str, **parameters: Any) -> dict[str, Any] | None:
    """Forget a bounded number of rows in a transaction; give how many, and the last of them, None for none."""
    async with database.transaction(pool) as connection:
        await database.allow(connection, LONGEST)
        done = await (await connection.execute(statement, {**parameters, "limit": AT_ONCE})).fetchone()
    assert done is not None
    return done if done["rows"] else None
