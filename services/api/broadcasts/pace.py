"""How fast the messages of a phase were sent, less the pauses and the quiet hours, and when the rest will be. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libs.common.broadcasts import places
from libs.common.domain.quiet_hours import Rules, Standing
from libs.common.domain.states import Late
from libs.common.domain.wall_clock import at_wall_clock

Span = tuple[datetime, datetime]


def rate(started: int, first: datetime | None, last: datetime | None, off: Iterable[Span]) -> float | None:
    """Return messages a second: the intervals between the starts over the time outside of `off`.

    None for fewer than two messages.
    """
    if started < 2 or first is None or last is None:
        return None
    seconds = (last - first).total_seconds() - _covered(off, first, last)
    return (started - 1) / seconds if seconds > 0 else None


def pauses(changes: Sequence[tuple[str, datetime]]) -> list[Span]:
    """Return when a broadcast was paused, by its events in order; a pause that goes on has no end yet."""
    found: list[Span] = []
    since: datetime | None = None
    for type_, at in changes:
        if type_ == "BroadcastPaused":
            since = since or at
        elif since is not None:
            found.append((since, at))
            since = None
    return found if since is None else [*found, (since, datetime.max.replace(tzinfo=UTC))]


def quiet_spans(first: datetime, last: datetime, quiet: tuple[time, time] | None, zone: ZoneInfo) -> list[Span]:
    """Return the quiet hours that touch the time from `first` to `last`."""
    if quiet is None:
        return []
    start, end = quiet
    day, until = first.astimezone(zone).date() - timedelta(days=1), last.astimezone(zone).date()
    found = []
    while day <= until:
        over = day if start < end else day + timedelta(days=1)
        found.append((at_wall_clock(day, start, zone), at_wall_clock(over, end, zone)))
        day += timedelta(days=1)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the rest of a phase goes out."""

    #: When the last message leaves that does.
    ends: datetime
    #: When nothing leaves before that, since it is too early or too late wherever messages still go.
    rests: list[Span] = field(default_factory=list)
    #: From when on something is not sent any more; None where all of it leaves.
    cut_off_at: datetime | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether something is not sent any more."""
        return self.cut_off_at is not None


def course(
    begins: datetime, spacing: timedelta, people: Mapping[str, int], rules: Rules, *, made_at: datetime, late: Late
) -> Course:
    """Return how messages leave `spacing` apart, from `begins` on, to so many people at each place.

    Those come first where the evening does, as the sender has it. What is given up, or would be too late, is left out.
    """
    left = {place: count * spacing for place, count in people.items() if count}
    at = ends = begins
    rests: list[Span] = []
    cut_off_at = None
    while left:
        found = places.of_places(list(left), rules, at, made_at=made_at, late=late)
        for place in found.of(Standing.TOO_LATE) + found.of(Standing.GIVEN_UP):
            cut_off_at = cut_off_at or at
            del left[place]
        if found.open:
            place = found.open[0]
            work = min(left[place], found.by_place[place].window.closes - at)
            at = ends = at + work
            left[place] -= work
            if not left[place]:
                del left[place]
        elif found.opens_at is not None:
            rests.append((at, found.opens_at))
            at = found.opens_at
    return Course(ends=ends, rests=rests, cut_off_at=cut_off_at)


def _covered(spans: Iterable[Span], first: datetime, last: datetime) -> float:
    """Return for how many seconds between `first` and `last` at least one span holds."""
    covered, reached = 0.0, first
    for begins, ends in sorted(spans):
        seconds = (min(ends, last) - max(begins, reached)).total_seconds()
        if seconds > 0:
            covered += seconds
            reached = min(ends, last)
    return covered
