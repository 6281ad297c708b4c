"""Times as people say them: in the organisation's zone, the weekday first where the day is not today."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, format_timedelta

from libs.common.catalogue import formats
from libs.common.catalogue import gettext as _
from libs.common.texts import gettext_noop as n_

# Translators: how a time of day is written, in CLDR's letters (https://unicode.org/reports/tr35/tr35-dates.html).
CLOCK = n_("HH:mm")
# Translators: how a time of day is written to the second, in CLDR's letters.
CLOCK_TO_THE_SECOND = n_("HH:mm:ss")
# Translators: how a day of this year is written, in CLDR's letters.
DAY = n_("EEE d MMM")
# Translators: how a day of another year is written, in CLDR's letters.
DAY_OF_A_YEAR = n_("EEE d MMM yyyy")
# Translators: how a moment is written whole, in CLDR's letters.
WHOLE = n_("EEEE, d MMMM yyyy, HH:mm:ss zzzz")

PRECISE = timedelta(minutes=10)  # how near a moment is whose seconds are said


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTime:
    """A moment as a page shows it."""

    #: For machines: RFC 3339.
    machine: str
    #: "today 14:30", "Mon 30 Nov, 14:30".
    short: str
    #: For whom the short form is not enough: "Monday, 30 November 2026, 14:30:05 Eastern Standard Time".
    exact: str


def spoken(moment: datetime, now: datetime, zone: ZoneInfo) -> SpokenTime:
    """Return a moment (aware) as it is said at `now` (aware) in a zone."""
    local = moment.astimezone(zone)
    return SpokenTime(machine=local.isoformat(timespec="seconds"), short=short(moment, now, zone), exact=exact(local))


def short(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "today 14:30", "tomorrow 08:00", "Mon 30 Nov, 14:30", or with the year where it is another one."""
    at = {"clock": wall_clock(moment, zone), "day": day(moment, now, zone)}
    match (moment.astimezone(zone).date() - now.astimezone(zone).date()).days:
        case 0:
            return _("today %(clock)s") % at
        case 1:
            return _("tomorrow %(clock)s") % at
        case -1:
            return _("yesterday %(clock)s") % at
    return _("%(day)s, %(clock)s") % at


def day(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "Mon 30 Nov", with the year where it is another one."""
    local = moment.astimezone(zone)
    same_year = local.year == now.astimezone(zone).year
    return str(format_date(local.date(), _(DAY if same_year else DAY_OF_A_YEAR), locale=formats()))


def day_name(day_: date) -> str:
    """Return "Mon 30 Nov"."""
    return str(format_date(day_, _(DAY), locale=formats()))


def wall_clock(moment: datetime, zone: ZoneInfo) -> str:
    """Return "14:30"."""
    return str(format_time(moment.astimezone(zone), _(CLOCK), tzinfo=zone, locale=formats()))


def clock(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "14:30" where it is today, else as `short` does: for the end of a sentence about today."""
    if moment.astimezone(zone).date() == now.astimezone(zone).date():
        return wall_clock(moment, zone)
    return short(moment, now, zone)


def to_the_second(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "14:30:05" where it is within ten minutes, else as `clock` does."""
    if abs(moment - now) > PRECISE:
        return clock(moment, now, zone)
    return str(format_time(moment.astimezone(zone), _(CLOCK_TO_THE_SECOND), tzinfo=zone, locale=formats()))


def exact(moment: datetime) -> str:
    """Return the whole of a moment, to the second, with its zone."""
    return str(format_datetime(moment, _(WHOLE), tzinfo=moment.tzinfo, locale=formats()))


def duration(seconds: float) -> str:
    """Return a stretch of time roughly: "40 seconds", "12 minutes", "3 hours"."""
    return str(format_timedelta(timedelta(seconds=max(1, round(seconds))), threshold=1.5, locale=formats()))
