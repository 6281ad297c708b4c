"""Whether what staff want of a broadcast can be: what one field's type cannot tell. All faults are named at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET, UnsetType

from libs.common import events as e
from libs.common.database import Connection
from libs.common.settings import e164
from services.api.fields import BIGGEST
from services.api.problems import InvalidFields
from services.api.schemas import BroadcastChanges, NewBroadcast, Share

FARTHEST = timedelta(days=2 * 366)
ROUNDING = 1e-9  # percent; 33.4 + 33.3 + 33.3 is not quite 100

Faults = list[tuple[str, str]]

#: Those of some segments that exist; they stay until the transaction ends.
KNOWN = "SELECT id FROM audience_segments WHERE id = ANY(%(ids)s::bigint[]) FOR KEY SHARE"

#: Makes sure that a number of ours has a row.
ADD_NUMBER = "INSERT INTO sending_numbers (phone_number) VALUES (%(number)s) ON CONFLICT DO NOTHING"
NUMBER = "SELECT id FROM sending_numbers WHERE phone_number = %(number)s"


async def check(connection: Connection, wish: NewBroadcast | BroadcastChanges, now: datetime) -> None:
    """Raise InvalidFields with every fault that there is."""
    faults: Faults = []
    if wish.run_at is not UNSET:
        faults += _run_at(wish.run_at, now)
    for name in ("first_message", "second_message"):
        faults += _message(name, getattr(wish, name))
    if wish.from_number is not UNSET:
        faults += _from_number(wish.from_number)
    if wish.segments is not UNSET:
        faults += await _segments(connection, wish.segments)
    if faults:
        raise InvalidFields(*faults)


def in_utc(moment: datetime) -> datetime:
    """Give a moment that was checked in UTC."""
    return moment.astimezone(UTC)


def shares(segments: Sequence[Share]) -> tuple[e.Segment, ...]:
    """Give segments as events hold them."""
    return tuple(e.Segment(segment_id=item.segment_id, ratio=float(item.ratio)) for item in segments)


async def number_id(connection: Connection, number: str) -> int:
    """Give the row of a sending number, which is added if it is new."""
    await connection.execute(ADD_NUMBER, {"number": e164(number)})
    row = await (await connection.execute(NUMBER, {"number": e164(number)})).fetchone()
    assert row is not None
    return int(row["id"])


def _run_at(run_at: datetime, now: datetime) -> Faults:
    if run_at <= now:
        return [("run_at", "must lie in the future")]
    if run_at > now + FARTHEST:
        return [("run_at", "must be within two years")]
    return []


def _message(name: str, text: str | UnsetType) -> Faults:
    if text is UNSET:
        return []
    if not text.strip():
        return [(name, "must hold more than white space")]
    if "\x00" in text:
        return [(name, "must not hold the character NUL")]
    return []


def _from_number(number: str) -> Faults:
    try:
        e164(number)
    except ValueError as error:
        return [("from_number", str(error))]
    return []


async def _segments(connection: Connection, segments: Sequence[Share]) -> Faults:
    faults: Faults = []
    ids = [item.segment_id for item in segments]
    cursor = await connection.execute(KNOWN, {"ids": [each for each in ids if each <= BIGGEST]})
    known = {row["id"] for row in await cursor.fetchall()}
    for place, segment_id in enumerate(ids):
        if segment_id not in known:
            faults.append((f"segments[{place}].segment_id", f"there is no segment {segment_id}"[:60]))
        elif segment_id in ids[:place]:
            faults.append((f"segments[{place}].segment_id", "is named twice"))
    if sum(item.ratio for item in segments) > 100 + ROUNDING:
        faults.append(("segments", "the ratios are more than 100 percent in sum"))
    return faults
