"""What staff do to a broadcast, in a transaction that is given: the HTTP API and the pages do the same.

Each may be done twice. Each locks the broadcast first, so that two at once come one after the other.
"""

from datetime import datetime

from libs.common import database
from libs.common.broadcasts import making, messages, repository, restore_hold, scheduling
from libs.common.broadcasts.making import Schedule
from libs.common.database import Connection
from libs.common.domain import broadcast
from libs.common.domain.commands import MakeBroadcast
from libs.common.domain.states import BroadcastState, SkipReason
from libs.common.errors import NotInState, NotReconciled
from libs.common.messaging import outbox
from libs.common.texts import gettext_noop as n_


async def pause(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Start no further message until `resume`; what is on its way still arrives. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    await repository.save(connection, loaded, broadcast.pause(loaded), now)


async def resume(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Go on where `pause` stopped. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    await repository.save(connection, loaded, broadcast.resume(loaded), now)


async def approve(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Approve a broadcast that somebody else wrote, as it is now. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    events = broadcast.approve(loaded, str(database.actor_of(connection)))
    await repository.save(connection, loaded, events, now)


async def cancel(connection: Connection, broadcast_id: int, schedule: Schedule, now: datetime) -> None:
    """End a broadcast: what was not sent will not be. The chain of working days goes on. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    if not broadcast.cancel(loaded, None):
        return
    successor = await making.schedule_successor(connection, loaded, schedule, now)
    events = broadcast.cancel(loaded, successor.broadcast_id if successor else None)
    await repository.save(connection, loaded, events, now)
    await outbox.forget(connection, broadcast_id, MakeBroadcast.__name__)
    await messages.skip_unsent(connection, broadcast_id, SkipReason.CANCELLED, now)


async def skip(connection: Connection, broadcast_id: int, schedule: Schedule, now: datetime) -> None:
    """Leave out a scheduled broadcast; the one after it stays. One that has begun goes on. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    if loaded.state not in (BroadcastState.SCHEDULED, BroadcastState.CANCELLED):
        raise NotInState(loaded.state, n_("be left out"))
    await cancel(connection, broadcast_id, schedule, now)


async def stop_repeating(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Let a scheduled broadcast go out once more, and not again. Raise Conflict, NotFound."""
    loaded = await repository.load(connection, broadcast_id)
    await repository.save(connection, loaded, broadcast.stop_repeating(loaded), now)


async def send_now(connection: Connection, broadcast_id: int, schedule: Schedule, now: datetime) -> None:
    """Make a scheduled or missed broadcast; one that was made already stays as it is. Raise Conflict, NotFound.

    It draws the audience: use the engine for long work.
    """
    loaded = await repository.load(connection, broadcast_id)
    if loaded.state == BroadcastState.CANCELLED:
        raise NotInState(loaded.state, n_("be made"))
    if loaded.state in (BroadcastState.SCHEDULED, BroadcastState.MISSED):
        await making.make(connection, loaded, schedule, now, by_hand=True, hold=schedule.hold)


async def call_back(connection: Connection, broadcast_id: int, now: datetime) -> None:
    """Take a broadcast back of which nothing has left: it is scheduled again, or has not gone out if its time is over.

    Raise AlreadySent, which says how many have it, Conflict, NotFound, and NotReconciled: what a restored database
    calls unsent may have left. A worker that starts messages waits for the broadcast's row, or had it before: then
    they are counted here. Its messages are deleted: use the engine for long work.
    """
    await database.set_statement_timeout(connection, database.LONG_WORK)
    if await restore_hold.held(connection):
        raise NotReconciled
    loaded = await repository.load(connection, broadcast_id)
    left = await messages.left(connection, broadcast_id)
    events = broadcast.call_back(loaded, attempted=left.attempted, have_it=left.have_it, planned=left.planned)
    if not events:
        return
    after = await repository.save(connection, loaded, events, now)
    await scheduling.drop_steps(connection, broadcast_id, now)
    if after.state == BroadcastState.SCHEDULED:
        await making.plan_making(connection, broadcast_id, after.run_at, now)
