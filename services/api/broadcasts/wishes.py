"""Whether what staff want of a broadcast can be: what one field's type cannot tell. All faults are named at once."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType, structs

from libs.common import phone_numbers
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain import message_bodies
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import queries
from services.api.http.errors import InvalidFields
from services.api.http.fields import BIGGEST
from services.api.schemas import BroadcastChanges, NewBroadcast, Share, Week

FARTHEST = timedelta(days=2 * 366)
ROUNDING = 1e-9  # percent; 33.4 + 33.3 + 33.3 is not quite 100

NOT_OURS = n_("none of our numbers: BROADSHEET_FROM_NUMBER and BROADSHEET_NUMBERS say which are")

REPEATS = n_("is for a broadcast that repeats, and `recurring` is false")

Faults = list[tuple[str, str]]


async def check(
    connection: Connection, wish: NewBroadcast | BroadcastChanges, now: datetime, own_numbers: Collection[str]
) -> None:
    """Raise InvalidFields with every fault that there is. `own_numbers` are those that messages may leave from."""
    faults: Faults = []
    if wish.run_at is not UNSET:
        faults += _run_at(wish.run_at, now)
    for name in ("first_message", "second_message"):
        faults += _message(name, getattr(wish, name))
    if wish.week is not UNSET and wish.week is not None and not any(week(wish.week)):
        faults.append(("week", "must have a time on one day at least"))
    if wish.week is not UNSET and wish.week is not None and wish.recurring is False:
        faults.append(("week", REPEATS))
    if wish.from_number is not UNSET:
        faults += _from_number(wish.from_number, own_numbers)
    if wish.segments is not UNSET:
        faults += await _segments(connection, wish.segments)
    if faults:
        raise InvalidFields(*faults)


def in_utc(moment: datetime) -> datetime:
    """Return a moment that was checked in UTC."""
    return moment.astimezone(UTC)


def shares(segments: Sequence[Share]) -> tuple[e.Segment, ...]:
    """Return segments as events hold them."""
    return tuple(e.Segment(segment_id=item.segment_id, ratio=float(item.ratio)) for item in segments)


def week(times: Week | None) -> tuple[str, ...]:
    """Return the times of the weekdays as events hold them; none where there is no week."""
    return () if times is None else tuple(each or "" for each in structs.astuple(times))


async def number_id(connection: Connection, number: str) -> int:
    """Return the row of a sending number, which is added if it is new."""
    return await queries.add_sending_number(connection, phone_numbers.normalise(number))


def _run_at(run_at: datetime, now: datetime) -> Faults:
    if run_at <= now:
        return [("run_at", n_("must lie in the future"))]
    if run_at > now + FARTHEST:
        return [("run_at", n_("must be within two years"))]
    return []


def _message(name: str, text: str | UnsetType | None) -> Faults:
    if text is UNSET or text is None:
        return []
    try:
        message_bodies.checked_template(text)
    except ValueError as error:
        return [(name, str(error))]
    return []


def _from_number(number: str, own_numbers: Collection[str]) -> Faults:
    try:
        is_ours = phone_numbers.normalise(number) in own_numbers
    except ValueError as error:
        return [("from_number", str(error))]
    return [] if is_ours else [("from_number", NOT_OURS)]


async def _segments(connection: Connection, segments: Sequence[Share]) -> Faults:
    faults: Faults = []
    ids = [item.segment_id for item in segments]
    known = await queries.keep_segments(connection, [each for each in ids if each <= BIGGEST])
    for place, segment_id in enumerate(ids):
        if segment_id not in known:
            faults.append((f"segments[{place}].segment_id", f"there is no segment {segment_id}"[:60]))
        elif segment_id in ids[:place]:
            faults.append((f"segments[{place}].segment_id", n_("is named twice")))
    if sum(item.ratio for item in segments) > 100 + ROUNDING:
        faults.append(("segments", n_("the ratios are more than 100 percent in sum")))
    return faults
