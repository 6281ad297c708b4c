"""The calendar of working days: when the next broadcast runs.

All arithmetic is on local dates and wall-clock times; UTC comes in at the end.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.wall_clock import at_wall_clock

SATURDAY = 5
#: The time on the wall of each weekday, from Monday on; None where there is none.
Week = tuple[time | None, ...]
DAYS_OF_WEEK = 7


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
