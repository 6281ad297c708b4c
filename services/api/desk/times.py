"""Times as people say them: in the organisation's zone, the weekday first where the day is not today."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, format_timedelta

LOCALE = "en_GB"  # days before months, and a clock of 24 hours
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
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    clock = format_time(local, "HH:mm", tzinfo=zone, locale=LOCALE)
    match (local.date() - today).days:
        case 0:
            return f"today {clock}"
        case 1:
            return f"tomorrow {clock}"
        case -1:
            return f"yesterday {clock}"
    return f"{day(moment, now, zone)}, {clock}"


def day(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "Mon 30 Nov", with the year where it is another one."""
    local = moment.astimezone(zone)
    same_year = local.year == now.astimezone(zone).year
    return format_date(local.date(), "EEE d MMM" if same_year else "EEE d MMM yyyy", locale=LOCALE)


def day_name(day_: date) -> str:
    """Return "Mon 30 Nov"."""
    return str(format_date(day_, "EEE d MMM", locale=LOCALE))


def clock(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "14:30" where it is today, else as `short` does: for the end of a sentence about today."""
    local = moment.astimezone(zone)
    if local.date() == now.astimezone(zone).date():
        return format_time(local, "HH:mm", tzinfo=zone, locale=LOCALE)
    return short(moment, now, zone)


def to_the_second(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return "14:30:05" where it is within ten minutes, else as `clock` does."""
    if abs(moment - now) > PRECISE:
        return clock(moment, now, zone)
    return format_time(moment.astimezone(zone), "HH:mm:ss", tzinfo=zone, locale=LOCALE)


def exact(moment: datetime) -> str:
    """Return the whole of a moment, to the second, with its zone."""
    return format_datetime(moment, "EEEE, d MMMM yyyy, HH:mm:ss zzzz", tzinfo=moment.tzinfo, locale=LOCALE)


def duration(seconds: float) -> str:
    """Return a stretch of time roughly: "40 seconds", "12 minutes", "3 hours"."""
    return format_timedelta(timedelta(seconds=max(1, round(seconds))), threshold=1.5, locale=LOCALE)
