"""How far a carrier's clock is ahead of ours, by its answers. Pure, but for the meter's own memory.

Each answer has a `Date` (RFC 9110, section 6.6.1): whole seconds, cut downwards, and servers may keep one for a moment.
It was written between the sending of the request and the coming of the answer. So an answer gives an interval, never a
number. What follows from it must hold for every offset in the interval: an entry of the log that may be a message
counts as that message, and an entry that proves something must prove it at either end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from libs.common.clock import Clock, utc_now

#: Carriers' times are cut to the second.
RESOLUTION = timedelta(seconds=1)
#: How long a server may give the same `Date` beyond its second.
STALE = timedelta(seconds=1)
#: How far clocks of one side may be apart: the carrier's server that answers and the one that writes the log, and the
#: machines that our services run on. A change of the offset that is smaller than what can be seen is in it, too.
MARGIN = timedelta(seconds=2)
#: From here on times cannot be compared: nothing is concluded from what the log does not show.
FAR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far a carrier's clock is ahead of ours: no less than `low`, no more than `high`."""

    low: timedelta
    high: timedelta

    @property
    def middle(self) -> timedelta:
        """The most likely offset."""
        return (self.low + self.high) / 2

    @property
    def is_far(self) -> bool:
        """Whether it may be so large that nothing can be concluded."""
        return max(abs(self.low), abs(self.high)) > FAR

    def earliest(self, carrier_time: datetime) -> datetime:
        """Return the earliest time by our clock that the carrier's time may be."""
        return carrier_time - self.high - MARGIN

    def latest(self, carrier_time: datetime) -> datetime:
        """Return the latest time by our clock that the carrier's time, which is cut to the second, may be."""
        return carrier_time + RESOLUTION - self.low + MARGIN

    def log_time_from(self, time: datetime) -> datetime:
        """Return the earliest time that the carrier's log may give to something at a time of ours."""
        return time + self.low - MARGIN - RESOLUTION

    def joined(self, other: "Offset") -> "Offset":
        """Return what two measurements of the same moments say together; both, if they contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low <= high:
            return Offset(low=low, high=high)
        return Offset(low=min(self.low, other.low), high=max(self.high, other.high))


#: A clock of which nothing was measured, and which may be off by as much as can be compared at all.
UNKNOWN = Offset(low=-FAR, high=FAR)
#: Our clock's time, with the margin.
SAME = Offset(low=timedelta(0), high=timedelta(0))


def measure(date: str | None, *, sent_at: datetime, received_at: datetime) -> Offset | None:
    """Return what the `Date` of an answer says; None if it says nothing."""
    server_time = _read(date)
    if server_time is None or received_at < sent_at:  # our own clock was set back meanwhile
        return None
    return Offset(low=server_time - received_at, high=server_time + RESOLUTION + STALE - sent_at)


def _read(date: str | None) -> datetime | None:
    if date is None:
        return None
    try:
        parsed = parsedate_to_datetime(date)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Meter:
    """Measures a carrier's clock by each of its answers, and keeps what they say until somebody takes it."""

    def __init__(self, now: Clock = utc_now) -> None:
        self.now = now
        self._offset: Offset | None = None

    def note(self, headers: Mapping[str, str], sent_at: datetime) -> None:
        """Measure by an answer that has just come. One that is no JSON may come from somebody in between."""
        if "json" not in headers.get("Content-Type", ""):
            return
        measured = measure(headers.get("Date"), sent_at=sent_at, received_at=self.now())
        if measured is not None:
            self._offset = measured if self._offset is None else self._offset.joined(measured)

    def take(self) -> Offset | None:
        """Return what was measured since the last time; None if nothing was."""
        measured, self._offset = self._offset, None
        return measured
