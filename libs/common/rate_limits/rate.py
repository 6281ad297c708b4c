"""How fast messages may start: PostgreSQL hands out time slots to any number of senders on any machines.

The generic cell rate algorithm (GCRA, ITU-T I.371 annex A): a row keeps when the next slot begins; to reserve is to
move it on. Slots of one key never overlap, whoever asks. A message needs a slot of its sending number and of each
window of its provider at once; the row that is furthest ahead decides.

A slot is when a request may start. Requests start a little late, never early, and lateness that varies squeezes two of
them closer together than their slots. How far that may go is bounded, and a window's slots leave room for it:

    Let a request come to the provider at its slot's time plus at most L (SLACK). What comes within any window of W
    seconds, from t on, has its slot in [t - L, t + W). Slots are at least (W + L) / N apart; so of these at most N.

L is made of three parts. What our own machines add ends at LATENESS: a slot that is over by then is not used
(`slots.py`). A block of slots is spaced by the slowest of its limits, so its last message comes later than the slot of
a faster window by BLOCK_SECONDS at most. How much longer one request is on its way than another, with the provider's
own clock and delays, is TRANSIT; this alone cannot be enforced from here.

Of the 300 in 60 s that Missive allows this uses 99.1 %, of its 900 in 900 s and of a number's own rate 99.3 %
(UTILISATION), which is more than the 99 % that a broadcast may count on; of a window as short as 10 s, 94.7 %.

The same row holds everybody back where the provider asks for it or fails: each failure in a row doubles the wait, the
first success ends the doubling. That is the breaker, and every sender sees it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database import Connection
from libs.common.domain.rate_windows import Window, parse_windows
from libs.common.domain.sending_numbers import MINUTE, CarrierName, SendingNumber
from libs.common.settings import Settings

UTILISATION = 0.993
MISSIVE = CarrierName.MISSIVE
LATENESS = 0.35  # seconds after its slot in which a request to a provider with windows may be written
BLOCK_SECONDS = 0.1  # messages due within this share one statement and one reservation
TRANSIT = 0.1  # seconds by which requests differ in how long they are on their way
SLACK = LATENESS + BLOCK_SECONDS + TRANSIT  # seconds; what remains of the 99 % is for PostgreSQL's rounding
FIRST_HOLD = 1.0  # seconds after the first failure that was the provider's
LONGEST_HOLD = 60.0  # seconds; how late a provider's recovery may be noticed


#: What the keys of sending numbers begin with; their ids follow.
NUMBER = "number:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate that messages must keep."""

    key: str
    #: Seconds from one slot to the next; 0 for a key that only holds back.
    interval: float
    #: Seconds of what is allowed that one message uses.
    share: float = 0.0
    #: Seconds after which a slot is over. A number's rate is its own, and is not counted in windows.
    late: float = math.inf
    #: The provider's window; None for a sending number's rate, and for a hold.
    window: Window | None = None


def number_key(sending_number_id: int) -> str:
    """Return the key of a sending number."""
    return f"{NUMBER}{sending_number_id}"


def number_limit(sending_number_id: int, rate: float) -> Limit:
    """Return the limit of a sending number: `rate` messages a second."""
    return Limit(key=number_key(sending_number_id), interval=1 / (rate * UTILISATION), share=1 / rate)


def provider_hold(provider: str) -> Limit:
    """Return the key under which everybody who uses a provider is held back."""
    return Limit(key=provider, interval=0.0)


def window_limit(provider: str, requests: int, seconds: float) -> Limit:
    """Return the limit that keeps a provider's window of `requests` in any `seconds`."""
    return Limit(
        key=f"{provider}:{requests}/{seconds:g}",
        interval=max(seconds / UTILISATION, seconds + SLACK) / requests,
        share=seconds / requests,
        late=LATENESS,
        window=Window(requests, seconds),
    )


def limits(settings: Settings, number: SendingNumber) -> list[Limit]:
    """Return all rates that a message from a number must keep: the number's, and the windows of its carrier."""
    carrier = number.carrier_or(settings.carrier)
    return [*number_limits(settings, number), *provider_limits(settings, carrier)]


def number_limits(settings: Settings, number: SendingNumber) -> list[Limit]:
    """Return the rates of a number itself: its messages a second, and those that its campaign may start a minute."""
    found = [number_limit(number.id, number.rate_or(settings.send_rate))]
    if number.minute_limit is not None:
        found.append(window_limit(number_key(number.id), number.minute_limit, MINUTE))
    return found


def provider_limits(settings: Settings, carrier: CarrierName) -> list[Limit]:
    """Return what every request to a provider must keep: its hold, and the windows that it has published."""
    return missive_limits(settings) if carrier is CarrierName.MISSIVE else [provider_hold(carrier)]


def missive_limits(settings: Settings) -> list[Limit]:
    """Return what every request to Missive must keep, reading included, whoever the carrier is."""
    windows = parse_windows(settings.missive_windows)
    return [provider_hold(MISSIVE), *(window_limit(MISSIVE, each.requests, each.seconds) for each in windows)]


#: Makes sure that the rows exist.
PREPARE = text("INSERT INTO pace (key) SELECT unnest(CAST(:keys AS text[])) ON CONFLICT DO NOTHING")

#: Moves every row on by `count` slots if the first of them begins within `within` seconds; gives how far off it is.
#: The rows are locked in the order of their keys, so that two reservations cannot wait for each other. No slot is given
#: unless every key has a row, and every row was moved on: a limit without its row would limit nothing.
RESERVE = text("""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:intervals AS float8[])) AS w (key, interval)
), locked AS (
    SELECT p.key, p.next_at, p.held_until, w.interval
    FROM pace p JOIN wanted w USING (key) ORDER BY p.key FOR UPDATE OF p
), slot AS (
    SELECT greatest(clock_timestamp(), max(next_at), max(held_until)) AS at FROM locked
    HAVING count(DISTINCT key) = (SELECT count(DISTINCT key) FROM wanted)
), moved AS (
    UPDATE pace SET next_at = CASE WHEN locked.interval > 0
        THEN slot.at + make_interval(secs => locked.interval * :count) ELSE pace.next_at END
    FROM locked, slot
    WHERE pace.key = locked.key AND slot.at <= clock_timestamp() + make_interval(secs => :within)
    RETURNING slot.at
)
SELECT extract(epoch FROM max(at) - clock_timestamp())::float8 AS delay FROM moved
HAVING count(*) = (SELECT count(DISTINCT key) FROM wanted)
""")

#: Holds everybody back until the provider may have recovered; a success ends the doubling. What fails while everybody
#: is held back was sent before: several requests that one blip breaks are one failure, not five in a row.
HOLD = text("""
UPDATE pace SET failures = failures + (held_until <= clock_timestamp())::integer,
    failing_since = CASE WHEN failures = 0 AND held_until <= clock_timestamp() THEN clock_timestamp()
                         ELSE failing_since END,
    held_until = greatest(held_until, clock_timestamp() + make_interval(secs => coalesce(CAST(:seconds AS float8),
        CASE WHEN held_until > clock_timestamp() THEN 0
             ELSE least(:longest, :first * power(2, least(failures, 10))) END)))
WHERE key = :key RETURNING extract(epoch FROM held_until - clock_timestamp())::float8 AS delay
""")

#: Holds one back who has not failed: nothing but the time ends it.
REST = text("""
UPDATE pace SET held_until = greatest(held_until, clock_timestamp() + make_interval(secs => :seconds)) WHERE key = :key
""")

#: A success ends the doubling. The hold itself stays: the success may be of a request that was sent before it.
RELEASE = text("UPDATE pace SET failures = 0, failing_since = NULL WHERE key = :key AND failures > 0")

#: When the hold ends, in seconds from now; none or less than nothing when there is none.
HELD = text("""
SELECT coalesce(extract(epoch FROM max(held_until) FILTER (WHERE held_until > clock_timestamp()) - clock_timestamp()),
                0)::float8 AS delay, coalesce(max(failures), 0) AS failures
FROM pace WHERE key = ANY(:keys)
""")

#: The seconds until the hold of some keys ends, and until the next free slot of all of some; 0 where there is no wait.
#: A planner asks this for each batch: it is one statement.
WAITS = text("""
SELECT coalesce(extract(epoch FROM max(held_until) FILTER (WHERE held_until > now.now) - max(now.now)),
                0)::float8 AS hold,
       coalesce(extract(epoch FROM max(next_at) FILTER (WHERE next_at > now.now AND key = ANY(:slots)) - max(now.now)),
                0)::float8 AS slot
FROM (SELECT clock_timestamp() AS now OFFSET 0) AS now CROSS JOIN pace WHERE key = ANY(:slots) OR key = ANY(:keys)
""")


async def prepare(connection: Connection, keys: Sequence[str]) -> None:
    """Make sure that the rows of `keys` exist."""
    await connection.execute(PREPARE, {"keys": list(keys)})


async def reserve(
    connection: Connection, limits: Sequence[Limit], *, count: int = 1, within: float = 3600.0
) -> float | None:
    """Reserve `count` slots and give the seconds until the first; each next is the longest interval later.

    None, and nothing reserved, if the first slot is more than `within` seconds away, or a limit was not prepared.
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
    delay = cursor.scalar_one_or_none()
    return None if delay is None else max(0.0, delay)


async def back_off(connection: Connection, key: str, seconds: float | None = None) -> float:
    """Let nothing start for `seconds`, or for a wait that doubles with every failure; return how long that is."""
    cursor = await connection.execute(
        HOLD, {"key": key, "seconds": seconds, "first": FIRST_HOLD, "longest": LONGEST_HOLD}
    )
    return cursor.scalar_one_or_none() or 0.0


async def rest(connection: Connection, key: str, seconds: float) -> None:
    """Let nothing start for `seconds`, though nothing has failed: a number that was too fast is to be slower."""
    await connection.execute(REST, {"key": key, "seconds": seconds})


async def release(connection: Connection, key: str) -> None:
    """Note a success: the next failure is a first one again."""
    await connection.execute(RELEASE, {"key": key})


async def backoff(connection: Connection, keys: Sequence[str]) -> tuple[float, int]:
    """Return the seconds for which everybody is held back (0 for not at all) and the failures in a row."""
    cursor = await connection.execute(HELD, {"keys": list(keys)})
    delay, failures = cursor.one()
    return delay, failures


async def waits(connection: Connection, slots: Sequence[str], *others: str) -> tuple[float, float]:
    """Return for how many seconds one of some keys is held back, and in how many all of `slots` have a free slot.

    Both are 0 where there is nothing to wait for.
    """
    hold, slot = (await connection.execute(WAITS, {"slots": list(slots), "keys": list(others)})).one()
    return hold, slot
