"""Which trace a broadcast belongs to: what nobody's message asked for, such as a watchdog's step, joins it, too."""

from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection
from libs.common.observability import tracing

#: Names the trace of a broadcast: that of its making.
REMEMBER = text("""
INSERT INTO traces (broadcast_id, traceparent) VALUES (:broadcast_id, :traceparent)
ON CONFLICT (broadcast_id) DO UPDATE SET traceparent = excluded.traceparent
""")

#: Forgets the traces of broadcasts that are over.
PRUNE = text("""
DELETE FROM traces t USING broadcasts b WHERE b.id = t.broadcast_id AND b.completed_at < :before
""")


async def remember(connection: Connection, broadcast_id: int) -> None:
    """Let the work under way be what a broadcast's trace goes on from; nothing where nobody traces."""
    traceparent = tracing.current()
    if traceparent is not None:
        await connection.execute(REMEMBER, {"broadcast_id": broadcast_id, "traceparent": traceparent})


async def prune(connection: Connection, before: datetime) -> None:
    """Forget the traces of broadcasts that were completed before a time."""
    await connection.execute(PRUNE, {"before": before})
