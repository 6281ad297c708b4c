"""`make bench`: what each step of a text costs, on a small and on a large broadcast, side by side in one run.

Figures are ratios: how much slower a step is when the broadcast has 100 times as many texts, how much of the allowance
is used. Absolute times are printed beside them for this machine alone.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb
from rich.console import Console
from rich.table import Table

from libs.common import database, making, pace, steps
from libs.common import events as e
from libs.common.carriers.outcomes import Accepted
from libs.common.database import Pool
from services.sender import answers, batches
from tests.support import servers

NUMBER = "+13135550100"
BATCH = 50
BATCHES = 20  # batches measured at each point
PATIENCE = 3600  # seconds that a statement may take which is not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Milliseconds a text, or seconds for a whole step."""

    recipients: int
    draw_seconds: float
    claim: float
    start: float
    answer: float
    claim_late: float


async def fill(pool: Pool, contacts: int) -> None:
    """Write contacts, a segment with all of them, and a sending number."""
    async with database.transaction(pool) as connection:
        await database.allow(connection, PATIENCE)
        await connection.execute("INSERT INTO sending_numbers (phone_number) VALUES (%s)", (NUMBER,))
        await connection.execute(
            "INSERT INTO contacts (phone_number, tags) SELECT '+1' || (2010000000 + i)::text, '{all}' "
            "FROM generate_series(1, %s) AS i",
            (contacts,),
        )
        await connection.execute(
            "INSERT INTO audience_segments (name, filter) VALUES ('all', %s)", (Jsonb({"any": ["all"]}),)
        )
    async with pool.connection() as connection:
        await connection.execute("ANALYZE")


async def make(pool: Pool, recipients: int) -> float:
    """Schedule and make a broadcast; give the seconds that the making took."""
    now = datetime.now(UTC)
    async with database.transaction(pool) as connection:
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
    async with database.transaction(pool) as connection:
        await database.allow(connection, PATIENCE)
        schedule = making.Schedule(zone=ZoneInfo("UTC"), holidays="")
        await making.make(connection, event.broadcast_id, schedule, now, by_hand=True)
    return time.perf_counter() - began


async def send(pool: Pool, count: int) -> tuple[float, float, float]:
    """Claim, start and answer `count` batches; give milliseconds a text for each of the three."""
    claiming = starting = answering = 0.0
    sent = 0
    for _ in range(count):
        now = datetime.now(UTC)
        async with database.transaction(pool) as connection:
            batch_id = await steps.plan_batch(connection, 1, now, now, is_second=False)
        began = time.perf_counter()
        async with database.transaction(pool) as connection:
            batch = await batches.take(connection, batch_id, lease=60, redelivered=False, now=now)
            assert batch is not None
            await batches.claim(connection, batch, size=BATCH, now=now)
        claimed = time.perf_counter()
        started: list[batches.Started] = []
        for _ in range(BATCH):
            async with database.transaction(pool) as connection:
                started += await batches.start(connection, batch, count=1, quiet=False, now=now)
        left = time.perf_counter()
        for item in started:
            accepted = Accepted(missive_id=str(uuid4()))
            async with database.transaction(pool) as connection:
                await answers.record(connection, item, accepted, carrier="missive", max_attempts=3, now=now)
        answered = time.perf_counter()
        async with database.transaction(pool) as connection:
            await batches.close(connection, batch, started=len(started), now=now)
        claiming += claimed - began
        starting += left - claimed
        answering += answered - left
        sent += len(started)
    return claiming / sent * 1000, starting / sent * 1000, answering / sent * 1000


async def measure(recipients: int) -> Measured:
    """Measure a broadcast of a size, at its beginning and with half of its texts gone."""
    with servers.database() as url:
        async with database.create_pool(url) as pool:
            await fill(pool, recipients)
            draw = await make(pool, recipients)
            claim, start, answer = await send(pool, BATCHES)
            async with database.transaction(pool) as connection:
                await database.allow(connection, PATIENCE)
                await connection.execute(
                    "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' "
                    "WHERE NOT is_second AND state = 'pending' AND id <= "
                    "(SELECT min(id) + (max(id) - min(id)) / 2 FROM outgoing_messages)"
                )
            late, _, _ = await send(pool, BATCHES)
    return Measured(recipients=recipients, draw_seconds=draw, claim=claim, start=start, answer=answer, claim_late=late)


async def pace_use(rate: float, seconds: float) -> float:
    """Give the share of an allowance that four senders who reserve slots as fast as they may can use."""
    with servers.database() as url:
        async with database.create_pool(url) as pool:
            limit = pace.number_limit(1, rate)
            async with pool.connection() as connection:
                await pace.prepare(connection, [limit.key])
            ends = datetime.now(UTC) + timedelta(seconds=seconds)

            async def sender() -> int:
                slots = 0
                while datetime.now(UTC) < ends:
                    async with pool.connection() as connection:
                        delay = await pace.reserve(connection, [limit])
                    assert delay is not None
                    await asyncio.sleep(delay)
                    slots += 1
                return slots

            slots = sum(await asyncio.gather(*(sender() for _ in range(4))))
    return slots / (rate * seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--large", type=int, default=1_000_000, help="recipients of the large broadcast")
    parser.add_argument("--small", type=int, default=10_000, help="recipients of the small one")
    given = parser.parse_args()
    if given.small < 4 * BATCHES * BATCH:
        parser.error(f"at least {4 * BATCHES * BATCH} recipients are needed to measure both ends of a broadcast")
    try:
        small = asyncio.run(measure(given.small))
        large = asyncio.run(measure(given.large))
        used = asyncio.run(pace_use(rate=100, seconds=10))
    finally:
        servers.close()
    table = Table("step", f"{small.recipients:,} recipients", f"{large.recipients:,} recipients", "ratio")
    rows = (
        ("make, s", small.draw_seconds, large.draw_seconds),
        ("claim, ms a text", small.claim, large.claim),
        ("claim with half of the texts gone, ms a text", small.claim_late, large.claim_late),
        ("start, ms a text", small.start, large.start),
        ("answer, ms a text", small.answer, large.answer),
    )
    for name, one, other in rows:
        table.add_row(name, f"{one:.3f}", f"{other:.3f}", f"{other / one:.2f}")
    console = Console()
    console.print(table)
    console.print(f"pace used by four senders at 100 texts a second: {used:.1%} of the allowance")


if __name__ == "__main__":
    main()
