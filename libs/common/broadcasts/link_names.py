"""What `{{ broadcast }}` and `{{ segment }}` stand for in the messages of a broadcast: names for its links.

A statement that renders them has the id of somebody's segment as `g.segment_id`, and the parameters of `parameters`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common.database import Connection
from libs.common.domain import slugs, templates
from libs.common.domain.slugs import Slugs
from libs.common.domain.templates import Template

#: The two variables as expressions.
VALUES: Mapping[str, str] = {
    templates.BROADCAST: "CAST(:slug_of_broadcast AS text)",
    templates.SEGMENT: "(CAST(:slugs_of_segments AS jsonb) ->> CAST(g.segment_id AS text))",
}
#: What stands there in a test: no figure of a real broadcast is to count it.
TEST = Slugs("test", {0: "test"})

NAMES = text("SELECT id, name FROM audience_segments WHERE id = ANY(CAST(:ids AS bigint[]))")

#: The number that the next broadcast is likely to have.
NEXT = text("SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END FROM broadcast_ids")


def parameters(given: Slugs) -> dict[str, Any]:
    """Return what the expressions are filled with."""
    return {"slug_of_broadcast": given.broadcast, "slugs_of_segments": json.dumps(given.segments)}


def has_segment(template: Template) -> bool:
    """Whether a message names the segment, so that it is not the same for people of two segments."""
    return any(variable.name == templates.SEGMENT for variable in template.variables)


async def read(
    connection: Connection, broadcast_id: int | None, run_at: datetime, segments: Sequence[int], zone: ZoneInfo
) -> Slugs:
    """Return what stands for a broadcast, and for those of its segments that there are.

    One that is not saved yet has the number that the next one is likely to have.
    """
    names = dict((await connection.execute(NAMES, {"ids": list(segments)})).tuples().all())
    number = broadcast_id or int((await connection.execute(NEXT)).scalar_one())
    return Slugs(slugs.of_broadcast(number, run_at, zone), slugs.of_segments(names))
