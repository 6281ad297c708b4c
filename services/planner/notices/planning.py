"""Which notices there are to be, read from history itself.

History, and not the broker, says what happened: a broker that lost its disk costs no notice, and what sends is asked
for nothing. Positions are handed out before commits, so that an event may come to be seen after one behind it. What is
younger than `OVERLAP` is therefore read again; nobody is told of it twice (`notices_target_id_kind_about_key`).
"""

from datetime import datetime, timedelta

from libs.common import database
from libs.common.domain import events as e
from libs.common.domain.notices import NoticeKind
from libs.common.runtime.worker import Worker
from services.planner.notices import queries
from services.planner.notices.queries import Happened

OVERLAP = timedelta(minutes=15)  # longer than a transaction that writes events takes
NEWS = timedelta(days=1)  # what is older is told to nobody
APART = timedelta(minutes=30)  # the least time between two notices of likely opt-outs
PAGE = 500  # events

#: Messages that failed before it is worth a notice, and their share of those whose fate is known.
LEAST_FAILED = 10
SHARE_FAILED = 0.2

KINDS = {
    e.BroadcastPaused.__name__: NoticeKind.PAUSED,
    e.BroadcastMissed.__name__: NoticeKind.MISSED,
    e.BroadcastCompleted.__name__: NoticeKind.FINISHED,
    e.OptOutSuspected.__name__: NoticeKind.LIKELY_OPT_OUTS,
}


async def plan(worker: Worker, now: datetime, planned: set[int]) -> None:
    """Plan a notice of each event for everybody who wants one.

    `planned` keeps, from one call to the next, the positions that need no second look.
    """
    seen: list[int] = []
    async with database.transaction(worker.engine) as connection:
        begun = settled = after = await queries.read_to(connection)
        while found := await queries.happened(connection, after=after, limit=PAGE):
            for event in found:
                if event.position not in planned and event.occurred_at > now - NEWS:
                    await _plan(connection, KINDS[event.type], event, event.position, now)
                if event.occurred_at < now - OVERLAP:
                    settled = event.position
            seen += [event.position for event in found]
            after = found[-1].position
        if settled > begun:
            await queries.move_on(connection, settled)
    planned.update(seen)
    planned.difference_update([position for position in planned if position <= settled])


async def plan_failures(worker: Worker, now: datetime) -> None:
    """Plan a notice of each broadcast that goes on while many of its messages fail."""
    async with database.transaction(worker.engine) as connection:
        parameters = {"least": LEAST_FAILED, "share": SHARE_FAILED}
        for broadcast_id in list((await connection.execute(queries.FAILING, parameters)).scalars()):
            event = Happened(0, "", broadcast_id, None, str(database.actor_of(connection)), now)
            await _plan(connection, NoticeKind.MANY_FAILURES, event, broadcast_id, now)


async def plan_approvals(worker: Worker, now: datetime) -> None:
    """Plan a notice of each broadcast that waits for somebody to approve it, for those who may."""
    async with database.transaction(worker.engine) as connection:
        await queries.plan_approvals(connection, now)


async def _plan(connection: database.Connection, kind: NoticeKind, event: Happened, about: int, now: datetime) -> None:
    await connection.execute(
        queries.PLAN,
        {
            "kind": str(kind),
            "about": about,
            "broadcast_id": event.broadcast_id,
            "reason": event.reason,
            "actor": event.actor,
            "happened_at": event.occurred_at,
            "now": now,
            "apart": APART,
        },
    )
