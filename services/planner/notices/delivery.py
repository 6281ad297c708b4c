"""Delivers notices, each for itself: one whose server is away holds up no other, and nothing here holds up what sends.

A notice is taken for the time of an attempt, delivered without any transaction, and then what became of it is written.
So it is delivered at least once, and twice only where the planner died in between.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.notices import NoticeKind, NoticeOutcome
from libs.common.messaging import consumer
from libs.common.observability import redaction, telemetry
from libs.common.runtime.worker import Task, Worker
from libs.common.settings.planner import PlannerSettings
from services.planner.notices import planning, queries, words
from services.planner.notices.channels import Channels, Dispatch, NotDelivered
from services.planner.notices.queries import Taken
from services.planner.notices.words import Facts

log = structlog.stdlib.get_logger(__name__)

LOOK_EVERY = 2.0  # seconds
LOOKS_EVERY = timedelta(seconds=30)  # between two looks for what no one event says
LEASE = timedelta(minutes=2)  # longer than an attempt may take
AT_ONCE = 20  # notices
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)  # before another try
TRIED_FOR = timedelta(days=1)  # before a notice is given up
KEPT = timedelta(days=30)  # after its end


def task(settings: PlannerSettings) -> Task[Worker]:
    """Return the planner's task that tells people of what happened."""

    async def run(worker: Worker) -> None:
        channels = Channels(settings)
        try:
            await _run(worker, settings, channels)
        finally:
            await channels.aclose()

    return run


async def _run(worker: Worker, settings: PlannerSettings, channels: Channels) -> None:
    planned: set[int] = set()
    looked = worker.clock() - LOOKS_EVERY
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = worker.clock()
        try:
            await planning.plan(worker, now, planned)
            if now - looked >= LOOKS_EVERY:
                looked = now
                await planning.plan_failures(worker, now)
                if settings.approval_required:
                    await planning.plan_approvals(worker, now)
                async with database.transaction(worker.engine) as connection:
                    await queries.prune(connection, now - KEPT)
            await deliver(worker, settings, channels, now)
        except consumer.TRANSIENT as error:
            log.warning("notices_wait", error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with notices, broadcasts are to go on
            log.error("notices_fail", error=redaction.placed(error))  # noqa: TRY400 - in one line, and without values


async def deliver(worker: Worker, settings: PlannerSettings, channels: Channels, now: datetime) -> int:
    """Deliver what is due, some at once; return how many were tried."""
    async with database.transaction(worker.engine) as connection:
        taken = await queries.take(connection, now, lease_until=now + LEASE, limit=AT_ONCE)
    await asyncio.gather(*(_deliver(worker, settings, channels, notice) for notice in taken))
    return len(taken)


async def _deliver(worker: Worker, settings: PlannerSettings, channels: Channels, notice: Taken) -> None:
    """Deliver one notice, and write what became of it."""
    async with database.transaction(worker.engine) as connection:
        facts, together = await _facts(connection, notice)
    outcome, failure = NoticeOutcome.NOT_NEEDED, None
    if facts is not None:
        try:
            await channels.deliver(notice.channel, _dispatch(notice, facts, settings), worker.clock())
            outcome = NoticeOutcome.SENT
        except NotDelivered as error:
            failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this one, the next ones are to go
            failure = redaction.placed(error)
    await _write(worker, notice, together, outcome, failure)


async def _write(
    worker: Worker, notice: Taken, together: list[int], outcome: NoticeOutcome, failure: str | None
) -> None:
    now = worker.clock()
    what = {"notice": notice.id, "kind": notice.kind, "channel": notice.channel}
    async with database.transaction(worker.engine) as connection:
        count: Callable[[], None] | None = None
        if failure is None:
            await queries.end(connection, together, outcome, now)
            count = telemetry.NOTICES.labels(notice.channel, outcome).inc
        elif notice.kind is NoticeKind.TEST:  # whoever asked for it waits, and sees why
            await queries.end(connection, [notice.id], NoticeOutcome.GIVEN_UP, now, failure)
        elif now - notice.happened_at > TRIED_FOR:
            await queries.end(connection, [notice.id], NoticeOutcome.GIVEN_UP, now, failure)
            count = telemetry.NOTICES.labels(notice.channel, NoticeOutcome.GIVEN_UP).inc
            log.error("notice_given_up", **what, reason=failure)
        else:
            await queries.put_off(connection, notice.id, now + wait(notice.attempts), failure)
            log.warning("notice_put_off", **what, reason=failure)
        if count is not None:
            database.on_commit(connection, count)


def wait(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, up to an hour."""
    doubled: timedelta = FIRST_WAIT * 2 ** min(attempts - 1, 10)
    return min(doubled, LONGEST_WAIT)


async def _facts(connection: Connection, notice: Taken) -> tuple[Facts | None, list[int]]:
    """Return what a notice is to say, None if it need not be said; and which notices are said by that."""
    if not notice.wanted:
        return None, [notice.id]
    if notice.kind is NoticeKind.LIKELY_OPT_OUTS:
        likely = await queries.likely(connection, notice.target_id)
        facts = Facts(kind=notice.kind, likely=likely.people) if likely.people else None
        return facts, list(likely.notices)
    if notice.kind is NoticeKind.TEST:
        return Facts(kind=notice.kind), [notice.id]
    assert notice.broadcast_id is not None
    counted = notice.kind in (NoticeKind.FINISHED, NoticeKind.MANY_FAILURES)
    failing = notice.kind is NoticeKind.MANY_FAILURES
    facts = Facts(
        kind=notice.kind,
        broadcast_id=notice.broadcast_id,
        run_at=notice.run_at,
        reason=notice.reason,
        doer=notice.doer,
        figures=await queries.figures(connection, notice.broadcast_id) if counted else None,
        code=await queries.most_failed_by(connection, notice.broadcast_id) if failing else None,
    )
    return facts, [notice.id]


def _dispatch(notice: Taken, facts: Facts, settings: PlannerSettings) -> Dispatch:
    letter = words.letter(facts, settings.zone)
    return Dispatch(
        id=notice.id,
        type=f"notice.{notice.kind}",
        title=letter.title,
        body=letter.body,
        url=settings.public_url + letter.path,
        broadcast_id=notice.broadcast_id,
        happened_at=notice.happened_at,
        address=notice.address,
        secret=notice.secret,
    )
