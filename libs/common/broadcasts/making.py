"""Making a broadcast: who gets it, and when the next one runs. One transaction: all of it or none.

Asked for by hand (`/make`, `/send-now`) and by the clock (`MakeBroadcast`): both come here. The row of the broadcast is
locked first, so two at once make one.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import drawing, number_pool, personal_words, repository, restore_hold, selection, traces
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast, may_make, needs_successor, successor
from libs.common.domain.calendar import next_run, parse_week
from libs.common.domain.commands import MakeBroadcast
from libs.common.domain.frequency import Cap
from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.states import BroadcastState
from libs.common.errors import EmptyDraw, NoSegments, NothingScheduled, NotReconciled
from libs.common.messaging import outbox
from libs.common.observability import tracing

#: The scheduled broadcast nearest to now whose local date is today; a second caller waits here and then finds it gone.
NEAREST = text(f"""
SELECT id FROM broadcasts
WHERE state = '{BroadcastState.SCHEDULED}' AND NOT draft
  AND (run_at AT TIME ZONE :zone)::date = (CAST(:now AS timestamptz) AT TIME ZONE :zone)::date
ORDER BY greatest(run_at, :now) - least(run_at, :now), run_at, id
LIMIT 1 FOR NO KEY UPDATE
""")

#: Lets one caller at a time choose a broadcast to make, until its transaction ends.
ONE_MAKER = text("SELECT pg_try_advisory_xact_lock(hashtext('broadsheet.make_nearest')) AS alone")

#: Has PostgreSQL see at once how many messages a large draw has written. It would take the new broadcast for one of a
#: few messages, and read all of them for each batch that claims some, until it looks by itself, a minute later or more.
#: Where it is looking already this does not wait.
COUNT_MESSAGES = text("ANALYZE (SKIP_LOCKED) outgoing_messages")
LARGE = 5_000  # recipients

#: A number for a new broadcast.
NEW_ID = text("SELECT nextval('broadcast_ids') AS id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A broadcast that was made, and when the next one runs."""

    broadcast: Broadcast
    recipients: int
    #: None where no next one was scheduled with it.
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What decides the day of the next broadcast, and whether a broadcast goes without a second person."""

    zone: ZoneInfo
    calendar: Calendar
    #: A broadcast is made only once somebody who did not write it has approved it.
    needs_approval: bool = False
    #: How long nothing leaves of a broadcast that somebody sends now, so that it can be called back.
    hold: timedelta = timedelta()
    #: The same for one whose time has come.
    hold_at_its_time: timedelta = timedelta()
    #: How many texts one person gets at most, of all broadcasts.
    cap: Cap | None = None
    #: Messages a second that a number starts of which nothing else is said.
    send_rate: float = 1.0


async def make_nearest(connection: Connection, schedule: Schedule, now: datetime) -> Made:
    """Make the nearest scheduled broadcast of today. Raise NothingScheduled, NoSegments, EmptyDraw, Unrenderable.

    Of two callers at once one makes it; the other must not go on to the next broadcast of the day.
    """
    if not (await connection.execute(ONE_MAKER)).scalar_one():
        raise NothingScheduled("A broadcast is being made just now.")
    cursor = await connection.execute(NEAREST, {"zone": schedule.zone.key, "now": now})
    broadcast_id = cursor.scalar_one_or_none()
    if broadcast_id is None:
        raise NothingScheduled
    broadcast = await repository.load(connection, broadcast_id)
    return await make(connection, broadcast, schedule, now, by_hand=True, hold=schedule.hold_at_its_time)


async def make(
    connection: Connection,
    broadcast: Broadcast,
    schedule: Schedule,
    now: datetime,
    *,
    by_hand: bool,
    hold: timedelta = timedelta(),
) -> Made:
    """Fix the recipients of a broadcast, write their messages, schedule the next broadcast and begin the first phase.

    `broadcast` is as `repository.load` has locked it, on an engine that is made for long work. Nothing leaves for the
    time of `hold`, from when the recipients are fixed. Raise Conflict (not in a state to be made), NotReconciled,
    NotApproved, NoSegments, EmptyDraw, Unrenderable; then nothing has changed.
    """
    if await restore_hold.held(connection):
        raise NotReconciled
    may_make(broadcast, by_hand=by_hand, needs_approval=schedule.needs_approval)
    return await _make(connection, broadcast, schedule, now, hold=hold)


async def remake_for_restore(
    connection: Connection, broadcast: Broadcast, schedule: Schedule, now: datetime, *, numbers: Sequence[str]
) -> Made:
    """Make a broadcast as of `now`, restored or not; of each segment those with the given numbers are drawn first.

    So `reconcile` makes one whose making a restore has undone: who was texted already is a recipient again. It had
    gone before, so no approval is asked for, and it was no draft: the restore may have undone both, too. Nor does it
    fail where somebody lacks a value (`personal_words.skip_wordless`).
    """
    may_make(replace(broadcast, draft=False), by_hand=True)
    return await _make(connection, broadcast, schedule, now, numbers=numbers, is_strict=False)


async def _make(
    connection: Connection,
    broadcast: Broadcast,
    schedule: Schedule,
    now: datetime,
    *,
    numbers: Sequence[str] = (),
    hold: timedelta = timedelta(),
    is_strict: bool = True,
) -> Made:
    began = time.monotonic()
    with tracing.span("make", broadcast_id=broadcast.id) as span:
        await database.set_statement_timeout(connection, database.LONG_WORK)  # a draw of millions takes minutes
        if not broadcast.segments:
            raise NoSegments
        seed = secrets.randbits(63)
        wished = selection.of(broadcast, schedule.cap)
        drawn = await drawing.draw(connection, broadcast, wished, seed, now, numbers)
        recipients = drawn.recipients
        if recipients == 0:
            raise EmptyDraw
        span.set(count=recipients)
        await number_pool.assign(connection, broadcast, seed, now, zone=schedule.zone, send_rate=schedule.send_rate)
        parts = await personal_words.render(connection, broadcast, recipients, schedule.zone, is_strict=is_strict)
        if recipients >= LARGE:
            await connection.execute(COUNT_MESSAGES)
        following = await schedule_successor(connection, broadcast, schedule, now)
        event = e.BroadcastMade(
            broadcast_id=broadcast.id,
            recipients=recipients,
            seed=seed,
            draws=drawn.draws,
            next_broadcast_id=following.broadcast_id if following else None,
            # A large draw takes minutes; people see the broadcast after it.
            hold_until=now + timedelta(seconds=time.monotonic() - began) + hold if hold else None,
            parts=parts,
            fallback=drawn.fallback,
            excluded=drawn.excluded,
            caps=tuple(wished.caps),
            left_out={reason.value: people for reason, people in drawn.left_out.items()},
        )
        made = await repository.save(connection, broadcast, [event], now)
        await outbox.forget(connection, broadcast.id, MakeBroadcast.__name__)
        await traces.remember(connection, broadcast.id)
        return Made(broadcast=made, recipients=recipients, next_run_at=following.run_at if following else None)


async def schedule_successor(
    connection: Connection, broadcast: Broadcast, schedule: Schedule, now: datetime
) -> e.BroadcastScheduled | None:
    """Create the next broadcast of a recurring one, for its next day; None where there is one, or none."""
    if not needs_successor(broadcast):
        return None
    week = parse_week(broadcast.week)
    run_at = next_run(broadcast.run_at, now, schedule.zone, schedule.calendar, week)
    event = successor(broadcast, broadcast_id=await new_id(connection), run_at=run_at)
    await create(connection, event, now)
    return event


async def create(connection: Connection, event: e.BroadcastScheduled, now: datetime) -> None:
    """Record a new broadcast and plan its making for `run_at`."""
    await repository.create(connection, event, now)
    await plan_making(connection, event.broadcast_id, event.run_at, now)


async def plan_making(connection: Connection, broadcast_id: int, run_at: datetime, now: datetime) -> None:
    """Plan `MakeBroadcast` for `run_at`, in place of any that was planned."""
    await outbox.forget(connection, broadcast_id, MakeBroadcast.__name__)
    await outbox.write(connection, [MakeBroadcast(broadcast_id=broadcast_id)], now=now, deliver_at=run_at)


async def new_id(connection: Connection) -> int:
    """Return an id for a new broadcast."""
    return int((await connection.execute(NEW_ID)).scalar_one())
