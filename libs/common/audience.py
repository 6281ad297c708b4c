"""Who is in a segment: a filter over tags, as data.

A filter is `{"any": [...], "all": [...], "none": [...]}`: a contact matches if it has at least one tag of `any` (or
`any` is empty), every tag of `all`, and no tag of `none`. Values are parameters, never SQL. People who have opted out
or were erased are in no segment, whatever its filter says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.database import Connection
from libs.common.errors import NotFound

#: What makes a contact `c` a member; parameters `any`, `all`, `none`.
MEMBER = """
    (%(any)s::text[] = '{}' OR c.tags && %(any)s::text[]) AND c.tags @> %(all)s::text[]
    AND NOT c.tags && %(none)s::text[] AND c.erased_at IS NULL
    AND NOT EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = c.phone_number)
"""

#: How many contacts match.
COUNT = f"SELECT count(*) AS members FROM contacts c WHERE {MEMBER}"

#: The filters of some segments.
FILTERS = "SELECT id, filter FROM audience_segments WHERE id = ANY(%(ids)s)"


def parameters(filter_: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Give the parameters of `MEMBER` for a filter."""
    return {part: list(filter_.get(part, ())) for part in ("any", "all", "none")}


async def filters(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, list[str]]]:
    """Give the filters of segments by id. Raises NotFound if one does not exist."""
    cursor = await connection.execute(FILTERS, {"ids": list(ids)})
    found = {row["id"]: row["filter"] for row in await cursor.fetchall()}
    for segment_id in ids:
        if segment_id not in found:
            raise NotFound(f"there is no segment {segment_id}")
    return found


async def count(connection: Connection, filter_: Mapping[str, Sequence[str]]) -> int:
    """Give how many contacts match a filter and may be texted."""
    cursor = await connection.execute(COUNT, parameters(filter_))
    row = await cursor.fetchone()
    assert row is not None
    return int(row["members"])
