"""What staff do to segments, in a transaction that is given: the HTTP API and the pages do the same.

Whom a broadcast went to is fixed when it is made: a change of a segment concerns those that are made after it.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET

from libs.common.broadcasts import audience
from libs.common.database import Connection
from libs.common.domain import message_bodies, segments
from libs.common.domain.events.registers import RegisterEvent, SegmentChanged, SegmentCreated, SegmentDeleted
from libs.common.domain.segments import Filter, InvalidFilter
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.http import versions
from services.api.http.errors import InvalidFields, NameTaken
from services.api.segments import queries
from services.api.segments.schemas import GivenFilter, NewSegment, Segment, SegmentChanges

NAMED = 5  # broadcasts, or segments, that are named where a segment cannot be deleted

_NO_SEGMENT = n_("there is no such segment")
_NO_IMPORT = n_("there is no such import")


async def create(connection: Connection, wish: NewSegment, now: datetime) -> Segment:
    """Create a segment and return it. Raise InvalidFields, NameTaken."""
    segment = await queries.add(connection, checked_name(wish.name), await checked_filter(connection, wish.filter))
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
    """Change a segment and return it. Raise InvalidFields, NameTaken, Changed, NotFound, Conflict for one of a file.

    `wanted` are the versions that may be changed (`versions.tag`); None if any may.
    """
    if changes.filter is not UNSET:
        await queries.alone(connection)
    await queries.lock(connection, segment_id)
    before = await queries.one(connection, segment_id)
    versions.check(wanted, before)
    await _check_no_file(connection, segment_id)
    name = before.name if changes.name is UNSET else checked_name(changes.name)
    filter_ = before.filter
    if changes.filter is not UNSET:
        filter_ = await checked_filter(connection, changes.filter, segment_id)
    given = (("name", name != before.name), ("filter", filter_ != before.filter))
    fields = tuple(field for field, is_new in given if is_new)
    if not fields:
        return before
    if not await queries.change(connection, segment_id, name, filter_):
        raise NameTaken
    await _record(connection, segment_id, SegmentChanged(segment_id=segment_id, fields=fields), now)
    return await queries.one(connection, segment_id)


async def delete(connection: Connection, segment_id: int, now: datetime) -> None:
    """Delete a segment that no broadcast and no other segment names. Raise Conflict, which says which, and NotFound.

    The messages of a broadcast are looked through for it: to be called on an engine that is made for long work.
    """
    await queries.alone(connection)
    await queries.lock(connection, segment_id)
    segment = await queries.one(connection, segment_id)
    await _check_no_file(connection, segment_id)
    if within := await queries.within(connection, segment_id, NAMED + 1):
        names = ", ".join(f'"{each.name}"' for each in within[:NAMED])
        raise Conflict(f'"{segment.name}" is in {names}{" and more" if len(within) > NAMED else ""}: it stays')
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


async def checked_filter(connection: Connection, given: GivenFilter, own_id: int | None = None) -> dict[str, Any]:
    """Return a filter as it is kept. Raise InvalidFields with the place of each mistake, as a JSON pointer.

    `own_id` is the segment whose filter it is to be, if there is one already. One caller at a time goes on from here
    until its transaction ends: two that put two segments into each other would not see it.
    """
    try:
        filter_ = segments.read(given)
        await queries.alone(connection)
        named = segments.segments_of(filter_)
        kept = await queries.keep(connection, list(named))
        missing = [(pointer, _NO_SEGMENT) for key, pointer in named.items() if key not in kept]
        files = segments.imports_of(filter_)
        there = await queries.imports(connection, list(files))
        missing += [(pointer, _NO_IMPORT) for key, pointer in files.items() if key not in there]
        if missing:
            raise InvalidFilter(*missing)
        others = await audience.with_named(connection, await audience.read(connection, list(named)))
        segments.resolve(filter_, others, own_id)
        if own_id is not None:
            await _check_those_around(connection, own_id, filter_)
    except InvalidFilter as error:
        raise invalid(error) from error
    return segments.dump(filter_)


def invalid(error: InvalidFilter) -> InvalidFields:
    """Return the mistakes of a filter as those of a body: its field, and the JSON pointer within it."""
    return InvalidFields(*((f"filter{pointer}", reason) for pointer, reason in error.mistakes))


async def _check_those_around(connection: Connection, segment_id: int, filter_: Filter) -> None:
    """Raise InvalidFilter where a segment that this one is in would become too much."""
    others = await audience.with_named(connection, {**await queries.naming(connection), segment_id: filter_})
    for key, each in others.items():
        try:
            segments.resolve(each, others, key)
        except InvalidFilter as error:
            raise InvalidFilter(("", filled("segment %(id)s is around it, and cannot take that in", id=key))) from error


async def _check_no_file(connection: Connection, segment_id: int) -> None:
    if await queries.is_file(connection, segment_id):
        raise Conflict(n_("it stands for the people of a file, and stays as it is"))


def _named(uses: Sequence[queries.Use]) -> str:
    numbers = ", ".join(str(use.broadcast_id) for use in uses[:NAMED])
    return f"the broadcast{'s' if len(uses) > 1 else ''} {numbers}{' and more' if len(uses) > NAMED else ''}"


async def _record(connection: Connection, segment_id: int, event: RegisterEvent, now: datetime) -> None:
    await store.append(connection, f"segment-{segment_id}", [event], now=now)
