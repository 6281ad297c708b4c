"""Whom a filter takes in, before it is anybody's: counted as it would be drawn."""

from datetime import datetime

from libs.common.broadcasts import audience, segment_sql
from libs.common.database import Connection
from libs.common.domain import segments
from libs.common.domain.segments import Filter, InvalidFilter
from libs.common.domain.states import LeftOut
from services.api.segments import changes, queries
from services.api.segments.schemas import GivenFilter, TriedFilter


async def given(connection: Connection, filter_: GivenFilter, now: datetime, limit: int) -> TriedFilter:
    """Count whom a filter takes in that a client has written. Raise InvalidFields."""
    try:
        return await known(connection, segments.read(filter_), now, limit)
    except InvalidFilter as error:
        raise changes.invalid(error) from error


async def known(connection: Connection, filter_: Filter, now: datetime, limit: int) -> TriedFilter:
    """Count whom a filter takes in. Raise InvalidFilter where it names a segment that there is not."""
    found = await audience.resolved(connection, filter_)
    named = audience.conditions([found], now)
    people = {part.left_out: part.people for part in await audience.parts(connection, named)}
    return TriedFilter(
        count=people.pop(None, 0),
        left_out={reason.value: people[reason] for reason in LeftOut if reason in people},
        sample=await queries.sample(connection, segment_sql.condition(found, now), limit),
        unknown_tags=list(await queries.unknown_tags(connection, segments.tags_of(filter_))),
    )
