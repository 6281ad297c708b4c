"""Whether what staff want of a broadcast can be: what one field's type cannot tell. All faults are named at once."""

import unicodedata
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import UNSET, UnsetType, structs

from libs.common import phone_numbers
from libs.common.broadcasts.selection import Selection, caps
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain import message_bodies
from libs.common.domain.broadcast import Broadcast as Recorded
from libs.common.domain.frequency import Cap
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import files, queries
from services.api.broadcasts.files import File
from services.api.http.errors import InvalidFields
from services.api.http.fields import BIGGEST
from services.api.schemas import (
    Broadcast,
    BroadcastChanges,
    BroadcastSegment,
    NewBroadcast,
    SegmentRef,
    Share,
    Week,
)

FARTHEST = timedelta(days=2 * 366)
ROUNDING = 1e-9  # percent; 33.4 + 33.3 + 33.3 is not quite 100

NOT_OURS = n_("none of our numbers: BROADSHEET_FROM_NUMBER and BROADSHEET_NUMBERS say which are")

ONCE = n_("must be false: a broadcast to a file goes out once")
NO_FALLBACK = n_("must be left out: a broadcast to a file goes to those who are in it")
NO_SIZE = n_("is missing: say how many people may get it at most")

REPEATS = n_("is for a broadcast that repeats, and `recurring` is false")

ONE_KIND = n_("needs one of `ratio`, `count` and `all`")
TWICE = n_("is named twice: a broadcast draws from a segment, leaves it out or has it fill up")
TOO_MANY = n_("asks for more people by numbers than may get it at most")
TOO_FEW = n_("is less than what the segments ask for by numbers")
NOTHING_LEFT = n_("shares out nothing: the numbers take all who may get it at most")
LEAVES_NOTHING = n_("leaves nothing to share out beside the numbers")
ONE_TEXT = n_("lets nobody get it: with its follow-up the broadcast is two texts")

Faults = list[tuple[str, str]]


async def check(
    connection: Connection,
    wish: NewBroadcast | BroadcastChanges,
    now: datetime,
    own_numbers: Collection[str],
    before: Recorded | None = None,
) -> None:
    """Raise InvalidFields with every fault that there is. `own_numbers` are those that messages may leave from.

    `before` is the broadcast that is to be changed.
    """
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
    if wish.pool is not UNSET:
        faults += [
            (f"pool[{place}]", why)
            for place, each in enumerate(wish.pool)
            for _, why in _from_number(each, own_numbers)
        ]
    if wish.label is not UNSET and wish.label and not message_bodies.is_visible(wish.label):
        faults.append(("label", n_("must show something")))
    faults += await _audience(connection, wish, before)
    if wish.file is not UNSET and wish.file is not None:
        faults += await _file(connection, wish.file, wish)
    elif isinstance(wish, NewBroadcast) and wish.max_recipients is UNSET:
        faults.append(("max_recipients", NO_SIZE))
    if faults:
        raise InvalidFields(*faults)


def in_utc(moment: datetime) -> datetime:
    """Return a moment that was checked in UTC."""
    return moment.astimezone(UTC)


def shares(segments: Sequence[Share]) -> tuple[e.Segment, ...]:
    """Return segments as events hold them."""
    return tuple(
        e.Segment(
            segment_id=item.segment_id,
            ratio=None if item.ratio is None else float(item.ratio),
            count=item.count,
        )
        for item in segments
    )


def selection(broadcast: Broadcast, cap: Cap | None) -> Selection:
    """Return whom a broadcast asks for; `cap` is the organisation's."""
    own = broadcast.frequency_cap
    return Selection(
        segments=shares([share(each) for each in broadcast.segments]),
        max_recipients=broadcast.max_recipients,
        excluded=[each.segment_id for each in broadcast.exclude],
        fallback=None if broadcast.fallback is None else broadcast.fallback.segment_id,
        caps=caps(cap, None if own is None else Cap(texts=own.texts, days=own.days)),
        texts=1 if broadcast.second_message is None else 2,
    )


def share(segment: BroadcastSegment) -> Share:
    """Return the share of a broadcast's segment as it would be asked for."""
    return Share(segment_id=segment.segment_id, ratio=segment.ratio, count=segment.count, all=segment.all)


def label(given: str) -> str:
    """Return a label's name as it is kept: composed, on one line."""
    return " ".join(unicodedata.normalize("NFC", given).split())


def share_of(file: File) -> tuple[e.Segment, ...]:
    """Return the people of a file as events hold them: all of them, in one segment."""
    assert file.segment_id is not None, "it was checked"
    return (e.Segment(segment_id=file.segment_id, ratio=100.0),)


def week(times: Week | None) -> tuple[str, ...]:
    """Return the times of the weekdays as events hold them; none where there is no week."""
    return () if times is None else tuple(each or "" for each in structs.astuple(times))


async def number_id(connection: Connection, number: str) -> int:
    """Return the row of a sending number, which is added if it is new."""
    return await queries.add_sending_number(connection, phone_numbers.normalise(number))


async def pool(connection: Connection, numbers: Sequence[str], own: int) -> tuple[int, ...]:
    """Return the rows of a pool's numbers, each once, without the broadcast's own number."""
    ids = [await number_id(connection, each) for each in numbers]
    return tuple(each for each in dict.fromkeys(ids) if each != own)


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


async def _audience(connection: Connection, given: NewBroadcast | BroadcastChanges, before: Recorded | None) -> Faults:
    """Return what is wrong with whom it goes to after all, at the place of what is given."""
    segments, is_given = _after(given, "segments", [] if before is None else of_events(before.segments))
    exclude, excludes = _after(given, "exclude", [] if before is None else _refs(before.excluded))
    fallback, fills = _after(given, "fallback", None if before is None else _ref(before.fallback))
    places = [(f"segments[{n}].segment_id", each.segment_id, is_given) for n, each in enumerate(segments)]
    places += [(f"exclude[{n}].segment_id", each.segment_id, excludes) for n, each in enumerate(exclude)]
    places += [] if fallback is None else [("fallback.segment_id", fallback.segment_id, fills)]
    faults = await _named(connection, places)
    if is_given:
        faults += _kinds(segments)
    most, _ = _after(given, "max_recipients", 0 if before is None else before.max_recipients)
    if most:
        faults += _room(segments, most, is_given=is_given)
    cap, caps = _after(given, "frequency_cap", None if before is None or before.cap is None else before.cap)
    follow_up, _ = _after(given, "second_message", None if before is None else before.second_message)
    if cap is not None and follow_up is not None and cap.texts == 1:
        faults.append(("frequency_cap.texts" if caps else "second_message", ONE_TEXT))
    return faults


def _after(given: NewBroadcast | BroadcastChanges, name: str, before: Any) -> tuple[Any, bool]:
    """Return what a field is afterwards, and whether it is given."""
    value = getattr(given, name)
    return (before, False) if value is UNSET else (value, True)


async def _named(connection: Connection, places: Sequence[tuple[str, int, bool]]) -> Faults:
    """Return which of the segments at some places do not exist, or are named before; what is not given stays."""
    known = await queries.keep_segments(connection, [each for _, each, _ in places if each <= BIGGEST])
    faults: Faults = []
    seen: set[int] = set()
    for place, segment_id, is_given in sorted(places, key=lambda each: each[2]):
        if is_given and segment_id not in known:
            faults.append((place, f"there is no segment {segment_id}"[:60]))
        elif segment_id in seen:
            faults.append((place, TWICE))
        seen.add(segment_id)
    return faults


def _kinds(segments: Sequence[Share]) -> Faults:
    """Return which shares are not of one kind; percents are at most all of it."""
    faults: Faults = []
    for place, each in enumerate(segments):
        kinds = [name for name, said in (("ratio", each.ratio), ("count", each.count), ("all", each.all or None))
                 if said is not None]  # fmt: skip
        if len(kinds) != 1:
            faults.append((f"segments[{place}].{(kinds or ['ratio'])[-1]}", ONE_KIND))
    if sum(each.ratio or 0 for each in segments) > 100 + ROUNDING:
        faults.append(("segments", n_("the ratios are more than 100 percent in sum")))
    return faults


async def _file(connection: Connection, import_id: int, wish: NewBroadcast | BroadcastChanges) -> Faults:
    faults: Faults = []
    if wish.segments is not UNSET and wish.segments:
        faults.append(("segments", n_("a broadcast goes to segments or to a file, not to both")))
    if wish.recurring is True:
        faults.append(("recurring", ONCE))
    if wish.fallback is not UNSET and wish.fallback is not None:
        faults.append(("fallback", NO_FALLBACK))
    file = await files.find(connection, import_id) if import_id <= BIGGEST else None
    if file is None:
        faults.append(("file", filled("there is no import %(id)s", id=import_id)))
    elif fault := file.fault:
        faults.append(("file", fault))
    return faults


def _room(segments: Sequence[Share], most: int, *, is_given: bool) -> Faults:
    """Return where the numbers are more than the most that may get it, or leave nothing to share out."""
    left = most
    for place, each in enumerate(segments):
        left -= each.count or 0
        if each.count and left < 0:
            return [(f"segments[{place}].count", TOO_MANY) if is_given else ("max_recipients", TOO_FEW)]
    ratios = [place for place, each in enumerate(segments) if each.ratio is not None]
    if left or not ratios:
        return []
    return [(f"segments[{ratios[0]}].ratio", NOTHING_LEFT) if is_given else ("max_recipients", LEAVES_NOTHING)]


def of_events(segments: Sequence[e.Segment]) -> list[Share]:
    """Return shares as staff write them."""
    return [
        Share(segment_id=each.segment_id, ratio=each.ratio, count=each.count, all=each.gives_all) for each in segments
    ]


def _refs(ids: Sequence[int]) -> list[SegmentRef]:
    return [SegmentRef(segment_id=each) for each in ids]


def _ref(segment_id: int | None) -> SegmentRef | None:
    return None if segment_id is None else SegmentRef(segment_id=segment_id)
