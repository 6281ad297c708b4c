"""Who is in a segment: whom its filter takes in (`domain/segments.py`), and who may be texted.

The draw, the count, the sample and what overlaps are the same condition (`MEMBER`), so that the count that is shown is
the count that is drawn. People who have opted out, were erased, are held back until a person has decided
(`suppression`), or whose numbers take no messages (`unreachable`), are in no segment, whatever its filter says. A
broadcast may pass over others as well (`Rules`).

A statement is made once for filters of one shape (`segment_sql`), and kept: making one costs more than it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import TextClause, TextualSelect, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.broadcasts import segment_sql
from libs.common.broadcasts.segment_sql import Condition
from libs.common.broadcasts.suppression import held, opted_out
from libs.common.broadcasts.unreachable import unreachable
from libs.common.database import Connection, EnumText, all_rows
from libs.common.domain import segments
from libs.common.domain.segments import Filter
from libs.common.domain.states import LeftOut
from libs.common.errors import NotFound
from libs.common.texts import gettext_noop as n_

SHAPES = 256  # of which statements are kept, the latest ones


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom a broadcast passes over of those who may be texted: conditions on a contact `c`."""

    #: What stands behind `contacts c`.
    join: str = ""
    excluded: str = "false"
    capped: str = "false"
    given: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


NO_RULES = Rules()


def member(named: str, rules: Rules = NO_RULES) -> str:
    """Return the condition that a contact `c` is one whom a filter names (a condition), and may be texted."""
    return f"""
    ({named}) AND c.erased_at IS NULL
    AND NOT {opted_out("c.phone_number")}
    AND NOT {held("c.phone_number")} AND NOT {unreachable("c.phone_number")}
    AND NOT ({rules.excluded}) AND NOT ({rules.capped})
"""


def left_out(rules: Rules = NO_RULES) -> str:
    """Return the expression for why a contact `c` is none, whatever its tags; null where nothing speaks against it."""
    return f"""
    CASE WHEN {opted_out("c.phone_number")} THEN '{LeftOut.OPTED_OUT}'
         WHEN {held("c.phone_number")} THEN '{LeftOut.HELD}'
         WHEN {unreachable("c.phone_number")} THEN '{LeftOut.UNREACHABLE}'
         WHEN {rules.excluded} THEN '{LeftOut.EXCLUDED}'
         WHEN {rules.capped} THEN '{LeftOut.CAPPED}' END
"""


#: The filters of some segments.
FILTERS = text("SELECT id, filter FROM audience_segments WHERE id = ANY(:ids)").columns(filter=JSONB)


@lru_cache(maxsize=SHAPES)
def count_of(named: str) -> TextClause:
    """Return the statement that counts whom a condition names and who may be texted."""
    return text(f"SELECT count(*) AS members FROM contacts c WHERE {member(named)}")


async def filters(connection: Connection, ids: Sequence[int]) -> dict[int, Filter]:
    """Return the filters of segments by id, with the segments that they name in their places. Raise NotFound."""
    own = await read(connection, ids)
    for segment_id in ids:
        if segment_id not in own:
            raise NotFound(f"there is no segment {segment_id}")
    others = await with_named(connection, own)
    return {segment_id: segments.resolve(others[segment_id], others, segment_id) for segment_id in ids}


async def resolved(connection: Connection, filter_: Filter) -> Filter:
    """Return a filter with the segments that it names in their places.

    Raise InvalidFilter where there is no such segment, or too much in it.
    """
    named = segments.segments_of(filter_)
    own = await read(connection, list(named))
    for segment_id, pointer in named.items():
        if segment_id not in own:
            raise segments.InvalidFilter((pointer, n_("there is no such segment")))
    return segments.resolve(filter_, await with_named(connection, own))


async def read(connection: Connection, ids: Sequence[int]) -> dict[int, Filter]:
    """Return the filters of those of some segments that exist, as they are kept."""
    if not ids:
        return {}
    cursor = await connection.execute(FILTERS, {"ids": list(ids)})
    return {segment_id: segments.read(filter_) for segment_id, filter_ in cursor.tuples()}


async def with_named(connection: Connection, found: Mapping[int, Filter]) -> dict[int, Filter]:
    """Return some filters, and all of the segments that they name, and of those that these name."""
    known = dict(found)
    while missing := {each for filter_ in known.values() for each in segments.segments_of(filter_)} - known.keys():
        known |= await read(connection, list(missing))
    return known


def conditions(filters: Sequence[Filter], now: datetime) -> list[Condition]:
    """Return the conditions of some filters, whose parameters are apart, so that they may be in one statement."""
    return [segment_sql.condition(filter_, now, number) for number, filter_ in enumerate(filters)]


async def count(connection: Connection, named: Condition) -> int:
    """Return how many contacts a condition names who may be texted."""
    await database.plan_anew(connection)
    return int((await connection.execute(count_of(named.sql), named.given)).scalar_one())


@dataclass(frozen=True, slots=True)
class Part:
    """Those whom the same ones of some filters name, and who get texts, or none for the same reason."""

    #: For each filter, whether it names them.
    named: Sequence[bool]
    left_out: LeftOut | None
    people: int


async def parts(connection: Connection, named: Sequence[Condition], rules: Rules = NO_RULES) -> list[Part]:
    """Return everybody whom at least one of some conditions names, in parts: what overlaps, and who is left out."""
    if not named:
        return []
    given = dict(rules.given)
    for each in named:
        given |= each.given
    await database.plan_anew(connection)
    return all_rows(await connection.execute(_parts_of(tuple(each.sql for each in named), rules), given), Part)


@lru_cache(maxsize=SHAPES)
def _parts_of(named: tuple[str, ...], rules: Rules) -> TextualSelect:
    """Return the statement for some conditions: one pass over the contacts, however many there are."""
    each_of = [f"({each})" for each in named]
    return text(f"""
SELECT ARRAY[{", ".join(each_of)}] AS named, {left_out(rules)} AS left_out, count(*) AS people
FROM contacts c {rules.join} WHERE c.erased_at IS NULL AND ({" OR ".join(each_of)}) GROUP BY 1, 2
""").columns(left_out=EnumText(LeftOut))
