"""Live progress, as server-sent events.

A snapshot is sent when it differs from the last one; no connection to the database is held in between. Counting a large
broadcast takes its time, so the pause grows with it: a watcher costs the database a tenth of its time at most.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from libs.common import broadcast as rules
from services.api import broadcast_rows, progress
from services.api.context import Context
from services.api.fields import PathId

INTERVAL = 0.5  # seconds between two looks, at least
HEARTBEAT = 15.0  # seconds without news after which a comment keeps the connection open
SHARE = 10  # times as long as it counts, a watcher waits

#: States after which there is nothing to watch.
LAST = (*rules.FINAL, "missed")


@get("/broadcasts/{broadcast_id:int}/stream")
async def stream(api: NamedDependency[Context], broadcast_id: PathId) -> ServerSentEvent:
    """Follow a broadcast: an event `progress` each time a figure changes, until its state is final."""
    async with api.pool.connection() as connection:
        await broadcast_rows.check_exists(connection, broadcast_id)
    return ServerSentEvent(_snapshots(api, broadcast_id))


async def _snapshots(api: Context, broadcast_id: int) -> AsyncIterator[ServerSentEventMessage]:
    last = b""
    told = time.monotonic()
    while not api.stopping.is_set():
        began = time.monotonic()
        try:
            async with api.pool.connection() as connection:
                figures = await progress.read(connection, broadcast_id)
        except (OperationalError, PoolTimeout):
            figures = None  # the watcher gets heartbeats until the database is back
        took = time.monotonic() - began
        if figures is not None and (now := msgspec.json.encode(figures.progress)) != last:
            last, told = now, time.monotonic()
            yield ServerSentEventMessage(event="progress", data=now)
        elif time.monotonic() - told >= HEARTBEAT:
            told = time.monotonic()
            yield ServerSentEventMessage(comment="still here", data=None)
        if figures is not None and figures.progress.state in LAST:
            return
        await asyncio.sleep(max(INTERVAL, took * SHARE))


HANDLERS = (stream,)
