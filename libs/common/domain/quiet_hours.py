"""When a message may leave, by the clocks of whom it goes to: pure rules.

A place is what is known of where a recipient is: time zones, and a region that has rules. A message may leave only
when the clocks of *all* zones of a place allow it: the organisation's quiet hours, read off those clocks, and the rules
of the region (`regional_hours.py`). A place without zones has the organisation's. So has one whose zones have no
allowed hour in common: then they do not say where somebody is.

All arithmetic is on what clocks show. A moment is allowed or not; nothing is added to a local time. So a change of the
clocks, an hour that comes twice, and a day that an island leaves out need no rule of their own.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from libs.common.domain import regional_hours
from libs.common.domain.regional_hours import RegionalRule
from libs.common.domain.states import Late

#: How long after the making messages may still begin to leave; the next working day's broadcast comes then.
SENDING_DAY = timedelta(hours=24)
#: How far ahead an allowed hour is looked for. The longest stretch of days on which a region allows none is a weekend
#: with holidays on both sides.
HORIZON = 10  # days
LAST = timedelta(seconds=10)  # before a window closes, in which nothing starts: a request takes a moment
ON_THE_WAY = timedelta(seconds=5)  # that a request may take until it is written
SEAMLESS = 2  # days after which a window that goes on and on is taken to end
PLACES = 4096  # of which windows are kept, the latest ones
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recipient is, as far as that is known."""

    #: By the IANA database; none where nothing is known.
    zones: tuple[str, ...] = ()
    #: One that has rules, as `US-FL`; empty for none.
    region: str = ""

    def __str__(self) -> str:
        """Return it as messages have it: `America/Denver,America/Boise US-ID`."""
        return f"{','.join(self.zones)} {self.region}".rstrip()


@dataclass(frozen=True, slots=True)
class Rules:
    """What an organisation goes by."""

    #: Start and end on the wall; None for none at all, anywhere.
    quiet: tuple[time, time] | None
    #: The organisation's time zone.
    zone: str
    #: Whether the rules of regions hold.
    regional: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which messages may leave: from `opens` on, and before `closes`."""

    opens: datetime
    closes: datetime

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at a moment."""
        return self.opens <= at < self.closes

    def has_time(self, at: datetime) -> bool:
        """Whether a message that starts at a moment can have left before it closes."""
        return self.opens <= at < self.closes - LAST

    def valid_for(self, at: datetime) -> int | None:
        """Return for how many seconds from a moment on a carrier may keep a message; None where it never closes.

        They leave some time for the request to get there (`holds`).
        """
        if self.closes == ALWAYS.closes:
            return None
        return max(1, int((self.closes - at - ON_THE_WAY).total_seconds()))

    def holds(self, at: datetime, seconds: int | None) -> bool:
        """Whether it is open at a moment, and for so many seconds from then on."""
        return self.is_open(at) and (seconds is None or at + timedelta(seconds=seconds) <= self.closes)


#: Nothing is ever quiet.
ALWAYS = Window(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class Standing(StrEnum):
    """How messages to a place stand at a moment."""

    OPEN = "open"
    WAITS = "waits"
    TOO_LATE = "too_late"  # the broadcast says that they are skipped then
    GIVEN_UP = "given_up"  # the next morning is too far from when the broadcast was made


@dataclass(frozen=True, slots=True)
class Outlook:
    """How messages to a place stand, and the window that is open, or opens next."""

    standing: Standing
    window: Window


def parse(text: str) -> Place:
    """Read a place as messages have it."""
    zones, _, region = text.partition(" ")
    return Place(tuple(zones.split(",")) if zones else (), region)


def is_allowed(place: Place, rules: Rules, at: datetime) -> bool:
    """Whether a message to a place may leave at a moment."""
    return window(place, rules, at).is_open(at)


def window(place: Place, rules: Rules, at: datetime) -> Window:
    """Return the window of a place that is open at a moment, or else the next one."""
    if rules.quiet is None:
        return ALWAYS
    found = _window(place, rules, at) if place.zones else None
    # As `holding` says: where that is nothing, the organisation's clocks hold.
    found = found or _window(Place((rules.zone,), place.region), rules, at)
    # Where not even that has an allowed hour, nothing leaves at all.
    never = at + timedelta(days=HORIZON)
    return found or Window(never, never)


def holding(place: Place, rules: Rules, at: datetime) -> Place:
    """Return the place whose clocks hold: the organisation's, where nothing is known or no hour is in common."""
    if place.zones and (rules.quiet is None or _window(place, rules, at) is not None):
        return place
    return Place((rules.zone,), place.region)


def next_window(place: Place, rules: Rules, at: datetime) -> Window:
    """Return the window of a place in which a message may leave that starts now, or else the next one."""
    found = window(place, rules, at)
    return window(place, rules, found.closes) if found.is_open(at) and not found.has_time(at) else found


def outlook(place: Place, rules: Rules, at: datetime, *, made_at: datetime, late: Late) -> Outlook:
    """Return how messages to a place stand, of a broadcast that was made at `made_at`.

    What would leave on a later day than now, by any of the place's clocks, is too late. It waits for the first morning
    after the broadcast was made, and for any within a day of that; what has not left by then is given up.
    """
    found = next_window(place, rules, at)
    if found.has_time(at):
        return Outlook(Standing.OPEN, found)
    if late is Late.SKIP and _is_later_day(place, rules, at, found.opens):
        return Outlook(Standing.TOO_LATE, found)
    if found.opens == found.closes:
        return Outlook(Standing.GIVEN_UP, found)
    first = window(place, rules, made_at)
    if first.opens <= made_at:
        first = window(place, rules, first.closes)
    is_near = found.opens <= max(made_at + SENDING_DAY, first.opens)
    return Outlook(Standing.WAITS if is_near else Standing.GIVEN_UP, found)


def _is_later_day(place: Place, rules: Rules, one: datetime, other: datetime) -> bool:
    zones = [ZoneInfo(name) for name in place.zones or (rules.zone,)]
    return any(one.astimezone(zone).date() < other.astimezone(zone).date() for zone in zones)


def _window(place: Place, rules: Rules, at: datetime) -> Window | None:
    """Return the window that is open or opens next; None where none does within the horizon.

    One that goes on and on seems to end two days later, and the next begins there.
    """
    at = at.astimezone(UTC)
    found = None
    for offset in range(-1, HORIZON):
        day = at.date() + timedelta(days=offset)
        for opens, closes in _spans(place, rules, day):
            if found is not None and found.closes == opens:
                found = Window(found.opens, closes)
                continue
            if found is not None and found.closes > at:
                return found
            found = Window(opens, closes)
        if found is not None and found.closes > at and (found.closes < _midnight(day + _DAY) or offset == SEAMLESS):
            return found
    return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


@lru_cache(maxsize=PLACES)
def _spans(place: Place, rules: Rules, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """Return the allowed times of a day of UTC, in order; those that touch are one."""
    ruling = regional_hours.of(place.region) if rules.regional else ()
    zones = [ZoneInfo(name) for name in place.zones]
    begin, end = _midnight(day), _midnight(day + _DAY)
    edges = {begin}
    for zone in zones:
        edges |= {each for each in _edges(zone, day, _walls(rules, ruling)) if begin < each < end}
    spans: list[tuple[datetime, datetime]] = []
    ordered = [*sorted(edges), end]
    for from_, to in pairwise(ordered):
        if all(_allows(from_.astimezone(zone), rules, ruling) for zone in zones):
            if spans and spans[-1][1] == from_:
                spans[-1] = (spans[-1][0], to)
            else:
                spans.append((from_, to))
    return tuple(spans)


def _walls(rules: Rules, ruling: tuple[RegionalRule, ...]) -> set[time]:
    """Return what clocks show when something may change, midnight included."""
    return {time(), *(rules.quiet or ()), *(wall for rule in ruling for wall in rule.walls)}


def _edges(zone: ZoneInfo, day: date, walls: set[time]) -> set[datetime]:
    """Return the moments around a day of UTC at which the clocks of a zone may go over one of some times.

    Those are when they show it, the first time and the second, and when they are changed.
    """
    found = set()
    for offset in range(-1, 3):
        local = day + timedelta(days=offset)
        for wall in walls:
            for fold in (0, 1):
                found.add(datetime.combine(local, wall.replace(fold=fold), tzinfo=zone).astimezone(UTC))
        if (change := _change(zone, _midnight(local), _midnight(local + _DAY))) is not None:
            found.add(change)
    return found


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime | None:
    """Return when the clocks of a zone are changed between two moments; None if they are not."""
    before = low.astimezone(zone).utcoffset()
    if before == high.astimezone(zone).utcoffset():
        return None
    while high - low > _SECOND:
        middle = low + ((high - low) / 2 // _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _allows(local: datetime, rules: Rules, ruling: tuple[RegionalRule, ...]) -> bool:
    """Whether what a clock shows is outside the quiet hours, and within the hours of a region."""
    wall = local.time().replace(fold=0)
    if rules.quiet is not None:
        start, end = rules.quiet
        if start <= wall < end if start < end else wall >= start or wall < end:
            return False
    return all(rule.allows(local.date(), wall) for rule in ruling)
