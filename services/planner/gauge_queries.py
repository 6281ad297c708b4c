"""What the gauges ask the database. Each statement reads what is still to be done, and counts up to a bound."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text

from libs.common.broadcasts import places
from libs.common.broadcasts.drafts import is_draft
from libs.common.database import Connection, EnumText, all_rows, first_row, literals, one_row
from libs.common.domain.states import BroadcastState, MessageState, Review
from services.planner.watchdog_queries import HAS_PASSES

#: A broadcast in these states sends.
SENDING_PHASES = (BroadcastState.SENDING_FIRST, BroadcastState.SENDING_SECOND)

#: What is due in the outbox, and how long the oldest of it has been due.
OUTBOX = text("""
SELECT count(*)::float8 AS count, coalesce(extract(epoch FROM :now - min(deliver_at)), 0)::float8 AS age
FROM (SELECT deliver_at FROM outbox WHERE deliver_at <= :now ORDER BY deliver_at, id LIMIT :most) AS oldest
""")

#: Our numbers as far as they have sent or were set, and what they have started on a day.
NUMBERS = text("""
SELECT CAST(n.id AS text) AS id, n.carrier, n.enabled, n.daily_cap, coalesce(d.started, 0) AS started
FROM sending_numbers n LEFT JOIN sending_days d ON d.sending_number_id = n.id AND d.day = CAST(:day AS date)
ORDER BY n.id
""")

#: What nobody has claimed of the phases under way, by phase.
PENDING = text(f"""
SELECT p.is_second, sum(w.messages)::float8 AS count,
       coalesce(extract(epoch FROM :now - min(p.began_at) FILTER (WHERE w.messages > 0)), 0)::float8 AS age
FROM (
    SELECT id, state = '{BroadcastState.SENDING_SECOND}' AS is_second,
           CASE state WHEN '{BroadcastState.SENDING_SECOND}' THEN second_due_at ELSE made_at END AS began_at
    FROM broadcasts WHERE completed_at IS NULL AND state IN {literals(SENDING_PHASES)}
) AS p CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM (
        SELECT FROM outgoing_messages m
        WHERE m.broadcast_id = p.id AND m.is_second = p.is_second AND m.state = '{MessageState.PENDING}'
        LIMIT :most) AS counted
) AS w
GROUP BY p.is_second
""")

#: The phases under way.
PHASES = text(f"""
SELECT id, state = '{BroadcastState.SENDING_SECOND}' AS is_second FROM broadcasts
WHERE completed_at IS NULL AND state IN {literals(SENDING_PHASES)}
""")

#: Broadcasts that are not over, by state. One that was cancelled before it was made is over, although it was never
#: completed.
BROADCASTS = text(f"""
SELECT state, count(*)::float8 AS count,
       extract(epoch FROM :now - min(
           CASE WHEN state = '{BroadcastState.SCHEDULED}' AND NOT {is_draft("b")} THEN run_at
                WHEN state = '{BroadcastState.WAITING}' THEN second_due_at END))::float8 AS overdue,
       extract(epoch FROM :now - min(
           CASE state WHEN '{BroadcastState.SYNCING}' THEN sync_started_at END))::float8 AS syncing
FROM broadcasts b
WHERE completed_at IS NULL AND state <> '{BroadcastState.MISSED}'
  AND (state <> '{BroadcastState.CANCELLED}' OR made_at IS NOT NULL)
GROUP BY state
""").columns(state=EnumText(BroadcastState))

#: Steps that are due and that nobody has taken; a batch under way renews its lease. What the watchdog emits again is
#: due now by its clock, which may be a moment ahead.
STEPS = text(f"""
SELECT * FROM (
    SELECT 'batch ' || s.id || ' ' || s.fence AS step, coalesce(s.lease_until, s.due_at) AS due
    FROM broadcasts b JOIN batches s ON s.broadcast_id = b.id
    WHERE b.completed_at IS NULL AND b.state IN {literals(SENDING_PHASES)} AND s.closed_at IS NULL
    UNION ALL
    SELECT 'pass ' || s.broadcast_id || ' ' || s.number, s.due_at
    FROM broadcasts b JOIN syncs s ON s.broadcast_id = b.id
    WHERE b.completed_at IS NULL AND b.state IN {literals(HAS_PASSES)}
) AS steps WHERE due <= CAST(:now AS timestamptz) + interval '1 second'
""")

#: Messages that are uncertain, and how long ago the oldest attempt of these began.
UNCERTAIN = text(f"""
SELECT count(*)::float8 AS count, coalesce(extract(epoch FROM :now - min(m.attempt_started_at)), 0)::float8 AS age
FROM outgoing_messages m JOIN broadcasts b ON b.id = m.broadcast_id
WHERE m.state = '{MessageState.UNCERTAIN}' AND b.completed_at IS NULL
""")

#: Likely opt-outs that wait for a person, and how long the oldest has waited.
TO_REVIEW = text(f"""
SELECT count(*)::float8 AS count, coalesce(extract(epoch FROM :now - min(received_at)), 0)::float8 AS age
FROM replies WHERE review = '{Review.WAITING}'
""")

#: The revision of the schema.
REVISION = text("SELECT version_num FROM alembic_version")

#: No row where nothing is archived; by the clock of the server, which keeps no count of failures since a success.
ARCHIVE = text("""
SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS fails,
       extract(epoch FROM clock_timestamp() - coalesce(last_archived_time, pg_postmaster_start_time()))::float8 AS age
FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
""")


@dataclass(frozen=True, slots=True)
class NumberToday:
    """A sending number, and what it has started on a day."""

    id: str
    carrier: str | None
    enabled: bool
    daily_cap: int | None
    started: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, and how long the oldest of it has waited."""

    count: float
    #: Seconds.
    age: float


@dataclass(frozen=True, slots=True)
class PendingPhase:
    """What nobody has claimed of all phases of a kind."""

    is_second: bool
    count: float
    #: Seconds since the oldest of them began.
    age: float


@dataclass(frozen=True, slots=True)
class InState:
    """The broadcasts in a state."""

    state: BroadcastState
    count: float
    #: Seconds for which the step of one of them has been due; None in states that wait for none.
    overdue: float | None
    #: Seconds since the oldest status sync began; None in other states.
    syncing: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is due and that nobody has taken."""

    step: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Archive:
    """How PostgreSQL's archive of its log fares."""

    fails: bool
    #: Seconds since it last archived a segment.
    age: float


async def numbers(connection: Connection, day: date) -> list[NumberToday]:
    """Return the sending numbers, with what those with a daily cap have started on a day."""
    return all_rows(await connection.execute(NUMBERS, {"day": day}), NumberToday)


async def outbox(connection: Connection, now: datetime, *, most: int) -> Backlog:
    """Return what is due in the outbox, counted up to `most`."""
    return one_row(await connection.execute(OUTBOX, {"now": now, "most": most}), Backlog)


async def pending(connection: Connection, now: datetime, *, most: int) -> list[PendingPhase]:
    """Return what nobody has claimed of the phases under way, counted up to `most` a broadcast."""
    return all_rows(await connection.execute(PENDING, {"now": now, "most": most}), PendingPhase)


async def pending_places(connection: Connection) -> set[str]:
    """Return to which places messages of the phases under way are pending."""
    phases = (await connection.execute(PHASES)).tuples().all()
    return {
        place
        for broadcast_id, is_second in phases
        for place in await places.pending(connection, broadcast_id, is_second=is_second)
    }


async def broadcasts(connection: Connection, now: datetime) -> list[InState]:
    """Return how many broadcasts that are not over are in each state."""
    return all_rows(await connection.execute(BROADCASTS, {"now": now}), InState)


async def steps(connection: Connection, now: datetime) -> list[Step]:
    """Return the steps that are due and that nobody has taken."""
    return all_rows(await connection.execute(STEPS, {"now": now}), Step)


async def uncertain(connection: Connection, now: datetime) -> Backlog:
    """Return how many messages are uncertain."""
    return one_row(await connection.execute(UNCERTAIN, {"now": now}), Backlog)


async def to_review(connection: Connection, now: datetime) -> Backlog:
    """Return how many likely opt-outs wait for a person."""
    return one_row(await connection.execute(TO_REVIEW, {"now": now}), Backlog)


async def revision(connection: Connection) -> str:
    """Return the revision of the schema."""
    return str((await connection.execute(REVISION)).scalar_one())


async def archive(connection: Connection) -> Archive | None:
    """Return how PostgreSQL's archive of its log fares; None where it keeps none."""
    return first_row(await connection.execute(ARCHIVE), Archive)
