"""Empties the tables that come from events and fills them again from history, to the same rows.

All in one transaction, with the tables locked: whoever sends meanwhile waits, or gives up and tries again. Registers
(contacts, replies, opt-outs, segments) are not rebuilt: events name people by id, and who they are stands there alone.
"""

from collections.abc import AsyncIterator
from typing import Any

from libs.common import database, projections, store
from libs.common.database import Connection

#: What is rebuilt; those that refer to others first.
TABLES = ("broadcast_sent_message_status", "outgoing_messages", "broadcasts_segments", "broadcasts")

LOCK = f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE"
DEFER = "SET CONSTRAINTS ALL DEFERRED"
LONGEST = 86_400  # seconds that one statement may take

#: History, in the order in which it was written.
PAGE = """
SELECT position, type, schema_version, data, occurred_at FROM events
WHERE position > %(after)s ORDER BY position LIMIT %(limit)s
"""
PAGE_SIZE = 1000  # events held in memory at once

#: The numbers that texts to people who were erased still have. A text that is to be settled is looked up by it, and it
#: stands nowhere else any more: it is carried over.
NUMBERS_OF_ERASED = """
SELECT m.id, m.recipient_phone_number FROM outgoing_messages m JOIN contacts c ON c.id = m.contact_id
WHERE c.erased_at IS NOT NULL AND m.recipient_phone_number IS NOT NULL
"""
CARRY_OVER = """
UPDATE outgoing_messages m SET recipient_phone_number = kept.number
FROM unnest(%(ids)s::bigint[], %(numbers)s::text[]) AS kept (id, number) WHERE m.id = kept.id
"""

#: The other texts to people who were erased since have no number any more. While their history is replayed a stand-in
#: keeps them apart, since what may still leave must have a number.
FORGET_ERASED = """
UPDATE outgoing_messages SET recipient_phone_number = NULL
WHERE recipient_phone_number LIKE 'erased %' AND state IN ('accepted', 'refused', 'skipped')
"""

#: A table's rows as one hash, whatever their order, with their number.
FINGERPRINT = """
SELECT count(*) AS rows, coalesce(md5(string_agg(hash, '' ORDER BY hash)), '') AS hash
FROM (SELECT md5(t::text) AS hash FROM {table} t) AS hashes
"""


async def lock(connection: Connection) -> None:
    """Have nobody else read or write the tables until the transaction ends."""
    await database.allow(connection, LONGEST)
    await connection.execute(LOCK)


async def rebuild(connection: Connection) -> int:
    """Empty and refill the tables, inside the caller's transaction; give how many events were replayed."""
    await lock(connection)
    await connection.execute(DEFER)
    kept = await (await connection.execute(NUMBERS_OF_ERASED)).fetchall()
    for table in TABLES:
        await connection.execute(f"DELETE FROM {table}")
    replayed = 0
    async for row in history(connection):
        await projections.apply(connection, store.event_of(row), row["occurred_at"])
        replayed += 1
    numbers = [row["recipient_phone_number"] for row in kept]
    await connection.execute(CARRY_OVER, {"ids": [row["id"] for row in kept], "numbers": numbers})
    await connection.execute(FORGET_ERASED)
    return replayed


async def history(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    """Give every event, page by page."""
    after = 0
    while True:
        cursor = await connection.execute(PAGE, {"after": after, "limit": PAGE_SIZE})
        rows = await cursor.fetchall()
        for row in rows:
            yield row
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1]["position"]


async def fingerprints(connection: Connection) -> dict[str, tuple[int, str]]:
    """Give the number of rows and a hash of each rebuilt table: equal hashes are identical rows."""
    found = {}
    for table in TABLES:
        row = await (await connection.execute(FINGERPRINT.format(table=table))).fetchone()
        assert row is not None
        found[table] = (int(row["rows"]), str(row["hash"]))
    return found
