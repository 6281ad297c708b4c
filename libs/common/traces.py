"""Which trace a broadcast belongs to: what nobody's message asked for, such as a watchdog's step, joins it, too."""

from datetime import datetime

from libs.common import tracing
from libs.common.database import Connection

#: Names the trace of a broadcast: that of its making.
REMEMBER = """
INSERT INTO traces (broadcast_id, traceparent) VALUES (%(broadcast_id)s, %(traceparent)s)
ON CONFLICT (broadcast_id) DO UPDATE SET traceparent = excluded.traceparent
"""

#: Forgets the traces of broadcasts that are over.
PRUNE = """
DELETE FROM traces t USING broadcasts b WHERE b.id = t.broadcast_id AND b.completed_at < %(before)s
"""


async def remember(connection: Connection, broadcast_id: int) -> None:
    """Let the work under way be what a broadcast's trace goes on from; nothing where nobody traces."""
    traceparent = tracing.current()
    if traceparent is not None:
        await connection.execute(REMEMBER, {"broadcast_id": broadcast_id, "traceparent": traceparent})


async def prune(connection: Connection, before: datetime) -> None:
    """Forget the traces of broadcasts that were completed before a time."""
    await connection.execute(PRUNE, {"before": before})
