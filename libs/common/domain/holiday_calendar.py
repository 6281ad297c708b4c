"""Which days are holidays: a public calendar, with what it lacks, and an organisation's own days."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import holidays

from libs.common.texts import gettext_noop as n_

FRIDAY, SUNDAY = 4, 6
_DAY = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})(?:=(.*))?", re.ASCII | re.DOTALL)
A_LEAP_YEAR = 2000
NAMELESS = n_("our own")
ENGLISH = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraDay:
    """A day of an organisation's own: of one year, or of every year."""

    month: int
    day: int
    year: int | None = None
    name: str = NAMELESS

    def of(self, year: int) -> date | None:
        """Return the day in a year; None if it has none."""
        if self.year not in (None, year):
            return None
        try:
            return date(year, self.month, self.day)
        except ValueError:  # 29 February
            return None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays by the name of their calendar (`US-MI`; empty for none), and further days."""

    name: str = ""
    also: tuple[ExtraDay, ...] = ()
    #: What names are said in, where the calendar has them in it: `en`, `es_MX`.
    language: str = ENGLISH

    def of(self, years: Iterable[int]) -> dict[date, str]:
        """Return the holidays of some years, with their names."""
        years = list(years)
        found = dict(_public(self.name, years, self.language).items()) if self.name else {}
        for year in years:
            extra = [(day, each.name) for each in self.also if (day := each.of(year)) is not None]
            for day, name in [*_lacking(self.name, year), *extra]:
                found.setdefault(day, name)
        return found


def parse_extra_days(text: str) -> tuple[ExtraDay, ...]:
    """Read `2027-12-30, 08-01=Founders' Day`: dates, days of every year, and what they are called. Raise ValueError."""
    return tuple(_extra_day(part.strip()) for part in text.split(",") if part.strip())


def check(name: str) -> None:
    """Raise NotImplementedError (from `holidays`) for a calendar that is unknown."""
    if name:
        _public(name, [])


def _extra_day(text: str) -> ExtraDay:
    match = _DAY.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day = (None if part is None else int(part) for part in match.groups()[:3])
        assert month is not None
        assert day is not None
        date(A_LEAP_YEAR if year is None else year, month, day)
    except ValueError:
        raise ValueError(
            f"not a day such as 2027-12-30 or 12-30, with or without a name (12-30=Winter break): {text!r}"
        ) from None
    return ExtraDay(year=year, month=month, day=day, name=(match[4] or "").strip() or NAMELESS)


def _public(name: str, years: list[int], language: str = ENGLISH) -> holidays.HolidayBase:
    country, _, subdivision = name.partition("-")
    spoken = _spoken(country, language)
    return holidays.country_holidays(country, subdiv=subdivision or None, years=years, language=spoken)


@cache
def _spoken(country: str, language: str) -> str | None:
    """Return a calendar's language that is nearest to one; its own, None, where it has nothing like it."""
    calendar = holidays.country_holidays(country)
    known = calendar.supported_languages or ()
    wanted = language.partition("_")[0]
    same = [each for each in known if each.partition("_")[0] == wanted]
    own = calendar.default_language
    return next((each for each in (language, own, *same) if each in same), None)


def _new_years_eve_observed(year: int) -> tuple[date, str] | None:
    """Return when Michigan observes the eve, where `holidays` does not say so.

    On a Sunday it is observed on the Friday before. On a Friday it makes room for New Year's Day, which falls on the
    Saturday and is observed on that Friday; Christmas Eve goes by the same rule.
    """
    eve = date(year, 12, 31)
    before = {SUNDAY: 2, FRIDAY: 1}.get(eve.weekday())
    return None if before is None else (eve - timedelta(days=before), n_("New Year's Eve (observed)"))


#: What the calendars of the package `holidays` lack.
LACKING: dict[str, Callable[[int], tuple[date, str] | None]] = {"US-MI": _new_years_eve_observed}


def _lacking(name: str, year: int) -> list[tuple[date, str]]:
    add = LACKING.get(name)
    found = None if add is None else add(year)
    return [] if found is None else [found]
