"""Forgetting: numbers and words that nobody needs any more are taken out, what was counted stays.

That a broadcast's numbers were forgotten is an event, so that a rebuild forgets them again; it is recorded
first, and then they go, a bounded number at a time. Replies keep their provider's id: a webhook that is
played again stays known. Opt-outs are kept by number for as long as they hold, and so are numbers that take no
messages.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text

from libs.common import database
from libs.common.broadcasts import sign_ups, single_messages
from libs.common.broadcasts.replies import FORGOTTEN
from libs.common.database import Engine, literals, one_row
from libs.common.domain import events as e
from libs.common.domain.import_states import WITH_FILE
from libs.common.domain.states import FORGETTABLE, Review
from libs.common.eventstore import store
from libs.common.operations.telling import Tell, nobody

AT_ONCE = 5000  # replies or messages a transaction

#: Broadcasts that are over and whose messages still have numbers.
OVER = text(f"""
SELECT b.id FROM broadcasts b WHERE b.completed_at < :before AND EXISTS (
    SELECT FROM outgoing_messages m WHERE m.broadcast_id = b.id AND m.recipient_phone_number IS NOT NULL
    AND m.state IN {literals(FORGETTABLE)})
ORDER BY b.id
""")

#: Takes the numbers out of a broadcast's messages, with words of their own, a bounded number at a time, in the order of
#: the index of numbers. What was taken out just now is still in that index: each call begins where the last one ended.
FORGET_NUMBERS = text(f"""
WITH found AS (
    SELECT id, recipient_phone_number FROM outgoing_messages
    WHERE broadcast_id = :broadcast_id AND recipient_phone_number >= :after
      AND state IN {literals(FORGETTABLE)}
    ORDER BY recipient_phone_number LIMIT :limit FOR UPDATE
), forgotten AS (
    UPDATE outgoing_messages m SET recipient_phone_number = NULL FROM found WHERE m.id = found.id
    RETURNING found.recipient_phone_number
), wordless AS (
    DELETE FROM message_bodies w USING found WHERE w.message_id = found.id
)
SELECT count(*) AS rows, max(recipient_phone_number) AS last FROM forgotten
""")

#: Takes number and words out of old replies, a bounded number at a time, each behind the last. One that waits for a
#: person keeps them: its number would be texted again.
FORGET_REPLIES = text(f"""
WITH found AS (
    SELECT id FROM replies
    WHERE id > :after AND received_at < :before AND (phone_number IS NOT NULL OR body <> '' OR sender IS NOT NULL)
      AND review IS DISTINCT FROM '{Review.WAITING}'
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE
), forgotten AS (
    UPDATE replies r SET {FORGOTTEN} FROM found WHERE r.id = found.id RETURNING r.id
)
SELECT count(*) AS rows, max(id) AS last FROM forgotten
""")

#: Takes number and words out of old messages of no broadcast, a bounded number at a time.
FORGET_SINGLE_MESSAGES = text(f"""
WITH found AS (
    SELECT id FROM single_messages
    WHERE id > :after AND asked_at < :before AND (phone_number IS NOT NULL OR body <> '')
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE
), forgotten AS (
    UPDATE single_messages s SET {single_messages.FORGOTTEN} FROM found WHERE s.id = found.id RETURNING s.id
)
SELECT count(*) AS rows, max(id) AS last FROM forgotten
""")

#: Takes out what people said long ago, a bounded number at a time, but for the last no of those who are out.
FORGET_RECORDS = text("""
WITH found AS (
    SELECT c.phone_number, c.record FROM consent_records c
    WHERE c.at < :before AND (c.phone_number, c.record) > (:after, :after_record)
      AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = c.phone_number AND o.record = c.record)
    ORDER BY c.phone_number, c.record LIMIT :limit FOR UPDATE
), forgotten AS (
    DELETE FROM consent_records c USING found
    WHERE c.phone_number = found.phone_number AND c.record = found.record RETURNING c.phone_number, c.record
)
SELECT count(*) AS rows, (SELECT max(ARRAY[phone_number, record]) FROM forgotten) AS last FROM forgotten
""")


#: Takes out numbers that were left out once and are not any more.
FORGET_REACHABLE = text("DELETE FROM unreachable_numbers WHERE cleared_at < :before")

#: Takes out what imports have made of people, a bounded number at a time: it cannot be undone any more.
FORGET_CHANGES = text("""
WITH found AS (
    SELECT x.import_id, x.contact_id FROM contact_import_changes x JOIN contact_imports i ON i.id = x.import_id
    WHERE i.moved_at < :before ORDER BY x.import_id, x.contact_id LIMIT :limit FOR UPDATE OF x
), forgotten AS (
    DELETE FROM contact_import_changes x USING found
    WHERE x.import_id = found.import_id AND x.contact_id = found.contact_id RETURNING x.contact_id
)
SELECT count(*) AS rows, max(contact_id) AS last FROM forgotten
""")

#: Takes out files of people that nobody has imported.
FORGET_FILES = text(f"DELETE FROM contact_imports WHERE state IN {literals(WITH_FILE)} AND moved_at < :before")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was forgotten."""

    broadcasts: int
    replies: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one statement has forgotten."""

    rows: int
    #: The key of the last row, behind which the next statement begins.
    last: Any


async def prune(engine: Engine, before: datetime, now: datetime, tell: Tell = nobody) -> Forgotten:
    """Forget number and words of replies received, and the numbers of broadcasts completed, before a time.

    `engine` is one for long work. What is cut off goes on with the next call.
    """
    replies, after = 0, 0
    while done := await _chunk(engine, FORGET_REPLIES, before=before, after=after):
        replies, after = replies + done.rows, done.last
    after = 0
    while done := await _chunk(engine, FORGET_SINGLE_MESSAGES, before=before, after=after):
        after = done.last
    said = ["", ""]
    while done := await _chunk(engine, FORGET_RECORDS, before=before, after=said[0], after_record=said[1]):
        said = done.last
    while await _chunk(engine, FORGET_CHANGES, before=before):
        pass
    async with database.transaction(engine) as connection:
        await database.set_statement_timeout(connection, database.LONG_WORK)
        await connection.execute(FORGET_REACHABLE, {"before": before})
        await connection.execute(FORGET_FILES, {"before": before})
        await connection.execute(sign_ups.FORGET_OLD, {"before": before})
        over: list[int] = list((await connection.execute(OVER, {"before": before})).scalars())
    for done_before, broadcast_id in enumerate(over):
        tell(done_before, len(over))
        async with database.transaction(engine) as connection:
            event = e.NumbersForgotten(broadcast_id=broadcast_id)
            await store.append(connection, store.stream(broadcast_id, "messages"), [event], now=now)
        number = ""
        while done := await _chunk(engine, FORGET_NUMBERS, broadcast_id=broadcast_id, after=number):
            number = done.last
    return Forgotten(broadcasts=len(over), replies=replies)


async def _chunk(engine: Engine, statement: TextClause, **parameters: Any) -> Chunk | None:
    """Forget a bounded number of rows in a transaction; return what was forgotten, None for nothing."""
    async with database.transaction(engine) as connection:
        await database.set_statement_timeout(connection, database.LONG_WORK)
        done = one_row(await connection.execute(statement, {**parameters, "limit": AT_ONCE}), Chunk)
    return done if done.rows else None
