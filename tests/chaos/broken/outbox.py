"""A planner whose outbox is none: a message is forgotten before it is published, and nothing is emitted again.

The watchdog is taken away, too: it plans from the tables whatever was lost, and nothing would be missed without an
outbox but time.
"""

import asyncio
from datetime import datetime

from libs.common.messaging import outbox
from libs.common.runtime.worker import Worker
from services.planner import outbox_relay, watchdog


def take_away() -> None:
    """Take the protection away."""

    async def forget_and_publish(worker: Worker, now: datetime) -> int:
        rows = await outbox.take(worker.engine, until=now + outbox_relay.HORIZON, now=now, limit=outbox_relay.BATCH)
        await outbox.done(worker.engine, [row.id for row in rows])
        for row in rows:
            await outbox_relay._publish(worker, row)
        return len(rows)

    async def sleep(worker: Worker) -> None:
        await asyncio.Event().wait()

    outbox_relay.relay = forget_and_publish
    watchdog.run = sleep
