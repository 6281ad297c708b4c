"""At what hours the rules of a region let people be texted: read from a file that names the source of each.

The file is `regional_hours.toml`: one table a region. A region of a country has the country's rules as well.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

SATURDAY, SUNDAY = 5, 6
NONE = "none"
#: From when, and until when, on the wall; None for a day on which nobody may be texted.
Hours = tuple[time, time] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionalRule:
    """When a region lets people be texted, by their own clocks."""

    #: ISO 3166: `US`, `US-FL`.
    region: str
    name: str
    #: Which law, and where and when it was read.
    law: str
    source: str
    read: date
    weekdays: Hours
    saturday: Hours
    sunday: Hours
    #: On public holidays; the hours of the weekday where the rule does not speak of them.
    holidays: Hours
    has_holidays: bool = False

    @property
    def walls(self) -> set[time]:
        """What clocks show when it may change."""
        return {wall for hours in (self.weekdays, self.saturday, self.sunday, self.holidays) for wall in hours or ()}

    def on(self, day: date) -> Hours:
        """Return the hours of a day."""
        if self.has_holidays and day in _holidays(self.region, day.year):
            return self.holidays
        return {SATURDAY: self.saturday, SUNDAY: self.sunday}.get(day.weekday(), self.weekdays)

    def allows(self, day: date, wall: time) -> bool:
        """Whether people may be texted at what their clocks show on a day."""
        hours = self.on(day)
        return hours is not None and hours[0] <= wall < hours[1]


@dataclass(frozen=True, slots=True)
class AreaCodes:
    """Which area codes of the North American plan are in which region."""

    source: str
    read: date
    region_of: Mapping[str, str]


def of(region: str) -> tuple[RegionalRule, ...]:
    """Return the rules of a region: the country's, and its own."""
    known = rules()
    names = (region.partition("-")[0], region) if "-" in region else (region,)
    return tuple(known[each] for each in names if each in known)


@cache
def rules() -> Mapping[str, RegionalRule]:
    """Return the rules of all regions that have some."""
    return {region: _rule(region, table) for region, table in _read()["rules"].items()}


@cache
def area_codes() -> AreaCodes:
    """Return which area codes are in a region that has rules."""
    table = _read()["area_codes"]
    found = {code: region for region, codes in table["regions"].items() for code in codes.split()}
    return AreaCodes(source=table["source"], read=table["read"], region_of=found)


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(files("libs.common.domain").joinpath("regional_hours.toml").read_text(encoding="utf-8"))


def _rule(region: str, table: Mapping[str, Any]) -> RegionalRule:
    usual = _hours(table["hours"])
    return RegionalRule(
        region=region,
        name=table["name"],
        law=table["law"],
        source=table["source"],
        read=table["read"],
        weekdays=usual,
        saturday=_hours(table.get("saturday", table["hours"])),
        sunday=_hours(table.get("sunday", table["hours"])),
        holidays=_hours(table.get("holidays", table["hours"])),
        has_holidays="holidays" in table,
    )


def _hours(text: str) -> Hours:
    if text == NONE:
        return None
    begin, _, end = text.partition("-")
    return time.fromisoformat(begin), time.fromisoformat(end)


@lru_cache(maxsize=256)
def _holidays(region: str, year: int) -> frozenset[date]:
    # Loaded where somebody is in a region that goes by holidays, and not by whatever sends.
    from libs.common.domain.holiday_calendar import Calendar

    return frozenset(Calendar(region).of([year]))
