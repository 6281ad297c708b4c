"""The calendar of working days: when the next broadcast runs.

All arithmetic is on local dates and wall-clock times; UTC comes in at the end.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays

SATURDAY = 5


def is_working_day(day: date, calendar: str) -> bool:
    """Tell whether `day` is neither on a weekend nor a public holiday of `calendar` (`US-MI`; empty for none)."""
    if day.weekday() >= SATURDAY:
        return False
    if not calendar:
        return True
    country, _, subdivision = calendar.partition("-")
    return day not in holidays.country_holidays(country, subdiv=subdivision or None, years=day.year)


def check_calendar(calendar: str) -> None:
    """Raise NotImplementedError (from `holidays`) for a calendar that is unknown."""
    if calendar:
        country, _, subdivision = calendar.partition("-")
        holidays.country_holidays(country, subdiv=subdivision or None)


def at_wall_clock(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Give the UTC time at which the clocks of `zone` show `wall` on `day`.

    A time that the change to summer time leaves out is taken as if the clocks had not changed (2:30 becomes 3:30);
    one that comes twice is its first occurrence (PEP 495, `fold=0`).
    """
    return datetime.combine(day, wall, tzinfo=zone).replace(fold=0).astimezone(UTC)


def next_run(run_at: datetime, now: datetime, zone: ZoneInfo, calendar: str) -> datetime:
    """Give when a broadcast runs next, in UTC.

    That is the same wall-clock time on the first working day after `run_at` that still lies ahead of `now`.
    """
    local = run_at.astimezone(zone)
    wall = local.time().replace(fold=0)
    day = max(local.date(), now.astimezone(zone).date() - timedelta(days=1))
    while True:
        day += timedelta(days=1)
        if is_working_day(day, calendar) and (due := at_wall_clock(day, wall, zone)) > now:
            return due


def same_day(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    """Tell whether two times fall on the same local date."""
    return one.astimezone(zone).date() == other.astimezone(zone).date()


def parse_quiet_hours(text: str) -> tuple[time, time] | None:
    """Read `21:00-08:00` (local, may span midnight); None for an empty text. Raises ValueError."""
    if not text:
        return None
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError("give start and end as HH:MM-HH:MM")
    span = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    if span[0] == span[1]:
        raise ValueError("start and end are the same")
    if span[0].tzinfo or span[1].tzinfo:
        raise ValueError("give local times, without an offset")
    return span


def quiet_until(now: datetime, quiet: tuple[time, time] | None, zone: ZoneInfo) -> datetime | None:
    """Give the UTC time at which the quiet hours that hold at `now` end; None outside them."""
    if quiet is None:
        return None
    start, end = quiet
    local = now.astimezone(zone)
    wall = local.time().replace(fold=0)
    inside = start <= wall < end if start < end else wall >= start or wall < end
    if not inside:
        return None
    day = local.date() if wall < end else local.date() + timedelta(days=1)
    until = at_wall_clock(day, end, zone)
    # Within the hour that comes twice the end's first occurrence may be over; then it is the second one.
    return until if until > now else datetime.combine(day, end.replace(fold=1), tzinfo=zone).astimezone(UTC)
