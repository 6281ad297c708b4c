"""How many messages a number may start on one day: a counter of its own day by day, taken from before each start.

What is taken is counted, whether or not it is used; what was not used is given back. A worker that dies in between has
used it: the cap is never exceeded. A day is one of the organisation's zone. An attempt counts on the day on which it
began, so who starts it looks that the day is still the one that was taken from.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, Engine
from libs.common.domain.sending_numbers import SendingNumber, day_ends
from libs.common.messaging import consumer

KEPT = timedelta(days=40)  # how long a number's days are remembered

#: Makes sure that a number's day has a row.
PREPARE = text("""
INSERT INTO sending_days (sending_number_id, day) VALUES (:number, CAST(:day AS date)) ON CONFLICT DO NOTHING
""")

#: Takes up to `want` of what a number has left of a day, which is locked first: two who take at once share it.
TAKE = text("""
WITH today AS (
    SELECT sending_number_id, day, started, least(:want, :cap - started) AS granted FROM sending_days
    WHERE sending_number_id = :number AND day = CAST(:day AS date) FOR UPDATE
)
UPDATE sending_days d SET started = today.started + today.granted FROM today
WHERE d.sending_number_id = today.sending_number_id AND d.day = today.day AND today.granted > 0
RETURNING today.granted
""")

#: Gives back what was taken and not used.
GIVE_BACK = text("""
UPDATE sending_days SET started = greatest(0, started - :count)
WHERE sending_number_id = :number AND day = CAST(:day AS date) RETURNING started
""")

#: How many a number has started on a day.
STARTED = text("SELECT started FROM sending_days WHERE sending_number_id = :number AND day = CAST(:day AS date)")

PRUNE = text("DELETE FROM sending_days WHERE day < CAST(:before AS date)")


@dataclass(frozen=True, slots=True)
class _Granted:
    """How many messages may be started."""

    granted: int


@dataclass(frozen=True, slots=True)
class _Started:
    """How many messages a number has started on a day."""

    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of a number that has a cap."""

    sending_number_id: int
    day: date
    cap: int

    async def take(self, engine: Engine, want: int) -> int:
        """Take up to `want` messages of what is left of the day; return how many."""
        given = {"number": self.sending_number_id, "day": self.day, "cap": self.cap, "want": want}
        granted = await database.execute_alone(engine, TAKE, given, _Granted)
        return 0 if granted is None else granted.granted

    async def give_back(self, engine: Engine, count: int) -> None:
        """Give back what was taken and not used; while the database is away it counts as used."""
        if count:
            given = {"number": self.sending_number_id, "day": self.day, "count": count}
            with suppress(*consumer.TRANSIENT):
                await database.execute_alone(engine, GIVE_BACK, given, _Started)


def today(number: SendingNumber, now: datetime, zone: ZoneInfo) -> Day | None:
    """Return the day of a number that a moment falls on; None where the number has no cap."""
    if number.daily_cap is None:
        return None
    return Day(sending_number_id=number.id, day=now.astimezone(zone).date(), cap=number.daily_cap)


async def prepare(connection: Connection, day: Day) -> None:
    """Make sure that a day can be taken from."""
    await connection.execute(PREPARE, {"number": day.sending_number_id, "day": day.day})


async def started(connection: Connection, sending_number_id: int, day: date) -> int:
    """Return how many messages a number has started on a day, as far as it had a cap."""
    cursor = await connection.execute(STARTED, {"number": sending_number_id, "day": day})
    return cursor.scalar_one_or_none() or 0


async def used_up_until(
    connection: Connection, number: SendingNumber, now: datetime, zone: ZoneInfo
) -> datetime | None:
    """Return when a number may start messages again whose cap is used up; None where it is not, or there is none."""
    day = today(number, now, zone)
    if day is None or await started(connection, number.id, day.day) < day.cap:
        return None
    return day_ends(now, zone)


async def prune(connection: Connection, now: datetime, zone: ZoneInfo) -> None:
    """Forget days that are long over."""
    await connection.execute(PRUNE, {"before": (now - KEPT).astimezone(zone).date()})
