"""Everything stops: every broadcast that sends or waits is paused, each in a transaction of its own.

None waits for another: one that is just being made is stopped as soon as it is made, the others are meanwhile. What has
begun to leave leaves: the requests under way.
"""

import asyncio
from datetime import datetime, timedelta

from litestar import post
from litestar.di import NamedDependency
from msgspec import Struct

from libs.common import database
from libs.common.broadcasts import repository
from libs.common.database import Connection
from libs.common.domain.broadcast import PAUSABLE, pause
from libs.common.domain.cause import Cause
from libs.common.domain.states import BroadcastState
from services.api.broadcasts import queries
from services.api.context import Context
from services.api.http import transactions
from services.api.http.fields import Moment

SOON = timedelta(hours=24)  # what is scheduled for later is no news
LONGEST = timedelta(days=366)  # before and after now, in which a broadcast runs that is under way


class Upcoming(Struct, kw_only=True):
    """A broadcast that will begin unless it is cancelled."""

    broadcast_id: int
    run_at: Moment


class Stopped(Struct, kw_only=True):
    """What is stopped, and what is not."""

    #: Broadcasts that are paused now, and were not before.
    paused: list[int]
    #: Broadcasts that somebody holds locked; ask again.
    not_stopped: list[int]
    #: Broadcasts of the next 24 hours, which only a cancel keeps from beginning.
    scheduled: list[Upcoming]
    #: Messages whose request was on its way when the last broadcast was paused: they may still arrive.
    under_way: int


@post("/stop", status_code=200)
async def stop(api: NamedDependency[Context], cause: NamedDependency[Cause]) -> Stopped:
    """Pause every broadcast that sends or waits. Pressed again, it stops what has begun since."""
    return await everything(api, cause)


async def everything(api: Context, cause: Cause) -> Stopped:
    """Pause every broadcast that sends or waits; return what was paused and what was not."""
    now = api.clock()
    async with database.transaction(api.engine) as connection:
        found = await queries.stoppable(connection, before=now + SOON)
    stopped = Stopped(paused=[], not_stopped=[], scheduled=[], under_way=0)
    states = await asyncio.gather(*(_pause(api, cause, candidate.id, now) for candidate in found))
    for candidate, state in zip(found, states, strict=True):
        if state is None:
            stopped.not_stopped.append(candidate.id)
        elif state in PAUSABLE:
            stopped.paused.append(candidate.id)
        elif state is BroadcastState.SCHEDULED:
            stopped.scheduled.append(Upcoming(broadcast_id=candidate.id, run_at=candidate.run_at))
    async with database.transaction(api.engine) as connection:
        stopped.under_way = await queries.count_under_way(connection)
    return stopped


async def _pause(api: Context, cause: Cause, broadcast_id: int, now: datetime) -> BroadcastState | None:
    """Pause a broadcast if it sends or waits; return the state it was in, None if somebody holds it locked."""

    async def work(connection: Connection) -> BroadcastState:
        await queries.wait_briefly(connection)
        # Waits for whoever is just making it, and then finds what they made.
        broadcast = await repository.load(connection, broadcast_id)
        if broadcast.state in PAUSABLE:
            await repository.save(connection, broadcast, pause(broadcast), now)
        return broadcast.state

    try:
        return await transactions.retrying(api.engine, cause, work)
    except transactions.COLLISIONS:
        return None


HANDLERS = (stop,)
