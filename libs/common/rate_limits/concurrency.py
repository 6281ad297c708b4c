"""How many requests to a provider are under way at once, over all senders together.

A permit is a row that is held for a time; one whose holder died is free again when that time is over.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, Engine
from libs.common.messaging import consumer

PREPARE = text("""
INSERT INTO permits (key, n) SELECT :key, n FROM generate_series(1, :count) AS n ON CONFLICT DO NOTHING
""")

#: Takes permits that are free, up to `want`; two who take at once take different ones.
TAKE = text("""
WITH free AS (
    SELECT n FROM permits WHERE key = :key AND n <= :count AND held_until <= clock_timestamp()
    ORDER BY n LIMIT :want FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE permits p SET held_until = clock_timestamp() + make_interval(secs => :seconds)
    FROM free WHERE p.key = :key AND p.n = free.n
    RETURNING p.n
)
SELECT coalesce(array_agg(n), '{}') AS permits FROM taken
""")

#: Frees permits; `WHERE` says which.
FREE = "UPDATE permits SET held_until = '-infinity'"
GIVE_BACK = text(f"{FREE} WHERE key = :key AND n = ANY(:permits) RETURNING n")


@dataclass(frozen=True, slots=True)
class Taken:
    """Permits that were taken."""

    permits: list[int]


@dataclass(frozen=True, slots=True)
class Released:
    """A permit that is free again."""

    n: int


async def prepare(connection: Connection, key: str, count: int) -> None:
    """Make sure that there are `count` permits."""
    await connection.execute(PREPARE, {"key": key, "count": count})


async def acquire(engine: Engine, key: str, *, count: int, want: int, seconds: float) -> list[int]:
    """Take up to `want` permits of `count`, and hold them for at most `seconds`; none if none is free."""
    parameters = {"key": key, "count": count, "want": want, "seconds": seconds}
    taken = await database.execute_alone(engine, TAKE, parameters, Taken)
    return [] if taken is None else taken.permits


async def release(engine: Engine, key: str, permits: Sequence[int]) -> None:
    """Free permits; where the database is away they free themselves in time."""
    if not permits:
        return
    with suppress(*consumer.TRANSIENT):
        await database.execute_alone(engine, GIVE_BACK, {"key": key, "permits": list(permits)}, Released)
