"""Who is in a segment: a filter over tags, as data.

A filter is `{"any": [...], "all": [...], "none": [...]}`: a contact matches if it has at least one tag of `any` (or
`any` is empty), every tag of `all`, and no tag of `none`. Values are parameters, never SQL. People who have opted out,
were erased, are held back until a person has decided (`suppression`), or whose numbers take no messages
(`unreachable`), are in no segment, whatever its filter says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import TextualSelect, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.broadcasts.suppression import held, opted_out
from libs.common.broadcasts.unreachable import unreachable
from libs.common.database import Connection, EnumText, all_rows
from libs.common.domain.states import SkipReason
from libs.common.errors import NotFound


class LeftOut(StrEnum):
    """Why somebody whom a filter names gets no text. Of several reasons the first counts."""

    OPTED_OUT = SkipReason.OPTED_OUT.value
    #: They may have said no, and no person has looked yet.
    HELD = "held"
    UNREACHABLE = "unreachable"


def tagged(number: str = "") -> str:
    """Return the condition that a filter names a contact `c`; parameters `any`, `all`, `none` with a number behind."""
    return f"""
    (CAST(:any{number} AS text[]) = '{{}}' OR c.tags && CAST(:any{number} AS text[]))
    AND c.tags @> CAST(:all{number} AS text[]) AND NOT c.tags && CAST(:none{number} AS text[]) AND c.erased_at IS NULL
"""


#: What makes a contact `c` one whom a filter names; parameters `any`, `all`, `none`.
TAGGED = tagged()

#: What makes a contact `c` a member.
MEMBER = f"""
    {TAGGED}
    AND NOT {opted_out("c.phone_number")}
    AND NOT {held("c.phone_number")} AND NOT {unreachable("c.phone_number")}
"""

#: Why a contact `c` is none, whatever its tags; null where nothing speaks against it.
LEFT_OUT = f"""
    CASE WHEN {opted_out("c.phone_number")} THEN '{LeftOut.OPTED_OUT}'
         WHEN {held("c.phone_number")} THEN '{LeftOut.HELD}'
         WHEN {unreachable("c.phone_number")} THEN '{LeftOut.UNREACHABLE}' END
"""

#: How many contacts match.
COUNT = text(f"SELECT count(*) AS members FROM contacts c WHERE {MEMBER}")

#: The filters of some segments.
FILTERS = text("SELECT id, filter FROM audience_segments WHERE id = ANY(:ids)").columns(filter=JSONB)


def parameters(filter_: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the parameters of `MEMBER` for a filter."""
    return {part: list(filter_.get(part, ())) for part in ("any", "all", "none")}


async def filters(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, list[str]]]:
    """Return the filters of segments by id. Raise NotFound if one does not exist."""
    cursor = await connection.execute(FILTERS, {"ids": list(ids)})
    found: dict[int, dict[str, list[str]]] = dict(cursor.tuples().all())
    for segment_id in ids:
        if segment_id not in found:
            raise NotFound(f"there is no segment {segment_id}")
    return found


async def count(connection: Connection, filter_: Mapping[str, Sequence[str]]) -> int:
    """Return how many contacts match a filter and may be texted."""
    return int((await connection.execute(COUNT, parameters(filter_))).scalar_one())


@dataclass(frozen=True, slots=True)
class Part:
    """Those whom the same ones of some filters name, and who get texts, or none for the same reason."""

    #: For each filter, whether it names them.
    named: Sequence[bool]
    left_out: LeftOut | None
    people: int


async def parts(connection: Connection, filters: Sequence[Mapping[str, Sequence[str]]]) -> list[Part]:
    """Return everybody whom at least one of some filters names, in parts: what overlaps, and who is left out."""
    if not filters:
        return []
    given = {
        f"{name}{number}": value
        for number, filter_ in enumerate(filters)
        for name, value in parameters(filter_).items()
    }
    return all_rows(await connection.execute(_parts_of(len(filters)), given), Part)


@cache
def _parts_of(filters: int) -> TextualSelect:
    """Return the statement for so many filters: one pass over the contacts, however many there are."""
    conditions = [f"({tagged(str(number))})" for number in range(filters)]
    return text(f"""
SELECT ARRAY[{", ".join(conditions)}] AS named, {LEFT_OUT} AS left_out, count(*) AS people
FROM contacts c WHERE {" OR ".join(conditions)} GROUP BY 1, 2
""").columns(left_out=EnumText(LeftOut))
