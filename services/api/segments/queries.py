"""Audience segments as staff see them, read from the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.broadcasts import audience
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.segment_sql import Condition
from libs.common.database import Connection, EnumText, all_rows, first_row
from libs.common.domain import segments
from libs.common.domain.segments import Filter
from libs.common.domain.states import BroadcastState, SegmentRole
from libs.common.errors import NotFound
from services.api.segments.schemas import Sample, Segment

LOOKED_AT = 20_000  # contacts among whom members are looked for first: some milliseconds
MOST_NAMES = 200  # of attributes, that are offered

#: Adds a segment; no row where the name is taken.
ADD = (
    text("""
INSERT INTO audience_segments (name, filter) VALUES (:name, :filter) ON CONFLICT DO NOTHING
RETURNING id, name, filter, created_at
""")
    .bindparams(bindparam("filter", type_=JSONB))
    .columns(filter=JSONB)
)

#: One segment.
ONE = text("SELECT id, name, filter, created_at FROM audience_segments WHERE id = :id").columns(filter=JSONB)

#: One segment, which stays as it is until the transaction ends: a broadcast that is to name it waits.
LOCK = text("SELECT id FROM audience_segments WHERE id = :id FOR UPDATE")

#: Whether a segment stands for a file.
IS_FILE = text("SELECT import_id IS NOT NULL FROM audience_segments WHERE id = :id")

#: Writes a segment anew; no row where another one has the name.
CHANGE = text("""
UPDATE audience_segments SET name = :new_name, filter = :new_filter
WHERE id = :id AND NOT EXISTS (SELECT FROM audience_segments o WHERE o.name = :new_name AND o.id <> :id)
""").bindparams(bindparam("new_filter", type_=JSONB))

DELETE = text("DELETE FROM audience_segments WHERE id = :id")

#: Lets one transaction at a time say which segments are in which.
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('broadsheet.segments'))")

#: Those of some segments that exist; they stay until the transaction ends.
KEEP = text("SELECT id FROM audience_segments WHERE id = ANY(CAST(:ids AS bigint[])) FOR KEY SHARE")

#: Those of some imports that exist.
IMPORTS = text("SELECT id FROM contact_imports WHERE id = ANY(CAST(:ids AS bigint[]))")

#: All segments that name others.
NAMING = text("""
SELECT id, filter FROM audience_segments WHERE jsonb_path_exists(filter, '$.**.segment')
""").columns(filter=JSONB)

#: The segments that name one.
WITHIN = text("""
SELECT id, name FROM audience_segments
WHERE jsonb_path_exists(filter, '$.**.segment ? (@ == $id)', jsonb_build_object('id', CAST(:id AS bigint)))
ORDER BY id LIMIT :limit
""")

#: The broadcasts that name a segment, the latest first.
USES = text("""
SELECT b.id AS broadcast_id, b.state, coalesce(b.made_at, b.run_at) AS began_at, b.first_message, s.role
FROM broadcasts_segments s JOIN broadcasts b ON b.id = s.broadcast_id
WHERE s.segment_id = :id ORDER BY b.run_at DESC, b.id DESC LIMIT :limit
""").columns(state=EnumText(BroadcastState), role=EnumText(SegmentRole))

#: Those of some tags that nobody has.
UNKNOWN = text("""
SELECT tag FROM unnest(CAST(:tags AS text[])) WITH ORDINALITY AS t (tag, n)
WHERE NOT EXISTS (SELECT FROM contacts c WHERE c.tags @> ARRAY[t.tag] AND c.erased_at IS NULL) ORDER BY n
""")

#: What segments are called.
NAMES = text("SELECT id, name FROM audience_segments WHERE id = ANY(CAST(:ids AS bigint[]))")

#: The names of the attributes of those who came last.
ATTRIBUTES = text(f"""
SELECT DISTINCT name FROM (SELECT attributes FROM contacts ORDER BY id DESC LIMIT {LOOKED_AT}) AS c,
    LATERAL jsonb_object_keys(c.attributes) AS name
ORDER BY name LIMIT :limit
""")

#: A page of segments, oldest first; those that stand for a file are in no list.
PAGE = text("""
SELECT id, name, filter, created_at FROM audience_segments WHERE id > :after AND import_id IS NULL
ORDER BY id LIMIT :limit
""").columns(filter=JSONB)


@lru_cache(maxsize=audience.SHAPES)
def some_of(named: str, source: str = "contacts", rules: Rules = audience.NO_RULES) -> TextClause:
    """Return the statement for some whom a condition names, by a hash of their id: not always those who came first."""
    return text(f"""
SELECT c.id AS contact_id, c.phone_number, c.name, c.tags FROM {source} c {rules.join}
WHERE {audience.member(named, rules)}
ORDER BY sha256(convert_to(c.id::text, 'UTF8')) LIMIT :limit
""")


#: Those in the midst of the contacts.
MIDST = f"(SELECT * FROM contacts WHERE id >= (SELECT max(id) FROM contacts) / 2 ORDER BY id LIMIT {LOOKED_AT})"


@dataclass(frozen=True, slots=True)
class Named:
    """A segment, and what it is called."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Use:
    """A broadcast that names a segment."""

    broadcast_id: int
    state: BroadcastState
    #: When it went out, or is to.
    began_at: datetime
    first_message: str
    #: What the segment is to it.
    role: SegmentRole


async def add(connection: Connection, name: str, filter_: Mapping[str, Any]) -> Segment | None:
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


async def is_file(connection: Connection, segment_id: int) -> bool:
    """Whether a segment, which exists, stands for the people of a file."""
    return bool((await connection.execute(IS_FILE, {"id": segment_id})).scalar_one())


async def change(connection: Connection, segment_id: int, name: str, filter_: Mapping[str, Any]) -> bool:
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


async def sample(
    connection: Connection, named: Condition, limit: int, rules: Rules = audience.NO_RULES
) -> list[Sample]:
    """Return some of the contacts whom a condition names; where it names many not all are looked at for that."""
    given = {**rules.given, **named.given, "limit": limit}
    found = all_rows(await connection.execute(some_of(named.sql, MIDST, rules), given), Sample)
    if len(found) < limit:
        found = all_rows(await connection.execute(some_of(named.sql, rules=rules), given), Sample)
    return found


async def alone(connection: Connection) -> None:
    """Be the only one who says which segments are in which, until the transaction ends."""
    await connection.execute(ALONE)


async def keep(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Return which of some segments exist; they cannot be deleted until the transaction ends."""
    return set((await connection.execute(KEEP, {"ids": list(ids)})).scalars()) if ids else set()


async def imports(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Return which of some imports exist."""
    return set((await connection.execute(IMPORTS, {"ids": list(ids)})).scalars()) if ids else set()


async def naming(connection: Connection) -> dict[int, Filter]:
    """Return the filters of all segments that name others."""
    return {key: segments.read(filter_) for key, filter_ in (await connection.execute(NAMING)).tuples()}


async def within(connection: Connection, segment_id: int, limit: int) -> Sequence[Named]:
    """Return the segments that name one."""
    return all_rows(await connection.execute(WITHIN, {"id": segment_id, "limit": limit}), Named)


async def names(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return what some segments are called, by id."""
    return dict((await connection.execute(NAMES, {"ids": list(ids)})).tuples().all()) if ids else {}


async def attribute_names(connection: Connection) -> Sequence[str]:
    """Return the names of attributes that people have, as far as the newest of them tell."""
    return (await connection.execute(ATTRIBUTES, {"limit": MOST_NAMES})).scalars().all()
