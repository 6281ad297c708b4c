"""The calendar of working days: when the next broadcast runs.

All arithmetic is on local dates and wall-clock times; UTC comes in at the end.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libs.common.domain.holiday_calendar import Calendar

SATURDAY = 5
#: The time on the wall of each weekday, from Monday on; None where there is none.
Week = tuple[time | None, ...]
DAYS_OF_WEEK = 7
#: How long after the making messages may still begin to leave; the next working day's broadcast comes then.
SENDING_DAY = timedelta(hours=24)


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Return whether `day` is neither on a weekend nor a holiday."""
    return day.weekday() < SATURDAY and day not in calendar.of([day.year])


def next_holidays(day: date, calendar: Calendar, count: int) -> list[tuple[date, str]]:
    """Return the next holidays of `calendar` from `day` on, with their names."""
    # A day of every fourth year is eight years away at the most.
    known = calendar.of(range(day.year, day.year + max(8, count) + 1))
    return sorted((each, name) for each, name in known.items() if each >= day)[:count]


def holidays_between(first: date, last: date, calendar: Calendar) -> list[tuple[date, str]]:
    """Return the holidays of `calendar` from `first` to `last`, with their names."""
    known = calendar.of(range(first.year, last.year + 1))
    return sorted((each, name) for each, name in known.items() if first <= each <= last)


def at_wall_clock(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the UTC time at which the clocks of `zone` show `wall` on `day`.

    A time that the change to summer time leaves out is taken as if the clocks had not changed (2:30 becomes 3:30);
    one that comes twice is its first occurrence (PEP 495, `fold=0`).
    """
    return datetime.combine(day, wall, tzinfo=zone).replace(fold=0).astimezone(UTC)


def parse_week(times: Sequence[str]) -> Week | None:
    """Read the times of the weekdays, such as `10:00`, with an empty text where there is none; None for no times.

    Raise ValueError.
    """
    if not times:
        return None
    week = tuple(time.fromisoformat(each) if each else None for each in times)
    if len(week) != DAYS_OF_WEEK or not any(each is not None for each in week):
        raise ValueError("a week has seven days, and a time on one of them at least")
    return week


def next_run(run_at: datetime, now: datetime, zone: ZoneInfo, calendar: Calendar, week: Week | None = None) -> datetime:
    """Return when a broadcast runs next, in UTC: on a day after that of `run_at`, and ahead of `now`.

    With a week of its own that is at the time of the weekday, and a weekday without a time is left out; without one it
    is the same wall-clock time on a working day. Holidays are left out either way.
    """
    local = run_at.astimezone(zone)
    day = max(local.date(), now.astimezone(zone).date() - timedelta(days=1))
    while True:
        day += timedelta(days=1)
        wall = wall_on(day, local.time().replace(fold=0), week)
        if wall is not None and day not in calendar.of([day.year]) and (due := at_wall_clock(day, wall, zone)) > now:
            return due


def wall_on(day: date, wall: time, week: Week | None) -> time | None:
    """Return the time of `day` by its weekday alone: `wall` where there is no week; None where nothing runs."""
    if week is not None:
        return week[day.weekday()]
    return wall if day.weekday() < SATURDAY else None


def same_day(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    """Return whether two times fall on the same local date."""
    return one.astimezone(zone).date() == other.astimezone(zone).date()


def parse_quiet_hours(text: str) -> tuple[time, time] | None:
    """Read `21:00-08:00` (local, may span midnight); None for an empty text. Raise ValueError."""
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
    """Return the UTC time at which the quiet hours that hold at `now` end; None outside them."""
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
