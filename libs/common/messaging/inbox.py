"""Which messages were handled: a message that comes again does nothing."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Connection

KEEP = timedelta(days=7)  # longer than a broker keeps a message, or a person looks at a dead letter

#: Marks a message as handled; no row where it was.
MARK = text("""
INSERT INTO inbox (consumer, message_id) VALUES (:consumer, :message_id) ON CONFLICT DO NOTHING RETURNING message_id
""")

#: Drops marks older than any message can be.
PRUNE = text("DELETE FROM inbox WHERE processed_at < :before")


async def first_time(connection: Connection, consumer: str, message_id: UUID) -> bool:
    """Mark the message as handled by the consumer, in the transaction that handles it; False if it was already.

    Two deliveries at once: the second waits for the first one's commit.
    """
    cursor = await connection.execute(MARK, {"consumer": consumer, "message_id": message_id})
    return cursor.first() is not None


async def prune(connection: Connection, now: datetime) -> None:
    """Forget marks that are no longer needed."""
    await connection.execute(PRUNE, {"before": now - KEEP})
