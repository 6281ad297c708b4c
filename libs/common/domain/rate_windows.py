"""The providers' published limits as data, and what they say in the headers of an answer.

Missive allows 5 requests at once, 300 a minute and 900 in 15 minutes, over all requests of a token, reading included;
beyond that it answers 429 with `Retry-After` (seconds) and `X-RateLimit-Limit`, `-Remaining` and `-Reset` (UTC epoch
seconds): https://missiveapp.com/docs/developers/rest-api/rate-limits
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SHORTEST_WAIT = 1.0  # seconds; nobody who answers 429 means "at once"
LONGEST_WAIT = 3600.0  # seconds; a mistaken header costs an hour, not a broadcast


@dataclass(frozen=True, slots=True)
class Window:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


MISSIVE_WINDOWS = (Window(300, 60), Window(900, 900))
MISSIVE_CONCURRENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What an answer says of the window that its request fell into."""

    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None


def parse_windows(text: str) -> tuple[Window, ...]:
    """Read windows such as `300/60,900/900` (requests/seconds); none from an empty text. Raise ValueError."""
    return tuple(_window(part.strip()) for part in text.split(",")) if text.strip() else ()


def format_windows(windows: Sequence[Window]) -> str:
    """Return the text that `parse_windows` reads."""
    return ",".join(
        f"{window.requests}/{int(window.seconds) if window.seconds == int(window.seconds) else repr(window.seconds)}"
        for window in windows
    )


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110, 10.2.3), within sane bounds; None for nonsense.

    It is a number of seconds or an HTTP date; fractions of a second are not in the RFC and are read all the same.
    """
    if value is None:
        return None
    seconds = _seconds(value.strip())
    if seconds is None:
        try:
            until = parsedate_to_datetime(value)
            aware = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
            seconds = (aware - now) / timedelta(seconds=1)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return _clamp(seconds)


def parse_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return what the `X-RateLimit-*` headers say; None if there are none. One that makes no sense counts as absent."""
    limit, remaining, reset = (headers.get(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset"))
    if limit is None and remaining is None and reset is None:
        return None
    return RateLimit(limit=_count(limit), remaining=_count(remaining), resets_at=_epoch(reset))


def wait_for_window(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds until a window that this request was the last of begins anew.

    None while there is room in it.
    """
    rate_limit = parse_rate_limit(headers)
    if rate_limit is None or rate_limit.remaining != 0 or rate_limit.resets_at is None:
        return None
    return _clamp((rate_limit.resets_at - now) / timedelta(seconds=1))


def wait_asked_for(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that an answer asks to be left alone: `Retry-After`, or else the end of a spent window."""
    asked = parse_retry_after(headers.get("Retry-After"), now=now)
    if asked is not None:
        return asked
    rate_limit = parse_rate_limit(headers)
    if rate_limit is None or rate_limit.resets_at is None or rate_limit.remaining:
        return None
    return _clamp((rate_limit.resets_at - now) / timedelta(seconds=1))


def _window(text: str) -> Window:
    requests, _, seconds = text.partition("/")
    count, length = _count(requests), _seconds(seconds)
    if not count or not length or length <= 0:
        raise ValueError(f"not requests/seconds, such as 300/60: {text!r}")
    return Window(count, length)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _count(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def _epoch(text: str | None) -> datetime | None:
    seconds = _count(text)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _clamp(seconds: float) -> float:
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
