"""How many requests to a provider are under way at once, over all senders together.

A permit is a row that is held for a time; one whose holder died is free again when that time is over.
"""

from collections.abc import Sequence
from contextlib import suppress

from libs.common import messaging
from libs.common.database import Connection, Pool

PREPARE = """
INSERT INTO permits (key, n) SELECT %(key)s, n FROM generate_series(1, %(count)s) AS n ON CONFLICT DO NOTHING
"""

#: Takes permits that are free, up to `want`; two who take at once take different ones.
TAKE = """
UPDATE permits p SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
FROM (
    SELECT n FROM permits WHERE key = %(key)s AND n <= %(count)s AND held_until <= clock_timestamp()
    ORDER BY n LIMIT %(want)s FOR UPDATE SKIP LOCKED) AS free
WHERE p.key = %(key)s AND p.n = free.n
RETURNING p.n
"""

GIVE_BACK = "UPDATE permits SET held_until = '-infinity' WHERE key = %(key)s AND n = ANY(%(permits)s)"


async def prepare(connection: Connection, key: str, count: int) -> None:
    """Make sure that there are `count` permits."""
    await connection.execute(PREPARE, {"key": key, "count": count})


async def take(pool: Pool, key: str, *, count: int, want: int, seconds: float) -> list[int]:
    """Take up to `want` permits of `count`, and hold them for at most `seconds`; none if none is free."""
    async with pool.connection() as connection:
        cursor = await connection.execute(TAKE, {"key": key, "count": count, "want": want, "seconds": seconds})
        return [row["n"] for row in await cursor.fetchall()]


async def give_back(pool: Pool, key: str, permits: Sequence[int]) -> None:
    """Free permits; where the database is away they free themselves in time."""
    if not permits:
        return
    with suppress(*messaging.TRANSIENT):
        async with pool.connection() as connection:
            await connection.execute(GIVE_BACK, {"key": key, "permits": list(permits)})
