"""What staff do to segments, in a transaction that is given: the HTTP API and the pages do the same.

Whom a broadcast went to is fixed when it is made: a change of a segment concerns those that are made after it.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from libs.common.database import Connection
from libs.common.domain import message_bodies
from libs.common.domain.events.registers import RegisterEvent, SegmentChanged, SegmentCreated, SegmentDeleted
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.contacts.tag_input import composed_tags
from services.api.http import versions
from services.api.http.errors import InvalidFields, NameTaken
from services.api.segments import queries
from services.api.segments.schemas import Filter, NewSegment, Segment, SegmentChanges

NAMED = 5  # broadcasts that are named where a segment cannot be deleted


async def create(connection: Connection, wish: NewSegment, now: datetime) -> Segment:
    """Create a segment and return it. Raise InvalidFields, NameTaken."""
    segment = await queries.add(connection, checked_name(wish.name), checked_filter(wish.filter))
    if segment is None:
        raise NameTaken
    await _record(connection, segment.id, SegmentCreated(segment_id=segment.id), now)
    return segment


async def change(
    connection: Connection,
    segment_id: int,
    changes: SegmentChanges,
    now: datetime,
    *,
    wanted: frozenset[str] | None,
) -> Segment:
    """Change a segment and return it. Raise InvalidFields, NameTaken, Changed, NotFound.

    `wanted` are the versions that may be changed (`versions.tag`); None if any may.
    """
    await queries.lock(connection, segment_id)
    before = await queries.one(connection, segment_id)
    versions.check(wanted, before)
    name = before.name if changes.name is UNSET else checked_name(changes.name)
    old = msgspec.to_builtins(before.filter)
    filter_ = old if changes.filter is UNSET else checked_filter(changes.filter)
    fields = tuple(field for field, new in (("name", name != before.name), ("filter", filter_ != old)) if new)
    if not fields:
        return before
    if not await queries.change(connection, segment_id, name, filter_):
        raise NameTaken
    await _record(connection, segment_id, SegmentChanged(segment_id=segment_id, fields=fields), now)
    return await queries.one(connection, segment_id)


async def delete(connection: Connection, segment_id: int, now: datetime) -> None:
    """Delete a segment that no broadcast names. Raise Conflict, which names those that do, and NotFound.

    The messages of a broadcast are looked through for it: to be called on an engine that is made for long work.
    """
    await queries.lock(connection, segment_id)
    segment = await queries.one(connection, segment_id)
    if uses := await queries.uses(connection, segment_id, NAMED + 1):
        raise Conflict(f'"{segment.name}" is used by {_named(uses)}: it stays')
    await queries.delete(connection, segment_id)
    await _record(connection, segment_id, SegmentDeleted(segment_id=segment_id), now)


def checked_name(given: str) -> str:
    """Return a segment's name as it is kept. Raise InvalidFields."""
    name = unicodedata.normalize("NFC", given.strip())
    if not message_bodies.is_visible(name):
        raise InvalidFields(("name", n_("must hold more than white space")))
    return name


def checked_filter(given: Filter) -> dict[str, list[str]]:
    """Return a filter as it is kept. Raise InvalidFields."""
    parts = msgspec.to_builtins(given)
    return {part: composed_tags(tags, f"filter.{part}") for part, tags in parts.items()}


def _named(uses: Sequence[queries.Use]) -> str:
    numbers = ", ".join(str(use.broadcast_id) for use in uses[:NAMED])
    return f"the broadcast{'s' if len(uses) > 1 else ''} {numbers}{' and more' if len(uses) > NAMED else ''}"


async def _record(connection: Connection, segment_id: int, event: RegisterEvent, now: datetime) -> None:
    await store.append(connection, f"segment-{segment_id}", [event], now=now)
