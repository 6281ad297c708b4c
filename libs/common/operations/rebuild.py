"""Empties the tables that come from events and fills them again from history, to the same rows.

All in one transaction, with the tables locked: whoever sends meanwhile waits, or gives up and tries again. Registers
(contacts, replies, opt-outs, segments, the words that are one person's own) are not rebuilt: events name people by id,
and who they are stands there alone.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Connection, literals
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast, evolve
from libs.common.domain.states import ENDED, MessageState
from libs.common.eventstore import projections, store
from libs.common.eventstore.store import Recorded
from libs.common.operations.telling import Tell, nobody

#: What is rebuilt; those that refer to others first.
TABLES = (
    "broadcast_sent_message_status", "outgoing_messages", "broadcasts_parts", "broadcasts_left_out",
    "broadcasts_segments", "broadcasts",
)  # fmt: skip

LOCK = text(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
DEFER = text("SET CONSTRAINTS ALL DEFERRED")
LONGEST = 86_400.0  # seconds that one statement may take

#: History, in the order in which it was written.
PAGE = text("""
SELECT position, type, schema_version, data, occurred_at FROM events
WHERE position > :after ORDER BY position LIMIT :limit
""").columns(data=JSONB)
PAGE_SIZE = 1000  # events held in memory at once

#: How many events there are to replay.
COUNT = text("SELECT count(*) FROM events")

#: The numbers that messages to people who were erased still have. A message that is to be settled is looked up by it,
#: and it stands nowhere else any more: it is carried over.
NUMBERS_OF_ERASED = text("""
SELECT m.id, m.recipient_phone_number FROM outgoing_messages m JOIN contacts c ON c.id = m.contact_id
WHERE c.erased_at IS NOT NULL AND m.recipient_phone_number IS NOT NULL
""")
CARRY_OVER = text("""
UPDATE outgoing_messages m SET recipient_phone_number = kept.number
FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS text[])) AS kept (id, number) WHERE m.id = kept.id
""")

#: The other messages to people who were erased since have no number any more. While their history is replayed a
#: stand-in keeps them apart, since what may still leave must have a number.
FORGET_ERASED = text(f"""
UPDATE outgoing_messages SET recipient_phone_number = NULL
WHERE recipient_phone_number LIKE 'erased %' AND (state IN {literals(ENDED)} OR (
    state = '{MessageState.UNCERTAIN}' AND EXISTS (
        SELECT FROM broadcasts b WHERE b.id = broadcast_id AND b.completed_at IS NOT NULL)))
""")

#: Words of messages that have no number any more, or that are not there: `message_bodies` is in no event.
FORGET_WORDS = text("""
DELETE FROM message_bodies w WHERE NOT EXISTS (
    SELECT FROM outgoing_messages m WHERE m.id = w.message_id AND m.recipient_phone_number IS NOT NULL)
""")

#: A table's rows as one hash, whatever their order, with their number.
FINGERPRINT = """
SELECT count(*) AS rows, coalesce(md5(string_agg(hash, '' ORDER BY hash)), '') AS hash
FROM (SELECT md5(t::text) AS hash FROM {table} t) AS hashes
"""


async def lock(connection: Connection) -> None:
    """Have nobody else read or write the tables until the transaction ends; for an engine that waits for `LONGEST`."""
    await database.set_statement_timeout(connection, LONGEST)
    await connection.execute(LOCK)


async def rebuild(connection: Connection, tell: Tell = nobody) -> int:
    """Empty and refill the tables, inside the caller's transaction; return how many events were replayed."""
    await lock(connection)
    await connection.execute(DEFER)
    kept: dict[int, str] = dict((await connection.execute(NUMBERS_OF_ERASED)).tuples().all())
    for table in TABLES:
        await connection.execute(text(f"DELETE FROM {table}"))
    replayed, events = 0, int((await connection.execute(COUNT)).scalar_one())
    broadcasts: dict[int, Broadcast] = {}
    async for recorded in history(connection):
        await _replay(connection, broadcasts, recorded.event, recorded.at)
        replayed += 1
        if replayed % PAGE_SIZE == 0:
            tell(replayed, events)
    await connection.execute(CARRY_OVER, {"ids": list(kept), "numbers": list(kept.values())})
    await connection.execute(FORGET_ERASED)
    await connection.execute(FORGET_WORDS)
    return replayed


async def _replay(connection: Connection, broadcasts: dict[int, Broadcast], event: e.Event, at: datetime) -> None:
    """Do what an event says. `broadcasts` holds those that are not completed, as they were before it."""
    broadcast_id = getattr(event, "broadcast_id", None)
    before = None if broadcast_id is None else broadcasts.get(broadcast_id)
    after = evolve(before, event, at)
    if after is not None and after is not before:
        await projections.save(connection, after, is_new=before is None)
        broadcasts[after.id] = after
    await projections.apply(connection, event, at)
    if isinstance(event, e.BroadcastCompleted):
        del broadcasts[event.broadcast_id]


async def history(connection: Connection) -> AsyncIterator[Recorded]:
    """Yield every event, page by page."""
    after = 0
    while True:
        rows = (await connection.execute(PAGE, {"after": after, "limit": PAGE_SIZE})).all()
        for _, type_, schema_version, data, at in rows:
            yield store.recorded_event(type_, schema_version, data, at)
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1].position


async def fingerprints(connection: Connection) -> dict[str, tuple[int, str]]:
    """Return the number of rows and a hash of each rebuilt table: equal hashes are identical rows."""
    found = {}
    for table in TABLES:
        rows, digest = (await connection.execute(text(FINGERPRINT.format(table=table)))).one()
        found[table] = (int(rows), str(digest))
    return found
