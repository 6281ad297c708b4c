"""What the steps of a message cost in the database: the draw, a claim, a start, an answer."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import making, repository, scheduling
from libs.common.carriers.outcomes import Accepted
from libs.common.database import Engine
from libs.common.domain import events as e
from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.quiet_hours import Rules
from services.sender import batches, outcomes
from tests.bench.checkouts import NUMBER
from tests.support import servers

RULES = Rules(None, "UTC")  # it runs at any hour

BATCH = 50
BATCHES = 20  # batches measured at each point
FEWEST = 4 * BATCHES * BATCH  # recipients of whom enough are left at both points
PATIENCE = 3600.0  # seconds that a statement may take which is not measured

NUMBERS = text("INSERT INTO sending_numbers (phone_number) VALUES (:number)")
CONTACTS = text("""
INSERT INTO contacts (phone_number, tags)
SELECT '+1' || (2010000000 + i)::text, '{all}' FROM generate_series(1, :count) AS i
""")
SEGMENT = text("""INSERT INTO audience_segments (name, filter) VALUES ('all', '{"any": ["all"]}')""")
HALF = text("""
UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled'
WHERE NOT is_second AND state = 'pending'
  AND id <= (SELECT min(id) + (max(id) - min(id)) / 2 FROM outgoing_messages)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Milliseconds a message."""

    claim: float
    start: float
    answer: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A broadcast at its beginning, and with half of its messages sent."""

    recipients: int
    make: float  # seconds
    early: Steps
    late: Steps


async def measure(recipients: int) -> Measured:
    """Measure a broadcast of a size."""
    with servers.database() as url:
        async with (
            database.disposing(database.create_engine(url, longest=PATIENCE)) as long_work,
            database.disposing(database.create_engine(url)) as engine,
        ):
            await fill(long_work, recipients)
            seconds = await make(long_work, recipients)
            early = await send(engine, BATCHES)
            async with database.transaction(long_work) as connection:
                await database.set_statement_timeout(connection, PATIENCE)
                await connection.execute(HALF)
            late = await send(engine, BATCHES)
    return Measured(recipients=recipients, make=seconds, early=early, late=late)


async def fill(engine: Engine, contacts: int) -> None:
    """Write contacts, a segment with all of them, and a sending number."""
    async with database.transaction(engine) as connection:
        await database.set_statement_timeout(connection, PATIENCE)
        await connection.execute(NUMBERS, {"number": NUMBER})
        await connection.execute(CONTACTS, {"count": contacts})
        await connection.execute(SEGMENT)
    async with database.transaction(engine) as connection:
        await connection.execute(text("ANALYZE"))


async def make(engine: Engine, recipients: int) -> float:
    """Schedule and make a broadcast; return the seconds that the making took."""
    now = datetime.now(UTC)
    async with database.transaction(engine) as connection:
        event = e.BroadcastScheduled(
            broadcast_id=await making.new_id(connection),
            run_at=now,
            first_message="first",
            second_message="second",
            second_delay=600,
            segments=(e.Segment(segment_id=1, ratio=100),),
            max_recipients=recipients,
            sending_number_id=1,
            recurring=False,
        )
        await making.create(connection, event, now)
    began = time.perf_counter()
    async with database.transaction(engine) as connection:
        await database.set_statement_timeout(connection, PATIENCE)
        schedule = making.Schedule(zone=ZoneInfo("UTC"), calendar=Calendar())
        found = await repository.load(connection, event.broadcast_id)
        await making.make(connection, found, schedule, now, by_hand=True)
    return time.perf_counter() - began


async def send(engine: Engine, count: int) -> Steps:
    """Claim, start and answer the messages of `count` batches of the first broadcast."""
    claiming = starting = answering = 0.0
    sent = 0
    for _ in range(count):
        now = datetime.now(UTC)
        async with database.transaction(engine) as connection:
            batch_id = await scheduling.plan_batch(connection, 1, now, now, is_second=False)
        began = time.perf_counter()
        async with database.transaction(engine) as connection:
            batch = await batches.take(connection, batch_id, lease=60, redelivered=False, now=now)
            assert batch is not None
            await batches.claim(connection, batch, size=BATCH, rules=RULES, now=now)
            open_ = list(await batches.windows(connection, batch, RULES, now))
        claimed = time.perf_counter()
        started: list[batches.StartedAttempt] = []
        for _ in range(BATCH):
            async with database.transaction(engine) as connection:
                started += await batches.start(connection, batch, count=1, open_=open_, now=now)
        all_started = time.perf_counter()
        for item in started:
            accepted = Accepted(missive_id=str(uuid4()))
            async with database.transaction(engine) as connection:
                await outcomes.record(connection, item, accepted, carrier="missive", max_attempts=3, now=now)
        answered = time.perf_counter()
        async with database.transaction(engine) as connection:
            await batches.close(connection, batch, started=len(started), now=now)
        claiming += claimed - began
        starting += all_started - claimed
        answering += answered - all_started
        sent += len(started)
    return Steps(claim=claiming / sent * 1000, start=starting / sent * 1000, answer=answering / sent * 1000)
