"""Everything stops: every broadcast that sends or waits is paused, each in a transaction of its own.

None waits for another: one that is just being made is stopped as soon as it is made, the others are meanwhile. What has
begun to leave leaves: the requests under way.
"""

import asyncio
from datetime import datetime, timedelta

from litestar import post
from litestar.di import NamedDependency
from msgspec import Struct

from libs.common import broadcast as rules
from libs.common import lifecycle
from libs.common.database import Connection
from services.api import transactions
from services.api.context import Context

SOON = timedelta(hours=24)  # what is scheduled for later is no news

#: Broadcasts that send or wait, and those that will soon; what sends now comes first.
CANDIDATES = """
SELECT id, run_at FROM broadcasts
WHERE state = ANY(%(stoppable)s) OR (state = 'scheduled' AND run_at < %(soon)s)
ORDER BY state = 'scheduled', state = 'waiting', id
"""

#: One who presses this wants to know within seconds; a wait is tried three times.
SHORT_WAIT = "SET LOCAL lock_timeout = '3s'"

#: Texts whose request may be on its way.
UNDER_WAY = "SELECT count(*) AS texts FROM outgoing_messages WHERE state = 'started'"


class Upcoming(Struct, kw_only=True):
    """A broadcast that will begin unless it is cancelled."""

    broadcast_id: int
    run_at: datetime


class Stopped(Struct, kw_only=True):
    """What is stopped, and what is not."""

    #: Broadcasts that are paused now, and were not before.
    paused: list[int]
    #: Broadcasts that somebody holds locked; ask again.
    not_stopped: list[int]
    #: Broadcasts of the next 24 hours, which only a cancel keeps from beginning.
    scheduled: list[Upcoming]
    #: Texts whose request was on its way when the last broadcast was paused: they may still arrive.
    under_way: int


@post("/stop", status_code=200)
async def stop(api: NamedDependency[Context]) -> Stopped:
    """Pause every broadcast that sends or waits. Pressed again, it stops what has begun since."""
    now = api.clock()
    async with api.pool.connection() as connection:
        cursor = await connection.execute(CANDIDATES, {"stoppable": list(rules.PAUSABLE), "soon": now + SOON})
        found = await cursor.fetchall()
    stopped = Stopped(paused=[], not_stopped=[], scheduled=[], under_way=0)
    states = await asyncio.gather(*(_pause(api, row["id"], now) for row in found))
    for row, state in zip(found, states, strict=True):
        if state is None:
            stopped.not_stopped.append(row["id"])
        elif state in rules.PAUSABLE:
            stopped.paused.append(row["id"])
        elif state == "scheduled":
            stopped.scheduled.append(Upcoming(broadcast_id=row["id"], run_at=row["run_at"]))
    async with api.pool.connection() as connection:
        left = await (await connection.execute(UNDER_WAY)).fetchone()
    assert left is not None
    stopped.under_way = left["texts"]
    return stopped


async def _pause(api: Context, broadcast_id: int, now: datetime) -> str | None:
    """Pause a broadcast if it sends or waits; give the state it was in, None if somebody holds it locked."""

    async def work(connection: Connection) -> str:
        await connection.execute(SHORT_WAIT)
        # Waits for whoever is just making it, and then finds what they made.
        broadcast, version = await lifecycle.load(connection, broadcast_id)
        if broadcast.state in rules.PAUSABLE:
            await lifecycle.record(connection, broadcast_id, version, rules.pause(broadcast), now)
        return broadcast.state

    try:
        return await transactions.retrying(api.pool, work)
    except transactions.COLLISIONS:
        return None


HANDLERS = (stop,)
