"""What the API and the planner need besides, which know when a broadcast goes out again."""

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from libs.common.domain import holiday_calendar
from libs.common.domain.holiday_calendar import Calendar
from libs.common.settings.base import Settings
from libs.common.settings.fields import Form


def _known_calendar(name: str) -> str:
    """Return the name of a calendar of holidays, or nothing for `none`."""
    if name.strip().lower() == "none":
        return ""
    try:
        holiday_calendar.check(name)
    except NotImplementedError as error:
        raise ValueError("not a holiday calendar, such as US-MI") from error
    return name


def _extra_days(text: str) -> str:
    """Return the list of days. Raise ValueError if one cannot be read."""
    holiday_calendar.parse_extra_days(text)
    return text


class CalendarSettings(Settings):
    """What the API and the planner need besides, which know when a broadcast goes out again."""

    holidays: Annotated[str, AfterValidator(_known_calendar), Form("country, or country-part")] = "US"
    """The calendar of public holidays, which a broadcast that recurs leaves out: a country, or a country and a part of
    it, such as `US-MI` (with Election Day); `none` (or empty) if there are none. `broadsheet doctor` prints the next
    five."""

    holidays_also: Annotated[str, AfterValidator(_extra_days), Form("days, comma-separated")] = ""
    """Days of your own that are left out as well: a date such as `2027-08-02`, or a day of every year such as `08-02`,
    with a name or without (`08-02=Founders' Day`)."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")] = "en"
    """The language of the desk, of notices and of the names of holidays: `en`, or one that has a folder in
    `services/api/desk/locale`, such as `es_MX`."""

    @cached_property
    def calendar(self) -> Calendar:
        """The days on which a broadcast that recurs does not go out, beside weekends."""
        return Calendar(self.holidays, holiday_calendar.parse_extra_days(self.holidays_also), self.language)
