"""How fast the messages of a phase were sent, less the pauses and the quiet hours, and when the rest will be. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libs.common.domain.calendar import SENDING_DAY
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
    #: The quiet hours before that.
    rests: list[Span] = field(default_factory=list)
    #: Whether what has not left at the end is not sent any more.
    is_cut_off: bool = False


def course(
    begins: datetime, work: timedelta, quiet: tuple[time, time] | None, zone: ZoneInfo, *, made_at: datetime
) -> Course:
    """Return how `work` is done that goes on from `begins` and rests in the quiet hours.

    Nothing is left for quiet hours that end more than a day after the broadcast was made: so the planner goes by it.
    """
    rests: list[Span] = []
    while True:
        spans = quiet_spans(begins, begins + work, quiet, zone)
        rest = next((span for span in spans if span[1] > begins and span[0] < begins + work), None)
        if rest is None:
            return Course(ends=begins + work, rests=rests)
        if rest[1] > made_at + SENDING_DAY:
            return Course(ends=max(begins, rest[0]), rests=rests, is_cut_off=True)
        rests.append(rest)
        work -= max(rest[0] - begins, timedelta())
        begins = rest[1]


def _covered(spans: Iterable[Span], first: datetime, last: datetime) -> float:
    """Return for how many seconds between `first` and `last` at least one span holds."""
    covered, reached = 0.0, first
    for begins, ends in sorted(spans):
        seconds = (min(ends, last) - max(begins, reached)).total_seconds()
        if seconds > 0:
            covered += seconds
            reached = min(ends, last)
    return covered
