"""The calendar of working days."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain import holiday_calendar
from libs.common.domain.calendar import is_working_day, next_run, parse_week
from libs.common.domain.holiday_calendar import Calendar
from libs.common.domain.wall_clock import at_wall_clock, parse_quiet_hours, quiet_until

DETROIT = ZoneInfo("America/Detroit")


def local(text: str, zone: ZoneInfo = DETROIT) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def moments(first: datetime, length: timedelta) -> st.SearchStrategy[datetime]:
    return st.integers(0, int(length.total_seconds())).map(lambda seconds: first + timedelta(seconds=seconds))


def following(run_at: str, *, now: str | None = None, calendar: str = "US-MI") -> str:
    due = next_run(local(run_at), local(now or run_at), DETROIT, Calendar(calendar))
    return due.astimezone(DETROIT).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("run_at", "next_run", "why"),
    [
        ("2026-03-04 10:00", "2026-03-05 10:00", "Wednesday to Thursday"),
        ("2026-03-13 10:00", "2026-03-16 10:00", "Friday to Monday"),
        ("2026-03-14 10:00", "2026-03-16 10:00", "Saturday to Monday: unreachable arithmetic"),
        ("2026-03-15 10:00", "2026-03-16 10:00", "Sunday to Monday"),
        ("2026-03-06 10:00", "2026-03-09 10:00", "over the change to summer time"),
        ("2026-10-30 10:00", "2026-11-02 10:00", "over the change to winter time"),
        ("2026-04-30 10:00", "2026-05-01 10:00", "a month's end"),
        ("2024-02-28 10:00", "2024-02-29 10:00", "a leap day"),
        ("2025-12-31 10:00", "2026-01-02 10:00", "a year's end, over New Year's Day"),
        ("2021-12-30 10:00", "2022-01-03 10:00", "New Year's Day observed in the old year"),
        ("2026-07-02 10:00", "2026-07-06 10:00", "Independence Day observed on Friday"),
        ("2026-11-25 10:00", "2026-11-30 10:00", "Thanksgiving and Michigan's day after"),
        ("2026-12-23 10:00", "2026-12-28 10:00", "Christmas Eve and Christmas are Michigan's"),
        ("2026-03-04 21:30", "2026-03-05 21:30", "late: it is the next day in UTC"),
        ("2026-03-06 23:30", "2026-03-09 23:30", "Friday night: it is Saturday in UTC"),
    ],
)
def test_the_next_run_is_at_the_same_time_on_the_next_working_day(run_at: str, next_run: str, why: str) -> None:
    """Fault 10: Saturday unreachable, UTC and local dates mixed, no holidays, no time zone."""
    assert following(run_at) == next_run, why


def test_without_a_calendar_only_weekends_are_free() -> None:
    assert following("2026-12-24 10:00", calendar="") == "2026-12-25 10:00"


def test_days_that_went_by_are_not_made_up_for() -> None:
    """Fault 11: a past `run_at` blocked the whole schedule."""
    assert following("2026-03-04 10:00", now="2026-03-18 11:00") == "2026-03-19 10:00"


def test_a_run_later_today_is_the_next_one_after_days_of_standing_still() -> None:
    assert following("2026-03-04 10:00", now="2026-03-18 09:00") == "2026-03-18 10:00"


def test_made_ahead_of_its_time_it_is_not_repeated_on_the_same_day() -> None:
    """Fault 12: send-now left the scheduled run in place."""
    assert following("2026-03-04 18:00", now="2026-03-04 09:00") == "2026-03-05 18:00"


def test_the_clock_on_the_wall_stays_when_the_clocks_change() -> None:
    before, after = local("2026-03-06 10:00"), local("2026-03-09 10:00")
    assert next_run(before, before, DETROIT, Calendar("US-MI")) == after
    assert after - before == timedelta(days=3) - timedelta(hours=1)


@settings(max_examples=60)
@given(
    run_at=moments(datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=7300)),
    late=st.timedeltas(min_value=timedelta(days=-3), max_value=timedelta(days=30)),
    zone=st.sampled_from(["America/Detroit", "America/Phoenix", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"]),
    calendar=st.sampled_from(["US-MI", "US-PR", "DE-BY", ""]).map(Calendar),
)
def test_the_next_run_is_a_working_day_ahead_at_the_same_time_on_the_wall(
    run_at: datetime, late: timedelta, zone: str, calendar: Calendar
) -> None:
    """Fault 10."""
    there, now = ZoneInfo(zone), run_at + late
    due = next_run(run_at, now, there, calendar)
    assert due > now
    day = due.astimezone(there).date()
    assert is_working_day(day, calendar)
    assert day > run_at.astimezone(there).date()
    assert due == at_wall_clock(day, run_at.astimezone(there).time().replace(fold=0), there)
    skipped = max(run_at.astimezone(there).date(), now.astimezone(there).date()) + timedelta(days=1)
    while skipped < day:
        assert not is_working_day(skipped, calendar)
        skipped += timedelta(days=1)


def test_a_time_that_the_clocks_leave_out_is_an_hour_later() -> None:
    assert at_wall_clock(date(2026, 3, 8), time(2, 30), DETROIT) == local("2026-03-08 03:30")


def test_a_time_that_comes_twice_is_the_first_one() -> None:
    assert at_wall_clock(date(2026, 11, 1), time(1, 30), DETROIT) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


NIGHT = (time(21), time(8))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-04 20:59", None),
        ("2026-03-04 21:00", "2026-03-05 08:00"),
        ("2026-03-04 23:59", "2026-03-05 08:00"),
        ("2026-03-05 00:00", "2026-03-05 08:00"),
        ("2026-03-05 07:59", "2026-03-05 08:00"),
        ("2026-03-05 08:00", None),
        ("2026-03-07 22:00", "2026-03-08 08:00"),  # the clocks go forward
        ("2026-10-31 22:00", "2026-11-01 08:00"),  # the clocks go back
    ],
)
def test_quiet_hours_span_midnight_and_end_at_the_time_on_the_wall(now: str, until: str | None) -> None:
    """Fault 33: texting hours were enforced in UTC."""
    assert quiet_until(local(now), NIGHT, DETROIT) == (local(until) if until else None)


def test_quiet_hours_within_a_day_end_the_same_day() -> None:
    noon = (time(12), time(13))
    assert quiet_until(local("2026-03-04 12:30"), noon, DETROIT) == local("2026-03-04 13:00")
    assert quiet_until(local("2026-03-04 13:00"), noon, DETROIT) is None


def test_without_quiet_hours_it_is_never_quiet() -> None:
    assert quiet_until(local("2026-03-04 03:00"), None, DETROIT) is None


def test_quiet_hours_that_end_in_the_hour_that_comes_twice_end_the_second_time_if_the_first_is_over() -> None:
    now = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)  # 1:10 for the second time
    assert quiet_until(now, (time(21), time(1, 30)), DETROIT) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


clock_times = st.times().map(lambda at: at.replace(microsecond=0, fold=0))


@given(
    now=moments(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=365))
    | moments(datetime(2026, 11, 1, 3, tzinfo=UTC), timedelta(hours=6))
    | moments(datetime(2026, 3, 8, 4, tzinfo=UTC), timedelta(hours=6)),
    span=st.tuples(clock_times, clock_times).filter(lambda pair: pair[0] != pair[1]),
)
def test_quiet_hours_always_end_ahead_and_within_a_day_and_an_hour(now: datetime, span: tuple[time, time]) -> None:
    """One that "ended" in the past would have batches planned, and nothing sent, as fast as the machine can."""
    until = quiet_until(now, span, DETROIT)
    if until is not None:
        assert now < until <= now + timedelta(hours=25)


@pytest.mark.parametrize("text", ["21:00", "21-", "-8", "x-y", "21:00-21:00", "25:00-08:00", "21:00Z-08:00Z"])
def test_quiet_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        parse_quiet_hours(text)


def test_quiet_hours_are_read_as_they_are_written() -> None:
    assert parse_quiet_hours("21:00-08:30") == (time(21), time(8, 30))
    assert parse_quiet_hours("") is None


def test_a_calendar_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        holiday_calendar.check("XX-YY")


def after(run_at: str, *times: str, now: str | None = None) -> str:
    """When a broadcast goes out next whose weekdays have such times, from Monday on."""
    week = parse_week([*times, *[""] * (7 - len(times))])
    due = next_run(local(run_at), local(now or run_at), DETROIT, Calendar("US-MI"), week)
    return due.astimezone(DETROIT).strftime("%Y-%m-%d %H:%M")


def test_each_weekday_has_its_own_time_and_one_without_is_left_out() -> None:
    week = ("10:00", "", "14:00", "10:00")
    assert after("2026-03-02 10:00", *week) == "2026-03-04 14:00"
    assert after("2026-03-04 14:00", *week) == "2026-03-05 10:00"
    assert after("2026-03-05 10:00", *week) == "2026-03-09 10:00"


def test_a_weekend_day_with_a_time_goes_and_a_holiday_does_not() -> None:
    week = ("10:00", "", "", "", "", "9:30".zfill(5))
    assert after("2026-03-02 10:00", *week) == "2026-03-07 09:30"
    assert after("2026-05-23 09:30", *week) == "2026-05-30 09:30"  # Monday is Memorial Day


@pytest.mark.parametrize("times", [["10:00"], [""] * 7, ["25:00", *[""] * 6], ["ten", *[""] * 6]])
def test_a_week_that_makes_no_sense_is_refused(times: list[str]) -> None:
    with pytest.raises(ValueError, match=r"week|isoformat|hour"):
        parse_week(times)


@given(
    run_at=moments(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=730)),
    late=st.timedeltas(timedelta(), timedelta(days=20)),
    hours=st.lists(st.none() | st.times(), min_size=7, max_size=7).filter(any),
    zone=st.sampled_from(["America/Detroit", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]),
)
def test_the_next_run_of_a_week_is_the_first_day_ahead_that_has_a_time_and_is_no_holiday(
    run_at: datetime, late: timedelta, hours: list[time | None], zone: str
) -> None:
    there, calendar = ZoneInfo(zone), Calendar("US-MI")
    week = tuple(None if each is None else each.replace(second=0, microsecond=0, fold=0) for each in hours)
    now = run_at + late
    due = next_run(run_at, now, there, calendar, week)
    first = run_at.astimezone(there).date()

    def due_on(day: date) -> datetime | None:
        wall = week[day.weekday()]
        if wall is None or day <= first or day in calendar.of([day.year]):
            return None
        moment = at_wall_clock(day, wall, there)
        return moment if moment > now else None

    days = [min(first, now.astimezone(there).date()) + timedelta(days=n) for n in range(-1, 60)]
    assert due == min(moment for day in days if (moment := due_on(day)) is not None)
