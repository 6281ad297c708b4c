"""Numbers that messages are sent from: through whom, how fast, how many a day, and when. Pure.

Which numbers are ours is configuration (`Settings.own_numbers`). What is kept of one says how it sends; what is not
said of it is as the settings say.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from libs.common.domain.wall_clock import at_wall_clock, parse_quiet_hours, quiet_until

MINUTE = 60.0  # seconds


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

    def carrier_or(self, usual: str) -> CarrierName:
        """Return whom its messages go through; `usual` is the settings' carrier."""
        return self.carrier or CarrierName(usual)

    def rate_or(self, usual: float) -> float:
        """Return the messages that it may start in a second; `usual` is the settings' rate."""
        return usual if self.rate is None else self.rate

    def pace_or(self, usual: float) -> float:
        """Return how many messages a second it can start in the long run: by its rate, and by its limit a minute."""
        rate = self.rate_or(usual)
        return rate if self.minute_limit is None else min(rate, self.minute_limit / MINUTE)

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
