"""Which days are holidays."""

from datetime import date

import pytest

from libs.common.domain import calendar, holiday_calendar
from libs.common.domain.holiday_calendar import Calendar, ExtraDay

MICHIGAN = Calendar("US-MI")


@pytest.mark.parametrize("day", ["2027-12-30", "2028-12-29", "2033-12-30", "2034-12-29", "2026-12-31", "2027-12-31"])
def test_new_years_eve_is_observed_in_michigan(day: str) -> None:
    """Fault: on a Sunday, and on a Friday that observes New Year's Day, it was a working day."""
    assert not calendar.is_working_day(date.fromisoformat(day), MICHIGAN)


@pytest.mark.parametrize("day", ["2026-12-30", "2027-12-29", "2028-12-28", "2029-12-28", "2033-12-29"])
def test_the_days_before_it_are_working_days(day: str) -> None:
    assert calendar.is_working_day(date.fromisoformat(day), MICHIGAN)


def test_what_michigan_observes_is_not_observed_elsewhere() -> None:
    assert calendar.is_working_day(date(2028, 12, 29), Calendar("US"))
    assert calendar.is_working_day(date(2028, 12, 29), Calendar())


@pytest.mark.parametrize("year", range(2024, 2060))
def test_new_years_eve_takes_one_weekday_of_michigans_each_year(year: int) -> None:
    known = MICHIGAN.of([year])
    eves = [day for day, name in known.items() if "New Year's Eve" in name and day.weekday() < 5]
    assert len({day for day in eves if "New Year's Day (observed)" not in known[day]}) == 1


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("", ()),
        ("2027-08-02", (ExtraDay(year=2027, month=8, day=2),)),
        (" 08-02 , 2026-12-28=Winter break ", (
            ExtraDay(month=8, day=2), ExtraDay(year=2026, month=12, day=28, name="Winter break"))),
        ("02-29=Leap = day,", (ExtraDay(month=2, day=29, name="Leap = day"),)),
        ("12-24=", (ExtraDay(month=12, day=24),)),
    ],
)  # fmt: skip
def test_an_organisations_own_days_are_read(text: str, days: tuple[ExtraDay, ...]) -> None:
    assert holiday_calendar.parse_extra_days(text) == days


@pytest.mark.parametrize(
    "text", ["2027-02-29", "13-01", "00-10", "8-2", "2027/08/02", "Christmas", "12-24 Eve", "٠٨-٠٢", "0000-01-01"]
)
def test_what_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="2027-12-30"):
        holiday_calendar.parse_extra_days(f"12-24,{text}")


def test_days_of_ones_own_are_left_out_beside_the_public_ones() -> None:
    ours = Calendar("US", holiday_calendar.parse_extra_days("2026-03-05,03-09=Founders' Day,02-29"))
    assert not calendar.is_working_day(date(2026, 3, 5), ours)
    assert calendar.is_working_day(date(2027, 3, 5), ours)
    assert not calendar.is_working_day(date(2026, 3, 9), ours)
    assert not calendar.is_working_day(date(2028, 2, 29), ours)
    assert not calendar.is_working_day(date(2026, 7, 3), ours)
    alone = Calendar("", ours.also)
    assert calendar.is_working_day(date(2026, 7, 3), alone)
    assert not calendar.is_working_day(date(2026, 3, 9), alone)


@pytest.mark.parametrize(
    ("name", "language", "called"),
    [
        ("DE", "en", "New Year's Day"), ("DE", "de", "Neujahr"), ("MX", "es_MX", "Año Nuevo"),
        ("CA", "fr_CA", "Jour de l'an"), ("US-MI", "en", "New Year's Day"), ("US", "es", "New Year's Day"),
    ],
)  # fmt: skip
def test_holidays_are_called_as_the_organisation_speaks_where_their_calendar_has_that(
    name: str, language: str, called: str
) -> None:
    assert Calendar(name, language=language).of([2026])[date(2026, 1, 1)] == called


def test_the_next_holidays_have_names_and_come_in_order() -> None:
    ours = Calendar("US-MI", holiday_calendar.parse_extra_days("2028-12-27=Winter break,12-28"))
    assert calendar.next_holidays(date(2028, 12, 26), ours, 4) == [
        (date(2028, 12, 27), "Winter break"),
        (date(2028, 12, 28), "our own"),
        (date(2028, 12, 29), "New Year's Eve (observed)"),
        (date(2028, 12, 31), "New Year's Eve"),
    ]
    assert calendar.next_holidays(date(2026, 1, 1), Calendar(), 5) == []
    assert calendar.holidays_between(date(2028, 12, 26), date(2028, 12, 28), ours) == [
        (date(2028, 12, 27), "Winter break"),
        (date(2028, 12, 28), "our own"),
    ]
    leap = Calendar("", holiday_calendar.parse_extra_days("02-29"))
    assert calendar.next_holidays(date(2096, 3, 1), leap, 1) == [(date(2104, 2, 29), "our own")]
