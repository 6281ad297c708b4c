"""Making a broadcast: who gets it, and when the next one runs. One transaction: all of it or none.

Asked for by hand (`/make`, `/send-now`) and by the clock (`MakeBroadcast`): both come here. The row of the broadcast is
locked first, so two at once make one.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common import (
    audience,
    causation,
    codec,
    database,
    lifecycle,
    outbox,
    restored,
    store,
    traces,
    tracing,
    workdays,
)
from libs.common import broadcast as rules
from libs.common import events as e
from libs.common.broadcast import Broadcast
from libs.common.commands import MakeBroadcast
from libs.common.database import Connection
from libs.common.errors import EmptyDraw, NoSegments, NothingScheduled, NotReconciled

#: Recipients that one event names.
CHUNK = 1000

#: The scheduled broadcast nearest to now whose local date is today; a second caller waits here and then finds it gone.
NEAREST = """
SELECT id FROM broadcasts
WHERE state = 'scheduled' AND (run_at AT TIME ZONE %(zone)s)::date = (%(now)s::timestamptz AT TIME ZONE %(zone)s)::date
ORDER BY greatest(run_at, %(now)s) - least(run_at, %(now)s), run_at, id
LIMIT 1 FOR NO KEY UPDATE
"""

#: Draws one segment's share and writes both messages of each recipient. Members are ordered by a hash of seed and
#: contact, so that a draw can be repeated and explained; before them come those with the given numbers, who have the
#: text already since a draw that a restore has undone. Who was drawn before, or has opted out, is passed over. Their
#: rows are locked, so that somebody who is being erased is passed over too.
#: The recipients go into history as `RecipientsDrawn`, a bounded number to an event, without leaving the database.
DRAW = f"""
WITH drawn AS MATERIALIZED (
    SELECT d.id, d.phone_number, nextval('text_ids') AS first_text, nextval('text_ids') AS second_text,
           (row_number() OVER () - 1) / %(chunk)s + 1 AS chunk
    FROM (
        SELECT c.id, c.phone_number FROM contacts c
        WHERE {audience.MEMBER}
          AND NOT EXISTS (SELECT FROM outgoing_messages m
                          WHERE m.broadcast_id = %(broadcast_id)s AND m.contact_id = c.id)
        ORDER BY c.phone_number = ANY(%(numbers)s) DESC, sha256(convert_to(%(seed)s || ':' || c.id, 'UTF8')), c.id
        LIMIT %(quota)s FOR KEY SHARE OF c
    ) d
), written AS (
    INSERT INTO outgoing_messages (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)
    SELECT t.id, %(broadcast_id)s, d.id, %(segment_id)s, t.is_second, d.phone_number
    FROM drawn d CROSS JOIN LATERAL (VALUES (d.first_text, false), (d.second_text, true)) AS t (id, is_second)
), head AS (
    INSERT INTO streams (stream, version)
    SELECT %(stream)s, max(chunk) FROM drawn HAVING count(*) > 0
), recorded AS (
    INSERT INTO events (stream, version, id, type, schema_version, broadcast_id, data, occurred_at, correlation_id,
                        causation_id)
    SELECT %(stream)s, chunk, gen_random_uuid(), 'RecipientsDrawn', %(schema_version)s, %(broadcast_id)s,
           jsonb_build_object(
               'broadcast_id', %(broadcast_id)s::bigint, 'segment_id', %(segment_id)s::bigint,
               'contacts', jsonb_agg(id ORDER BY first_text), 'first_texts', jsonb_agg(first_text ORDER BY first_text),
               'second_texts', jsonb_agg(second_text ORDER BY first_text)),
           %(now)s, %(correlation_id)s, %(causation_id)s
    FROM drawn GROUP BY chunk ORDER BY chunk
)
SELECT count(*) AS drawn FROM drawn
"""

#: Lets one caller at a time choose a broadcast to make, until its transaction ends.
ONE_MAKER = "SELECT pg_try_advisory_xact_lock(hashtext('broadsheet.make_nearest')) AS alone"

#: A draw of millions takes minutes.
DRAW_TIMEOUT = 900  # seconds

#: Has PostgreSQL see at once how many texts a large draw has written. It would take the new broadcast for one of a few
#: texts, and read all of them for each batch that claims some, until it looks by itself, a minute later or more. Where
#: it is looking already this does not wait.
COUNT_TEXTS = "ANALYZE (SKIP_LOCKED) outgoing_messages"
LARGE = 5_000  # recipients

#: A number for a new broadcast.
NEW_ID = "SELECT nextval('broadcast_ids') AS id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `/make` answers."""

    broadcast_id: int
    recipients: int
    next_broadcast_id: int | None
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What decides the day of the next broadcast."""

    zone: ZoneInfo
    #: `US-MI`, or empty for no holidays.
    holidays: str


async def make_nearest(connection: Connection, schedule: Schedule, now: datetime) -> Made:
    """Make the nearest scheduled broadcast of today. Raises NothingScheduled, NoSegments, EmptyDraw.

    Of two callers at once one makes it; the other must not go on to the next broadcast of the day.
    """
    taken = await (await connection.execute(ONE_MAKER)).fetchone()
    if taken is None or not taken["alone"]:
        raise NothingScheduled("A broadcast is being made just now.")
    cursor = await connection.execute(NEAREST, {"zone": schedule.zone.key, "now": now})
    row = await cursor.fetchone()
    if row is None:
        raise NothingScheduled
    return await make(connection, row["id"], schedule, now, by_hand=True)


async def make(connection: Connection, broadcast_id: int, schedule: Schedule, now: datetime, *, by_hand: bool) -> Made:
    """Fix the recipients of a broadcast, write their texts, schedule the next broadcast and begin the first phase.

    Raises NotFound, Conflict (not in a state to be made), NotReconciled, NoSegments, EmptyDraw; then nothing has
    changed.
    """
    if await restored.held(connection):
        raise NotReconciled
    return await make_again(connection, broadcast_id, schedule, now, by_hand=by_hand, numbers=())


async def make_again(
    connection: Connection,
    broadcast_id: int,
    schedule: Schedule,
    now: datetime,
    *,
    by_hand: bool,
    numbers: Sequence[str],
) -> Made:
    """Make a broadcast as of `now`, restored or not; of each segment those with the given numbers are drawn first.

    So `reconcile` makes one whose making a restore has undone: who was texted already is a recipient again.
    """
    with tracing.span("make", broadcast_id=broadcast_id) as span:
        made = await _make(connection, broadcast_id, schedule, now, by_hand=by_hand, numbers=numbers)
        await traces.remember(connection, broadcast_id)
        span.set(count=made.recipients)
        return made


async def _make(
    connection: Connection,
    broadcast_id: int,
    schedule: Schedule,
    now: datetime,
    *,
    by_hand: bool,
    numbers: Sequence[str],
) -> Made:
    await database.allow(connection, DRAW_TIMEOUT)
    broadcast, version = await lifecycle.load(connection, broadcast_id)
    rules.may_make(broadcast, by_hand=by_hand)
    if not broadcast.segments:
        raise NoSegments
    seed = secrets.randbits(63)
    draws = await draw(connection, broadcast, seed, now, numbers)
    recipients = sum(item.drawn for item in draws)
    if recipients == 0:
        raise EmptyDraw
    if recipients >= LARGE:
        await connection.execute(COUNT_TEXTS)
    successor = await schedule_successor(connection, broadcast, schedule, now)
    made = e.BroadcastMade(
        broadcast_id=broadcast_id,
        recipients=recipients,
        seed=seed,
        draws=tuple(draws),
        next_broadcast_id=successor.broadcast_id if successor else None,
    )
    await lifecycle.record(connection, broadcast_id, version, [made], now)
    await outbox.forget(connection, broadcast_id, MakeBroadcast.__name__)
    return Made(
        broadcast_id=broadcast_id,
        recipients=recipients,
        next_broadcast_id=successor.broadcast_id if successor else broadcast.next_broadcast_id,
        next_run_at=successor.run_at if successor else None,
    )


async def draw(
    connection: Connection, broadcast: Broadcast, seed: int, now: datetime, numbers: Sequence[str] = ()
) -> list[e.Draw]:
    """Draw the recipients, segment by segment; give what each gave, in the broadcast's order of segments.

    The segment with the fewest members to spare draws first: the others can make up for those they share.
    """
    quotas = dict(
        zip(
            (segment.segment_id for segment in broadcast.segments),
            rules.quotas(broadcast.max_recipients, [segment.ratio for segment in broadcast.segments]),
            strict=True,
        )
    )
    filters = await audience.filters(connection, list(quotas))
    spare = {key: await audience.count(connection, filters[key]) - quotas[key] for key in quotas}
    drawn = {
        key: await _draw_segment(connection, broadcast.id, key, filters[key], quotas[key], seed, now, numbers)
        for key in sorted(quotas, key=lambda key: (spare[key], key))
    }
    return [e.Draw(segment_id=key, quota=quotas[key], drawn=drawn[key]) for key in quotas]


async def _draw_segment(
    connection: Connection,
    broadcast_id: int,
    segment_id: int,
    filter_: Mapping[str, Sequence[str]],
    quota: int,
    seed: int,
    now: datetime,
    numbers: Sequence[str],
) -> int:
    cause = causation.current()
    cursor = await connection.execute(
        DRAW,
        {
            **audience.parameters(filter_),
            "broadcast_id": broadcast_id,
            "segment_id": segment_id,
            "quota": quota,
            "seed": str(seed),
            "numbers": list(numbers),
            "chunk": CHUNK,
            "stream": store.stream(broadcast_id, f"recipients-{segment_id}"),
            "schema_version": codec.version(e.RecipientsDrawn.__name__),
            "now": now,
            "correlation_id": cause.correlation_id,
            "causation_id": cause.causation_id,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["drawn"])


async def schedule_successor(
    connection: Connection, broadcast: Broadcast, schedule: Schedule, now: datetime
) -> e.BroadcastScheduled | None:
    """Create the next broadcast of a recurring one, for the next working day; None where there is one, or none."""
    if not rules.needs_successor(broadcast):
        return None
    run_at = workdays.next_run(broadcast.run_at, now, schedule.zone, schedule.holidays)
    event = rules.successor(broadcast, broadcast_id=await new_id(connection), run_at=run_at)
    await create(connection, event, now)
    return event


async def create(connection: Connection, event: e.BroadcastScheduled, now: datetime) -> None:
    """Record a new broadcast and plan its making for `run_at`."""
    await lifecycle.record(connection, event.broadcast_id, 0, [event], now)
    await plan_making(connection, event.broadcast_id, event.run_at, now)


async def plan_making(connection: Connection, broadcast_id: int, run_at: datetime, now: datetime) -> None:
    """Plan `MakeBroadcast` for `run_at`, in place of any that was planned."""
    await outbox.forget(connection, broadcast_id, MakeBroadcast.__name__)
    await outbox.write(connection, [MakeBroadcast(broadcast_id=broadcast_id)], now=now, deliver_at=run_at)


async def new_id(connection: Connection) -> int:
    """Give an id for a new broadcast."""
    cursor = await connection.execute(NEW_ID)
    row = await cursor.fetchone()
    assert row is not None
    return int(row["id"])
