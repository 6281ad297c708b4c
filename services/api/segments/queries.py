"""Audience segments as staff see them, read from the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.broadcasts import audience
from libs.common.database import Connection, EnumText, TypedJson, all_rows, first_row
from libs.common.domain.states import BroadcastState
from libs.common.errors import NotFound
from services.api.segments.schemas import Filter, Sample, Segment

_FILTER = TypedJson(Filter)

#: Adds a segment; no row where the name is taken.
ADD = (
    text("""
INSERT INTO audience_segments (name, filter) VALUES (:name, :filter) ON CONFLICT DO NOTHING
RETURNING id, name, filter, created_at
""")
    .bindparams(bindparam("filter", type_=JSONB))
    .columns(filter=_FILTER)
)

#: One segment.
ONE = text("SELECT id, name, filter, created_at FROM audience_segments WHERE id = :id").columns(filter=_FILTER)

#: One segment, which stays as it is until the transaction ends: a broadcast that is to name it waits.
LOCK = text("SELECT id FROM audience_segments WHERE id = :id FOR UPDATE")

#: Writes a segment anew; no row where another one has the name.
CHANGE = text("""
UPDATE audience_segments SET name = :new_name, filter = :new_filter
WHERE id = :id AND NOT EXISTS (SELECT FROM audience_segments o WHERE o.name = :new_name AND o.id <> :id)
""").bindparams(bindparam("new_filter", type_=JSONB))

DELETE = text("DELETE FROM audience_segments WHERE id = :id")

#: The broadcasts that name a segment, the latest first.
USES = text("""
SELECT b.id AS broadcast_id, b.state, coalesce(b.made_at, b.run_at) AS began_at, b.first_message
FROM broadcasts_segments s JOIN broadcasts b ON b.id = s.broadcast_id
WHERE s.segment_id = :id ORDER BY b.run_at DESC, b.id DESC LIMIT :limit
""").columns(state=EnumText(BroadcastState))

#: Those of some tags that nobody has.
UNKNOWN = text("""
SELECT tag FROM unnest(CAST(:tags AS text[])) WITH ORDINALITY AS t (tag, n)
WHERE NOT EXISTS (SELECT FROM contacts c WHERE c.tags @> ARRAY[t.tag] AND c.erased_at IS NULL) ORDER BY n
""")

#: A page of segments, oldest first.
PAGE = text("""
SELECT id, name, filter, created_at FROM audience_segments WHERE id > :after ORDER BY id LIMIT :limit
""").columns(filter=_FILTER)

LOOKED_AT = 20_000  # contacts among whom members are looked for first: some milliseconds


def _some(source: str) -> TextClause:
    return text(f"""
SELECT c.id AS contact_id, c.phone_number, c.name, c.tags FROM {source} c WHERE {audience.MEMBER}
ORDER BY sha256(convert_to(c.id::text, 'UTF8')) LIMIT :limit
""")


#: Some members of a segment, by a hash of their id: not always those who joined first.
SOME = _some("contacts")

#: Some of those in the midst of the contacts.
SOME_IN_THE_MIDST = _some(
    f"(SELECT * FROM contacts WHERE id >= (SELECT max(id) FROM contacts) / 2 ORDER BY id LIMIT {LOOKED_AT})"
)


@dataclass(frozen=True, slots=True)
class Use:
    """A broadcast that names a segment."""

    broadcast_id: int
    state: BroadcastState
    #: When it went out, or is to.
    began_at: datetime
    first_message: str


async def add(connection: Connection, name: str, filter_: Mapping[str, Sequence[str]]) -> Segment | None:
    """Add a segment and return it; None where another one has its name."""
    return first_row(await connection.execute(ADD, {"name": name, "filter": filter_}), Segment)


async def one(connection: Connection, segment_id: int) -> Segment:
    """Return a segment. Raise NotFound."""
    segment = first_row(await connection.execute(ONE, {"id": segment_id}), Segment)
    if segment is None:
        raise NotFound(f"there is no segment {segment_id}")
    return segment


async def lock(connection: Connection, segment_id: int) -> None:
    """Keep a segment as it is until the transaction ends."""
    await connection.execute(LOCK, {"id": segment_id})


async def change(connection: Connection, segment_id: int, name: str, filter_: Mapping[str, Sequence[str]]) -> bool:
    """Write a segment anew; False where another one has the name."""
    cursor = await connection.execute(CHANGE, {"id": segment_id, "new_name": name, "new_filter": filter_})
    return cursor.rowcount > 0


async def delete(connection: Connection, segment_id: int) -> None:
    """Delete a segment that no broadcast names."""
    await connection.execute(DELETE, {"id": segment_id})


async def uses(connection: Connection, segment_id: int, limit: int) -> Sequence[Use]:
    """Return the latest of the broadcasts that name a segment."""
    return all_rows(await connection.execute(USES, {"id": segment_id, "limit": limit}), Use)


async def unknown_tags(connection: Connection, tags: Sequence[str]) -> Sequence[str]:
    """Return those of some tags that nobody has."""
    return (await connection.execute(UNKNOWN, {"tags": list(tags)})).scalars().all()


async def page(connection: Connection, *, after: int, limit: int) -> list[Segment]:
    """Return the oldest segments with an id above `after`."""
    return all_rows(await connection.execute(PAGE, {"after": after, "limit": limit}), Segment)


async def sample(connection: Connection, filter_: Mapping[str, Sequence[str]], limit: int) -> list[Sample]:
    """Return some of the contacts whom a filter takes in; of a large segment not all are looked at for that."""
    parameters = {**audience.parameters(filter_), "limit": limit}
    found = all_rows(await connection.execute(SOME_IN_THE_MIDST, parameters), Sample)
    if len(found) < limit:
        found = all_rows(await connection.execute(SOME, parameters), Sample)
    return found
