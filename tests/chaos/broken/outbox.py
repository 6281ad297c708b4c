"""A planner whose outbox is none: a message is forgotten before it is published, and nothing is emitted again.

The watchdog is taken away, too: it plans from the tables whatever was lost, and nothing would be missed without an
outbox but time.
"""

import asyncio
from datetime import datetime

from libs.common import database, outbox
from libs.common.worker import Worker
from services.planner import relay, watchdog


def take_away() -> None:
    """Take the protection away."""

    async def forget_and_publish(worker: Worker, now: datetime) -> int:
        async with database.transaction(worker.pool) as connection:
            rows = await outbox.take(connection, until=now + relay.HORIZON, limit=relay.BATCH)
        for row in rows:
            await relay._publish(worker, row, max(0.0, (row["deliver_at"] - now).total_seconds()))
        return len(rows)

    async def sleep(worker: Worker) -> None:
        await asyncio.Event().wait()

    relay.relay = forget_and_publish
    watchdog.run = sleep
