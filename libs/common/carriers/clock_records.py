"""What all processes together know of how far the carriers' clocks are ahead of ours.

A row a minute: measurements of one minute narrow each other down, or, where they contradict each other (a clock was set
to something else), both hold. Over a longer time everything holds that was measured in it: an attempt and its entry
were dated by the clocks of then, which may have been set since.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common import database
from libs.common.carriers.clocks import UNKNOWN, Meter, Offset
from libs.common.clock import Clock
from libs.common.database import Connection, Engine

#: How old a measurement may be.
KNOWN_FOR = timedelta(hours=1)
#: Until when measurements are kept.
KEPT = timedelta(days=2)

#: For how long a webhook may have been under way, whose time is by the carrier's clock of then.
UNDER_WAY = timedelta(minutes=15)
SHARE_EVERY = 10.0  # seconds between two notes of a process that is answered all the time
READ_EVERY = 5.0  # seconds for which what was read is remembered

#: Notes what was measured in this minute.
NOTE = text("""
INSERT INTO carrier_clocks AS c (carrier, minute, low, high)
VALUES (:carrier, date_trunc('minute', CAST(:now AS timestamptz)), :low, :high)
ON CONFLICT (carrier, minute) DO UPDATE SET
    low = CASE WHEN c.low <= excluded.high AND excluded.low <= c.high THEN greatest(c.low, excluded.low)
               ELSE least(c.low, excluded.low) END,
    high = CASE WHEN c.low <= excluded.high AND excluded.low <= c.high THEN least(c.high, excluded.high)
                ELSE greatest(c.high, excluded.high) END
""")

#: What was measured since a time, and last before it.
SINCE = text("""
SELECT min(low) AS low, max(high) AS high, max(minute) AS minute FROM carrier_clocks
WHERE carrier = :carrier AND minute >= coalesce((
    SELECT max(minute) FROM carrier_clocks WHERE carrier = :carrier AND minute <= :since), :since)
""")

#: What was measured last, of each carrier.
LATEST = text("""
SELECT DISTINCT ON (carrier) carrier, minute, low, high FROM carrier_clocks
WHERE minute > :after ORDER BY carrier, minute DESC
""")

PRUNE = text("DELETE FROM carrier_clocks WHERE minute < :before")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a carrier's clock, and in which minute."""

    carrier: str
    minute: datetime
    offset: Offset


class Sharer:
    """Notes what a process measures of a carrier's clock, at once and then now and then."""

    def __init__(self, engine: Engine, carrier: str, meter: Meter) -> None:
        self._engine = engine
        self._carrier = carrier
        self._meter = meter
        self._due = time.monotonic()

    async def share(self) -> None:
        """Note what was measured, if it is time to."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + SHARE_EVERY
        async with database.transaction(self._engine) as connection:
            await share(connection, self._carrier, self._meter, self._meter.now())


class Reader:
    """How far a carrier's clock has been ahead of ours lately; it does not ask the database each time."""

    def __init__(self, engine: Engine, carrier: str, clock: Clock) -> None:
        self._engine = engine
        self._carrier = carrier
        self._clock = clock
        self._offset = UNKNOWN
        self._due = time.monotonic()

    async def offset(self) -> Offset:
        """Return what was measured, or that it is unknown: who sends through Twilio asks Missive nothing."""
        if time.monotonic() >= self._due:
            now = self._clock()
            async with database.transaction(self._engine) as connection:
                self._offset = await since(connection, self._carrier, now - UNDER_WAY, now) or UNKNOWN
            self._due = time.monotonic() + READ_EVERY
        return self._offset


async def share(connection: Connection, carrier: str, meter: Meter, now: datetime) -> None:
    """Note what this process has measured since the last time."""
    measured = meter.take()
    if measured is not None:
        low, high = measured.low.total_seconds(), measured.high.total_seconds()
        await connection.execute(NOTE, {"carrier": carrier, "now": now, "low": low, "high": high})


async def since(connection: Connection, carrier: str, time: datetime, now: datetime) -> Offset | None:
    """Return how far a carrier's clock has been ahead of ours since a time; None if nobody measured it lately."""
    low, high, minute = (await connection.execute(SINCE, {"carrier": carrier, "since": time})).one()
    return None if minute is None or minute < now - KNOWN_FOR else _offset(low, high)


async def latest(connection: Connection, now: datetime) -> list[Measured]:
    """Return what was measured last of each carrier that was measured lately."""
    cursor = await connection.execute(LATEST, {"after": now - KNOWN_FOR})
    return [
        Measured(carrier=carrier, minute=minute, offset=_offset(low, high))
        for carrier, minute, low, high in cursor.tuples()
    ]


async def prune(connection: Connection, now: datetime) -> None:
    """Forget what is old."""
    await connection.execute(PRUNE, {"before": now - KEPT})


def _offset(low: float, high: float) -> Offset:
    return Offset(low=timedelta(seconds=low), high=timedelta(seconds=high))
