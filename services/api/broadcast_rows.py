"""Broadcasts as staff see them, read from the tables."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from libs.common.database import Connection
from libs.common.errors import NotFound
from services.api.schemas import Broadcast, BroadcastSegment

_SELECT = """
SELECT b.id, b.state, b.run_at, b.first_message, b.second_message, b.second_delay, b.max_recipients,
       n.phone_number AS from_number, b.recurring, b.recipients, b.made_at, b.second_due_at, b.next_broadcast_id,
       b.previous_id, b.paused_from, b.pause_reason, b.missed_reason, b.completed_at,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object('segment_id', s.segment_id, 'name', a.name, 'ratio', s.ratio,
                                               'quota', s.quota, 'drawn', s.drawn) ORDER BY s.position)
           FROM broadcasts_segments s JOIN audience_segments a ON a.id = s.segment_id
           WHERE s.broadcast_id = b.id), '[]') AS segments
FROM broadcasts b JOIN sending_numbers n ON n.id = b.sending_number_id
"""

#: One broadcast.
ONE = f"{_SELECT} WHERE b.id = %(id)s"

#: A page of broadcasts, the newest first.
PAGE = f"""
{_SELECT}
WHERE (%(state)s::text IS NULL OR b.state = %(state)s) AND b.id < %(before)s ORDER BY b.id DESC LIMIT %(limit)s
"""

#: Tells whether there is such a broadcast.
EXISTS = "SELECT FROM broadcasts WHERE id = %(id)s"


async def one(connection: Connection, broadcast_id: int, zone: ZoneInfo) -> Broadcast:
    """Give a broadcast. Raises NotFound."""
    row = await (await connection.execute(ONE, {"id": broadcast_id})).fetchone()
    if row is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")
    return _broadcast(row, zone)


async def page(
    connection: Connection, zone: ZoneInfo, *, state: str | None, before: int, limit: int
) -> list[Broadcast]:
    """Give the newest broadcasts with an id below `before`."""
    cursor = await connection.execute(PAGE, {"state": state, "before": before, "limit": limit})
    return [_broadcast(row, zone) for row in await cursor.fetchall()]


async def check_exists(connection: Connection, broadcast_id: int) -> None:
    """Raise NotFound if there is no such broadcast."""
    if await (await connection.execute(EXISTS, {"id": broadcast_id})).fetchone() is None:
        raise NotFound(f"there is no broadcast {broadcast_id}")


def _broadcast(row: dict[str, Any], zone: ZoneInfo) -> Broadcast:
    segments = msgspec.convert(row.pop("segments"), list[BroadcastSegment])
    return Broadcast(**row, run_at_local=row["run_at"].astimezone(zone), segments=segments)
