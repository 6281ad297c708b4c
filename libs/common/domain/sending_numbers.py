"""Numbers that messages are sent from: through whom, how fast, how many a day, and when. Pure.

Which numbers are ours is configuration (`Settings.own_numbers`). What is kept of one says how it sends; what is not
said of it is as the settings say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from libs.common.domain.wall_clock import at_wall_clock, parse_quiet_hours, quiet_until

MINUTE = 60.0  # seconds
DAY = 24 * 60 * MINUTE  # seconds


class CarrierName(StrEnum):
    """Whom messages go through."""

    MISSIVE = "missive"
    TWILIO = "twilio"


@dataclass(frozen=True, slots=True)
class SendingNumber:
    """A number of ours, and how it sends."""

    id: int
    #: E.164.
    phone_number: str
    #: Whom its messages go through; None for the settings' carrier.
    carrier: CarrierName | None = None
    #: Messages that it may start in a second; None for the settings' rate.
    rate: float | None = None
    #: Messages that it may start in any minute, as the carriers grant its campaign; None for no such limit.
    minute_limit: int | None = None
    #: Attempts that it may start on one day of the organisation's zone; None for no such limit.
    daily_cap: int | None = None
    #: Local time in which it sends, as `HH:MM-HH:MM`; None for whenever the quiet hours allow.
    hours: str | None = None
    #: Nothing leaves from a number that is not.
    enabled: bool = True
    #: Twilio's SID of the Messaging Service that sends in its place, from whichever number of its own; None without.
    messaging_service_sid: str | None = None

    def carrier_or(self, usual: str) -> CarrierName:
        """Return whom its messages go through; `usual` is the settings' carrier."""
        return self.carrier or CarrierName(usual)

    def sender(self, carrier: str) -> str:
        """Return what a carrier is to send from: the number, or at Twilio its Messaging Service."""
        service = self.messaging_service_sid if carrier == CarrierName.TWILIO else None
        return service or self.phone_number

    def rate_or(self, usual: float) -> float:
        """Return the messages that it may start in a second; `usual` is the settings' rate."""
        return usual if self.rate is None else self.rate

    def pace_or(self, usual: float) -> float:
        """Return how many messages a second it can start in the long run: by its rate, and by its limit a minute."""
        rate = self.rate_or(usual)
        return rate if self.minute_limit is None else min(rate, self.minute_limit / MINUTE)

    def a_day(self, usual: float) -> float:
        """Return how many messages it may start on a day; `usual` is the settings' rate."""
        return min(self.pace_or(usual) * DAY, math.inf if self.daily_cap is None else self.daily_cap)

    def closed_until(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when its hours begin again; None within them."""
        return quiet_until(now, closed_hours(self.hours), zone)


def closed_hours(hours: str | None) -> tuple[time, time] | None:
    """Return the local times from which on, and until which, a number does not send; None where it always does.

    Raise ValueError.
    """
    span = parse_quiet_hours(hours or "")
    return None if span is None else (span[1], span[0])


def day_ends(now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the local day of a moment is over."""
    return at_wall_clock(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


def quotas(count: int, weights: Sequence[float], room: Sequence[float]) -> list[int]:
    """Return how many of `count` people each number gets: by its weight, as far as it has room today.

    Where they have no room for all, the rest is dealt by weight again: it waits for another day. The sum is `count`.
    """
    dealt = [0.0] * len(weights)
    left = float(count)
    open_ = [place for place, each in enumerate(room) if each > 0 and weights[place] > 0]
    # Each round fills a number at least, or deals all.
    while left > 0 and open_:
        total = sum(weights[place] for place in open_)
        wanted = {place: left * weights[place] / total for place in open_}
        for place, want in wanted.items():
            got = min(want, room[place] - dealt[place])
            dealt[place] += got
            left -= got
        still = [place for place in open_ if room[place] - dealt[place] > 1e-6]
        if len(still) == len(open_):
            break
        open_ = still
    if left > 1e-6:
        total = sum(weights)
        dealt = [each + left * weight / total for each, weight in zip(dealt, weights, strict=True)]
    return _whole(dealt, count)


def _whole(dealt: Sequence[float], count: int) -> list[int]:
    """Return whole numbers of the same sum, those with the greatest remainders rounded up."""
    found = [math.floor(each + 1e-6) for each in dealt]
    by_remainder = sorted(range(len(dealt)), key=lambda place: (found[place] - dealt[place], place))
    for place in by_remainder[: count - sum(found)]:
        found[place] += 1
    return found
