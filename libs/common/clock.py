"""The time, as a value that is passed in, so that a test can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

#: A function that returns the time now as an aware datetime in UTC.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, aware, in UTC."""
    return datetime.now(UTC)
