"""What the clocks on the wall of a time zone show, and the quiet hours, which are given by them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def at_wall_clock(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the UTC time at which the clocks of `zone` show `wall` on `day`.

    A time that the change to summer time leaves out is taken as if the clocks had not changed (2:30 becomes 3:30);
    one that comes twice is its first occurrence (PEP 495, `fold=0`).
    """
    return datetime.combine(day, wall, tzinfo=zone).replace(fold=0).astimezone(UTC)


def same_day(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    """Return whether two times fall on the same local date."""
    return one.astimezone(zone).date() == other.astimezone(zone).date()


def parse_quiet_hours(text: str) -> tuple[time, time] | None:
    """Read `21:00-08:00` (local, may span midnight); None for an empty text. Raise ValueError."""
    if not text:
        return None
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError("give start and end as HH:MM-HH:MM")
    span = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    if span[0] == span[1]:
        raise ValueError("start and end are the same")
    if span[0].tzinfo or span[1].tzinfo:
        raise ValueError("give local times, without an offset")
    return span


def quiet_until(now: datetime, quiet: tuple[time, time] | None, zone: ZoneInfo) -> datetime | None:
    """Return the UTC time at which the quiet hours that hold at `now` end; None outside them."""
    if quiet is None:
        return None
    start, end = quiet
    local = now.astimezone(zone)
    wall = local.time().replace(fold=0)
    inside = start <= wall < end if start < end else wall >= start or wall < end
    if not inside:
        return None
    day = local.date() if wall < end else local.date() + timedelta(days=1)
    until = at_wall_clock(day, end, zone)
    # Within the hour that comes twice the end's first occurrence may be over; then it is the second one.
    return until if until > now else datetime.combine(day, end.replace(fold=1), tzinfo=zone).astimezone(UTC)
