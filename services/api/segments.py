"""Audience segments: a name and a filter over tags."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from psycopg.types.json import Jsonb

from libs.common import audience
from libs.common.database import Connection
from services.api import idempotency, pages
from services.api.context import Context
from services.api.fields import PAGE, Cursor, Limit, PathId
from services.api.problems import InvalidFields, NameTaken
from services.api.schemas import Filter, NewSegment, Page, Preview, Sample, Segment

SAMPLE = 10  # contacts that a preview shows

#: Adds a segment; no row where the name is taken.
ADD = """
INSERT INTO audience_segments (name, filter) VALUES (%(name)s, %(filter)s) ON CONFLICT DO NOTHING
RETURNING id, name, filter, created_at
"""

#: A page of segments, oldest first.
LIST = "SELECT id, name, filter, created_at FROM audience_segments WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"

#: Some members of a segment, by a hash of their id: not always those who joined first.
SOME = f"""
SELECT c.id AS contact_id, c.phone_number, c.name, c.tags FROM contacts c WHERE {audience.MEMBER}
ORDER BY sha256(convert_to(c.id::text, 'UTF8')) LIMIT %(limit)s
"""


@post("/segments")
async def create(
    request: Request[Any, Any, Any], api: NamedDependency[Context], data: JSONBody[NewSegment]
) -> Response[Segment]:
    """Create a segment. An empty filter takes in every contact."""

    async def work(connection: Connection) -> Segment:
        if not data.name.strip():
            raise InvalidFields(("name", "must hold more than white space"))
        filter_ = Jsonb(msgspec.to_builtins(data.filter))
        row = await (await connection.execute(ADD, {"name": data.name.strip(), "filter": filter_})).fetchone()
        if row is None:
            raise NameTaken
        return _segment(row)

    answer = await idempotency.once(api.pool, request, work, answer=Segment, status=201)
    return answer.response({"Location": f"/segments/{answer.content.id}/preview"})


@get("/segments")
async def index(api: NamedDependency[Context], limit: Limit = PAGE, cursor: Cursor = None) -> Page[Segment]:
    """List segments, oldest first."""
    after = pages.number(cursor, 0)
    async with api.pool.connection() as connection:
        rows = await (await connection.execute(LIST, {"after": after, "limit": limit + 1})).fetchall()
    return pages.cut([_segment(row) for row in rows], limit, lambda segment: str(segment.id))


@get("/segments/{segment_id:int}/preview")
async def preview(api: NamedDependency[Context], segment_id: PathId) -> Preview:
    """Count who may be drawn from a segment, and show some of them."""
    async with api.pool.connection() as connection:
        found = (await audience.filters(connection, [segment_id]))[segment_id]
        count = await audience.count(connection, found)
        cursor = await connection.execute(SOME, {**audience.parameters(found), "limit": SAMPLE})
        sample = [Sample(**row) for row in await cursor.fetchall()]
    return Preview(segment_id=segment_id, count=count, sample=sample)


def _segment(row: dict[str, Any]) -> Segment:
    return Segment(
        id=row["id"],
        name=row["name"],
        filter=msgspec.convert(row["filter"], Filter),
        created_at=row["created_at"],
    )


HANDLERS = (create, index, preview)
