"""Making a broadcast: who gets it, and when the next one runs. One transaction: all of it or none.

Asked for by hand (`/make`, `/send-now`) and by the clock (`MakeBroadcast`): both come here. The row of the broadcast is
locked first, so two at once make one.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import TextClause, text

from libs.common import database
from libs.common.broadcasts import audience, personal_words, repository, restore_hold, segment_sql, traces
from libs.common.broadcasts.segment_sql import Condition
from libs.common.database import Connection
from libs.common.domain import codec, segments
from libs.common.domain import events as e
from libs.common.domain.broadcast import Broadcast, may_make, needs_successor, successor
from libs.common.domain.calendar import next_run, parse_week
from libs.common.domain.commands import MakeBroadcast
from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.shares import draw_order, quotas
from libs.common.domain.states import BroadcastState
from libs.common.errors import EmptyDraw, NoSegments, NothingScheduled, NotReconciled
from libs.common.eventstore import store
from libs.common.messaging import outbox
from libs.common.observability import tracing

#: Recipients that one event names.
CHUNK = 1000

#: The scheduled broadcast nearest to now whose local date is today; a second caller waits here and then finds it gone.
NEAREST = text(f"""
SELECT id FROM broadcasts
WHERE state = '{BroadcastState.SCHEDULED}' AND NOT draft
  AND (run_at AT TIME ZONE :zone)::date = (CAST(:now AS timestamptz) AT TIME ZONE :zone)::date
ORDER BY greatest(run_at, :now) - least(run_at, :now), run_at, id
LIMIT 1 FOR NO KEY UPDATE
""")

#: Draws one segment's share and writes the messages of each recipient: the first one, and the second one where there is
#: a follow-up. Members are ordered by a hash of seed and contact, so that a draw can be repeated and explained; before
#: them come those with the given numbers, who have the message already since a draw that a restore has undone. Who was
#: drawn before, or has opted out, is passed over. Their rows are locked, so that somebody who is being erased is passed
#: over too.
#: The recipients go into history as `RecipientsDrawn`, a bounded number to an event, without leaving the database.
DRAW = """
WITH drawn AS MATERIALIZED (
    SELECT d.id, d.phone_number, nextval('message_ids') AS first_id,
           CASE WHEN :has_second THEN nextval('message_ids') END AS second_id,
           (row_number() OVER () - 1) / :chunk + 1 AS chunk
    FROM (
        SELECT c.id, c.phone_number FROM contacts c
        WHERE {member}
          AND NOT EXISTS (SELECT FROM outgoing_messages m
                          WHERE m.broadcast_id = :broadcast_id AND m.contact_id = c.id)
        ORDER BY c.phone_number = ANY(:numbers) DESC, sha256(convert_to(:seed || ':' || c.id, 'UTF8')), c.id
        LIMIT :quota FOR KEY SHARE OF c
    ) d
), written AS (
    INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
    SELECT t.id, :broadcast_id, d.id, :segment_id, t.is_second, d.phone_number
    FROM drawn d CROSS JOIN LATERAL (VALUES (d.first_id, false), (d.second_id, true)) AS t (id, is_second)
    WHERE t.id IS NOT NULL
), head AS (
    INSERT INTO streams (stream, version)
    SELECT :stream, max(chunk) FROM drawn HAVING count(*) > 0
), recorded AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id, actor)
    SELECT :stream, chunk, gen_random_uuid(), '{drawn_event}', :schema_version, :broadcast_id,
           jsonb_build_object(
               'broadcast_id', CAST(:broadcast_id AS bigint), 'segment_id', CAST(:segment_id AS bigint),
               'contacts', jsonb_agg(id ORDER BY first_id), 'first_message_ids', jsonb_agg(first_id ORDER BY first_id),
               'second_message_ids',
               coalesce(jsonb_agg(second_id ORDER BY first_id) FILTER (WHERE second_id IS NOT NULL), '[]')),
           :now, :correlation_id, :causation_id, :actor
    FROM drawn GROUP BY chunk ORDER BY chunk
)
SELECT count(*) AS drawn FROM drawn
"""


def draw_of(named: str) -> TextClause:
    """Return the statement that draws whom a condition names."""
    return _draw_of(DRAW, named)


@lru_cache(maxsize=audience.SHAPES)
def _draw_of(draw: str, named: str) -> TextClause:
    return text(draw.format(member=audience.member(named), drawn_event=e.RecipientsDrawn.__name__))


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
        draws = await draw(connection, broadcast, seed, now, numbers)
        recipients = sum(item.drawn for item in draws)
        if recipients == 0:
            raise EmptyDraw
        span.set(count=recipients)
        parts = await personal_words.render(connection, broadcast, recipients, is_strict=is_strict)
        if recipients >= LARGE:
            await connection.execute(COUNT_MESSAGES)
        following = await schedule_successor(connection, broadcast, schedule, now)
        event = e.BroadcastMade(
            broadcast_id=broadcast.id,
            recipients=recipients,
            seed=seed,
            draws=tuple(draws),
            next_broadcast_id=following.broadcast_id if following else None,
            # A large draw takes minutes; people see the broadcast after it.
            hold_until=now + timedelta(seconds=time.monotonic() - began) + hold if hold else None,
            parts=parts,
        )
        made = await repository.save(connection, broadcast, [event], now)
        await outbox.forget(connection, broadcast.id, MakeBroadcast.__name__)
        await traces.remember(connection, broadcast.id)
        return Made(broadcast=made, recipients=recipients, next_run_at=following.run_at if following else None)


async def draw(
    connection: Connection, broadcast: Broadcast, seed: int, now: datetime, numbers: Sequence[str] = ()
) -> list[e.Draw]:
    """Draw the recipients, segment by segment; return what each gave, in the broadcast's order of segments.

    The segment with the fewest members to spare draws first: the others can make up for those they share.
    """
    ids = [segment.segment_id for segment in broadcast.segments]
    wanted = quotas(broadcast.max_recipients, [segment.ratio for segment in broadcast.segments])
    filters = await audience.filters(connection, ids)
    conditions = {key: segment_sql.condition(filters[key], now) for key in ids}
    members = [await audience.count(connection, conditions[key]) for key in ids]
    drawn = {}
    for place in draw_order(members, wanted, ids):
        key, quota = ids[place], wanted[place]
        drawn[key] = await _draw_segment(connection, broadcast, key, conditions[key], quota, seed, now, numbers)
    return [
        e.Draw(segment_id=key, quota=quota, drawn=drawn[key], filter=segments.dump(filters[key]))
        for key, quota in zip(ids, wanted, strict=True)
    ]


async def _draw_segment(
    connection: Connection,
    broadcast: Broadcast,
    segment_id: int,
    named: Condition,
    quota: int,
    seed: int,
    now: datetime,
    numbers: Sequence[str],
) -> int:
    cursor = await connection.execute(
        draw_of(named.sql),
        {
            **named.given,
            "broadcast_id": broadcast.id,
            "has_second": broadcast.has_follow_up,
            "segment_id": segment_id,
            "quota": quota,
            "seed": str(seed),
            "numbers": list(numbers),
            "chunk": CHUNK,
            # One that was called back is drawn again; each draw has a stream of its own.
            "stream": store.stream(broadcast.id, f"recipients-{segment_id}-{broadcast.version}"),
            "schema_version": codec.version(e.RecipientsDrawn.__name__),
            **store.origin(connection, now),
        },
    )
    return int(cursor.scalar_one())


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
