"""Audience segments: a name and a filter."""

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from libs.common import database
from libs.common.broadcasts import audience, segment_sql
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.errors import Conflict
from services.api.context import Context
from services.api.http import idempotency, pagination, transactions, versions
from services.api.http.contract import LOCATION, tells
from services.api.http.errors import NameTaken
from services.api.http.fields import PAGE, Cursor, Limit, PathId
from services.api.schemas import Page
from services.api.segments import changes, queries, trying
from services.api.segments.schemas import NewSegment, Preview, Segment, SegmentChanges, TriedFilter, WishedFilter

SAMPLE = 10  # contacts that a preview shows


@post("/segments", opt=tells(NameTaken, idempotent=True, versioned=True, answers=LOCATION))
async def create(
    request: Request[Any, Any, Any], api: NamedDependency[Context], data: JSONBody[NewSegment]
) -> Response[Segment]:
    """Create a segment. `{"all": []}` takes in every contact; docs/segments.md has the language of filters."""

    async def work(connection: Connection) -> Segment:
        return await changes.create(connection, data, api.clock())

    answer = await idempotency.once(api.engine, request, work, answer=Segment, status=201)
    return answer.response({"Location": f"/segments/{answer.content.id}", "ETag": versions.tag(answer.content)})


@get("/segments")
async def index(api: NamedDependency[Context], limit: Limit = PAGE, cursor: Cursor = None) -> Page[Segment]:
    """List segments, oldest first."""
    after = pagination.number(cursor, 0)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, after=after, limit=limit + 1)
    return pagination.cut(found, limit, lambda segment: str(segment.id))


@get("/segments/{segment_id:int}", opt=tells(versioned=True))
async def show(api: NamedDependency[Context], segment_id: PathId) -> Response[Segment]:
    """Return one segment."""
    async with database.transaction(api.engine) as connection:
        return versions.tagged(await queries.one(connection, segment_id))


@patch("/segments/{segment_id:int}", opt=tells(NameTaken, Conflict, versioned=True))
async def change(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    segment_id: PathId,
    data: JSONBody[SegmentChanges],
) -> Response[Segment]:
    """Change a segment's name or filter, for all broadcasts that are made from now on.

    With `If-Match` it is changed only if it is still the version that has this `ETag`; else 412.
    """
    wanted = versions.asked(request)

    async def work(connection: Connection) -> Segment:
        return await changes.change(connection, segment_id, data, api.clock(), wanted=wanted)

    return versions.tagged(await transactions.retrying(api.engine, cause, work))


@delete("/segments/{segment_id:int}", opt=tells(Conflict))
async def remove(api: NamedDependency[Context], cause: NamedDependency[Cause], segment_id: PathId) -> None:
    """Delete a segment that no broadcast and no other segment names; 409 says which ones do."""

    async def work(connection: Connection) -> None:
        await changes.delete(connection, segment_id, api.clock())

    await transactions.retrying(api.long_work, cause, work)


@get("/segments/{segment_id:int}/preview")
async def preview(api: NamedDependency[Context], segment_id: PathId) -> Preview:
    """Count who may be drawn from a segment, and show some of them."""
    async with database.transaction(api.engine) as connection:
        named = segment_sql.condition((await audience.filters(connection, [segment_id]))[segment_id], api.clock())
        count = await audience.count(connection, named)
        sample = await queries.sample(connection, named, SAMPLE)
    return Preview(segment_id=segment_id, count=count, sample=sample)


@post("/segments/preview", status_code=200)
async def try_filter(api: NamedDependency[Context], data: JSONBody[WishedFilter]) -> TriedFilter:
    """Count whom a filter takes in that is no segment's, as they would be drawn; nothing is kept."""
    async with database.transaction(api.engine) as connection:
        return await trying.given(connection, data.filter, api.clock(), SAMPLE)


HANDLERS = (create, index, show, change, remove, preview, try_filter)
