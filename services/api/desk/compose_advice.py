"""What a person should know before a broadcast goes out: of its words, and of its day and time. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from libs.common.broadcasts import places
from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from libs.common.domain import calendar, quiet_hours
from libs.common.domain.quiet_hours import Standing
from libs.common.domain.states import Late
from libs.common.settings.api import ApiSettings
from services.api.broadcasts import pace
from services.api.desk import times
from services.api.desk.numbers import count

DAYS = 14
LONGEST = timedelta(days=30)  # of sending; nobody is told an end that is further off

#: Words that tell people how to get no more texts, in English and Spanish.
OPT_OUT = re.compile(r"\b(stop|opt[ -]?out|unsubscribe|end|quit|cancel|alto|parar|basta)\b", re.IGNORECASE)
#: Hosts that shorten links for everybody: phone companies block texts with them.
SHORTENERS = re.compile(
    r"(?<![\w.-])(bit\.ly|tinyurl\.com|goo\.gl|ow\.ly|is\.gd|buff\.ly|t\.co|cutt\.ly|tiny\.cc|rb\.gy|shorturl\.at|t\.ly)\b",
    re.IGNORECASE,
)
#: A link as people write it: with its scheme, or a host that ends like one.
LINK = re.compile(r"\bhttps?://\S|\bwww\.\S", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the calendar under the form."""

    date: date
    #: Why it is left out: "Weekend", what the holiday is called; empty for a day on which it may go.
    off: str
    #: Whether the broadcast goes out on it.
    goes: bool
    #: When, on the clock of the newsroom; empty where it does not.
    at: str = ""


def on_words(first: str, second: str) -> list[str]:
    """Return what the two messages lack, or should not have."""
    found = []
    if first and not OPT_OUT.search(first):
        found.append(_("The first message does not say how to opt out, such as “Reply STOP to stop.”"))
    if short := SHORTENERS.search(f"{first}\n{second}"):
        found.append(
            _("Phone companies often block texts with %(host)s, which hides where a link leads. Use the whole link.")
            % {"host": short[1].lower()}
        )
    return found


def has_link(first: str, second: str) -> bool:
    """Whether one of the two messages has a link. It goes out as it is: nobody who opens it is followed."""
    return LINK.search(f"{first}\n{second}") is not None


def on_time(
    run_at: datetime, settings: ApiSettings, now: datetime, people: Mapping[str, int] | None = None
) -> list[str]:
    """Return what is special about the day and time of a broadcast to people at some places; to ours, where none is."""
    local = run_at.astimezone(settings.zone)
    found = []
    if run_at <= now:
        found.append(_("This time is over."))
    holiday = settings.calendar.of([local.year]).get(local.date())
    if holiday:
        found.append(_("This day is a holiday (%(name)s). It goes out all the same.") % {"name": _(holiday)})
    elif local.weekday() >= calendar.SATURDAY:
        found.append(_("This day is on a weekend. It goes out all the same."))
    outlooks = places.of_places(list(people or {"": 1}), settings.rules, run_at, made_at=run_at, late=Late.WAIT)
    until = outlooks.all_quiet_until
    if until is not None:
        when = times.short(until, now, settings.zone)
        found.append(_("This is within the quiet hours: nothing is sent until %(when)s.") % {"when": when})
    return found


def on_places(
    run_at: datetime, people: Mapping[str, int], settings: ApiSettings, now: datetime, late: Late
) -> list[str]:
    """Return how many of those who get a broadcast have other clocks than we, and how many wait, or do not get it."""
    begins = max(run_at, now)
    found = places.of_places(list(people), settings.rules, begins, made_at=begins, late=late)
    elsewhere = sum(count for place, count in people.items() if _has_other_clocks(place, begins, settings))
    said = []
    if elsewhere:
        words = ngettext(
            "About %(num)s person has other clocks than we.",
            "About %(num)s people have other clocks than we.",
            elsewhere,
        )
        said.append(words % {"num": count(elsewhere)})
    if not found.open:
        return said  # nobody gets it then, and that is said already
    waiting = sum(people[place] for place in found.of(Standing.WAITS))
    if waiting and found.opens_at is not None:
        words = ngettext(
            "%(num)s waits for the morning there, which comes first %(when)s.",
            "%(num)s wait for the morning there, which comes first %(when)s.",
            waiting,
        )
        said.append(words % {"num": count(waiting), "when": times.short(found.opens_at, now, settings.zone)})
    gone = sum(people[place] for place in found.of(Standing.TOO_LATE) + found.of(Standing.GIVEN_UP))
    if gone:
        words = ngettext(
            "%(num)s does not get it: it is too late in the day there.",
            "%(num)s do not get it: it is too late in the day there.",
            gone,
        )
        said.append(words % {"num": count(gone)})
    return said


def _has_other_clocks(place: str, at: datetime, settings: ApiSettings) -> bool:
    ours = at.astimezone(settings.zone).utcoffset()
    return any(at.astimezone(ZoneInfo(zone)).utcoffset() != ours for zone in quiet_hours.parse(place).zones)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How long it takes until all have the first message."""

    #: When the last is likely to leave; None where that is further off than anybody plans.
    ends: datetime | None
    advice: list[str]


def on_pace(
    run_at: datetime,
    people: Mapping[str, int],
    spacing: float,
    settings: ApiSettings,
    now: datetime,
    late: Late = Late.WAIT,
) -> Sending:
    """Return when the last of so many messages to each place leaves, `spacing` seconds apart, and what is between."""
    begins = max(run_at, now)
    apart = min(timedelta(seconds=spacing), LONGEST / max(1, sum(people.values())))
    course = pace.course(begins, apart, people, settings.rules, made_at=begins, late=late)
    if course.cut_off_at is not None:
        said = _("So many texts take too long: what has not left by %(when)s (quiet hours) is not sent.") % {
            "when": times.short(course.cut_off_at, now, settings.zone)
        }
        return Sending(ends=course.ends, advice=[said])
    advice = [
        _("Not all get it before the quiet hours: it stops %(from)s, and goes on %(until)s.")
        % {"from": times.short(begin, now, settings.zone), "until": times.short(end, now, settings.zone)}
        for begin, end in course.rests
        if begin > begins
    ]
    is_known = apart * sum(people.values()) < LONGEST - timedelta(seconds=1)
    return Sending(ends=course.ends if is_known else None, advice=advice)


def on_number(lost: int) -> list[str]:
    """Return what is wrong with a number from which so many texts came too fast lately."""
    if not lost:
        return []
    said = ngettext(
        "In the last week %(num)s text from this number was lost: it came faster than the phone companies allow the"
        " number. Choose another number, or ask whoever runs Broadsheet to lower the rate.",
        "In the last week %(num)s texts from this number were lost: they came faster than the phone companies allow the"
        " number. Choose another number, or ask whoever runs Broadsheet to lower the rate.",
        lost,
    )
    return [said % {"num": count(lost)}]


def week(run_at: datetime, settings: ApiSettings, weekly: calendar.Week | None = None, *, recurring: bool) -> list[Day]:
    """Return the day of a broadcast and the days after it, with why each is left out when it repeats."""
    local = run_at.astimezone(settings.zone)
    dates = [local.date() + timedelta(days=n) for n in range(DAYS)]
    names = settings.calendar.of(sorted({each.year for each in dates}))
    days = []
    for each in dates:
        is_first = each == local.date()
        at = local.time() if is_first else calendar.wall_on(each, local.time(), weekly)
        off = _(names.get(each, ""))
        if not off and calendar.wall_on(each, local.time(), weekly) is None:
            off = _("Weekend") if each.weekday() >= calendar.SATURDAY else _("No time on this weekday")
        goes = at is not None and (is_first or (recurring and not off))
        days.append(Day(date=each, off=off, goes=goes, at=f"{at:%H:%M}" if at is not None and goes else ""))
    return days
