"""How fast texts may start: time slots handed out by PostgreSQL, for any number of senders on any number of machines.

The generic cell rate algorithm (GCRA, ITU-T I.371 annex A): a row keeps when the next slot begins; to reserve is to
move it on. Slots of one key never overlap, whoever asks. A text needs a slot of its sending number and of each window
of its provider at once; the row that is furthest ahead decides.

A slot is when a request may start, and requests start a little late, never early: lateness that varies squeezes two
of them closer together than their slots. So that a window never holds more than was published, slots are spread
over slightly less than the whole rate (UTILISATION), which is more than the 99 % that a broadcast may count on.

The same row holds everybody back where the provider asks for it or fails: each failure in a row doubles the wait, the
first success ends the doubling. That is the breaker, and every sender sees it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.carriers.limits import parse_windows
from libs.common.database import Connection
from libs.common.settings import CarrierSettings

UTILISATION = 0.993
FIRST_HOLD = 1.0  # seconds after the first failure that was the provider's
LONGEST_HOLD = 60.0  # seconds; how late a provider's recovery may be noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate that texts must keep."""

    key: str
    #: Seconds from one slot to the next; 0 for a key that only holds back.
    interval: float


def number_key(sending_number_id: int) -> str:
    """Give the key of a sending number."""
    return f"number:{sending_number_id}"


def number_limit(sending_number_id: int, rate: float) -> Limit:
    """Give the limit of a sending number: `rate` texts a second."""
    return Limit(key=number_key(sending_number_id), interval=1 / (rate * UTILISATION))


def provider_hold(provider: str) -> Limit:
    """Give the key under which everybody who uses a provider is held back."""
    return Limit(key=provider, interval=0.0)


def window_limit(provider: str, requests: int, seconds: float) -> Limit:
    """Give the limit that keeps a provider's window of `requests` in any `seconds`."""
    return Limit(key=f"{provider}:{requests}/{seconds:g}", interval=seconds / (requests * UTILISATION))


def provider_limits(settings: CarrierSettings) -> list[Limit]:
    """Give what every request to the provider must keep: its hold, and the windows that it has published."""
    windows = parse_windows(settings.missive_windows) if settings.carrier == "missive" else ()
    return [
        provider_hold(settings.carrier),
        *(window_limit(settings.carrier, window.requests, window.seconds) for window in windows),
    ]


#: Makes sure that the rows exist.
PREPARE = "INSERT INTO pace (key) SELECT unnest(%(keys)s::text[]) ON CONFLICT DO NOTHING"

#: Moves every row on by `count` slots if the first of them begins within `within` seconds; gives how far off it is.
#: The rows are locked in the order of their keys, so that two reservations cannot wait for each other.
RESERVE = """
WITH wanted AS (
    SELECT * FROM unnest(%(keys)s::text[], %(intervals)s::float8[]) AS w (key, interval)
), locked AS (
    SELECT p.key, p.next_at, p.held_until, w.interval
    FROM pace p JOIN wanted w USING (key) ORDER BY p.key FOR UPDATE OF p
), slot AS (
    SELECT greatest(clock_timestamp(), max(next_at), max(held_until)) AS at FROM locked
)
UPDATE pace SET next_at = CASE WHEN locked.interval > 0
    THEN slot.at + make_interval(secs => locked.interval * %(count)s) ELSE pace.next_at END
FROM locked, slot
WHERE pace.key = locked.key AND slot.at <= clock_timestamp() + make_interval(secs => %(within)s)
RETURNING extract(epoch FROM slot.at - clock_timestamp())::float8 AS delay
"""

#: Holds everybody back until the provider may have recovered; a success ends the doubling. What fails while everybody
#: is held back left before: several requests that one blip breaks are one failure, not five in a row.
HOLD = """
UPDATE pace SET failures = failures + (held_until <= clock_timestamp())::integer,
    held_until = greatest(held_until, clock_timestamp() + make_interval(secs => coalesce(%(seconds)s::float8,
        CASE WHEN held_until > clock_timestamp() THEN 0
             ELSE least(%(longest)s, %(first)s * power(2, least(failures, 10))) END)))
WHERE key = %(key)s RETURNING extract(epoch FROM held_until - clock_timestamp())::float8 AS delay
"""

#: A success ends the doubling. The hold itself stays: the success may be of a request that left before it.
RELEASE = "UPDATE pace SET failures = 0 WHERE key = %(key)s AND failures > 0"

#: When the hold ends, in seconds from now; none or less than nothing when there is none.
HELD = """
SELECT coalesce(extract(epoch FROM max(held_until) FILTER (WHERE held_until > clock_timestamp()) - clock_timestamp()),
                0)::float8 AS delay, coalesce(max(failures), 0) AS failures
FROM pace WHERE key = ANY(%(keys)s)
"""

#: How far off the next free slot is, in seconds.
AHEAD = """
SELECT extract(epoch FROM greatest(next_at, clock_timestamp()) - clock_timestamp())::float8 AS seconds
FROM pace WHERE key = %(key)s
"""


async def prepare(connection: Connection, keys: Sequence[str]) -> None:
    """Make sure that the rows of `keys` exist."""
    await connection.execute(PREPARE, {"keys": list(keys)})


async def reserve(
    connection: Connection, limits: Sequence[Limit], *, count: int = 1, within: float = 3600.0
) -> float | None:
    """Reserve `count` slots and give the seconds until the first; each next is the longest interval later.

    None, and nothing reserved, if the first slot is more than `within` seconds away.
    """
    cursor = await connection.execute(
        RESERVE,
        {
            "keys": [limit.key for limit in limits],
            "intervals": [limit.interval for limit in limits],
            "count": count,
            "within": within,
        },
    )
    row = await cursor.fetchone()
    return None if row is None else max(0.0, float(row["delay"]))


async def hold(connection: Connection, key: str, seconds: float | None = None) -> float:
    """Let nothing start for `seconds`, or for a wait that doubles with every failure; give how long that is."""
    cursor = await connection.execute(
        HOLD, {"key": key, "seconds": seconds, "first": FIRST_HOLD, "longest": LONGEST_HOLD}
    )
    row = await cursor.fetchone()
    return 0.0 if row is None else float(row["delay"])


async def release(connection: Connection, key: str) -> None:
    """Note a success: the next failure is a first one again."""
    await connection.execute(RELEASE, {"key": key})


async def held(connection: Connection, keys: Sequence[str]) -> tuple[float, int]:
    """Give the seconds for which everybody is held back (0 for not at all) and the failures in a row."""
    cursor = await connection.execute(HELD, {"keys": list(keys)})
    row = await cursor.fetchone()
    assert row is not None
    return float(row["delay"]), int(row["failures"])


async def ahead(connection: Connection, key: str) -> float:
    """Give the seconds until the next free slot of a key; 0 if it is free now."""
    row = await (await connection.execute(AHEAD, {"key": key})).fetchone()
    return 0.0 if row is None else float(row["seconds"])
