"""All broadcasts in the order in which a newsroom looks for them: what runs, what is to come, drafts, what is past.

What runs and what is to come is in the order of its time; drafts and what is past begin with the latest. A page ends
at a place in that one order, whatever stands before it by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from zoneinfo import ZoneInfo

from sqlalchemy import text

from libs.common.broadcasts.drafts import is_draft
from libs.common.database import Connection, all_rows, literals
from libs.common.domain.states import SENDING, BroadcastState
from services.api.broadcasts import queries
from services.api.schemas import Broadcast


class Part(IntEnum):
    """A part of the list, in its order."""

    RUNNING = 0
    AHEAD = 1
    DRAFTS = 2
    PAST = 3


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a broadcast stands in the list."""

    part: int
    #: Its time in microseconds, negative where the latest comes first; so is the id.
    at: int
    id: int

    def __str__(self) -> str:
        """As a cursor."""
        return f"{self.part}.{self.at}.{self.id}"


#: Before all.
START = Place(-1, 0, 0)

#: The places of a page of broadcasts behind a place.
PLACES = text(f"""
WITH parts AS (
    SELECT b.id, coalesce(b.made_at, b.run_at) AS began_at,
        CASE WHEN b.state IN {literals((*SENDING, BroadcastState.PAUSED))} THEN {Part.RUNNING.value}
             WHEN b.state <> '{BroadcastState.SCHEDULED}' THEN {Part.PAST.value}
             WHEN {is_draft("b")} THEN {Part.DRAFTS.value} ELSE {Part.AHEAD.value} END AS part
    FROM broadcasts b
), places AS (
    SELECT part, sign * CAST(extract(epoch FROM began_at) * 1000000 AS bigint) AS at, sign * id AS id
    FROM parts, LATERAL (SELECT CASE WHEN part < {Part.DRAFTS.value} THEN 1 ELSE -1 END AS sign) AS signs
)
SELECT part, at, id FROM places
WHERE (part, at, id) > (CAST(:part AS integer), CAST(:at AS bigint), CAST(:id AS bigint))
ORDER BY part, at, id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Listed:
    """A broadcast in its place."""

    place: Place
    broadcast: Broadcast

    @property
    def part(self) -> str:
        """The name of its part of the list."""
        return Part(self.place.part).name.lower()


async def page(connection: Connection, zone: ZoneInfo, *, after: Place, limit: int) -> Sequence[Listed]:
    """Return the broadcasts behind a place, as the list has them."""
    wanted = {"part": after.part, "at": after.at, "id": after.id, "limit": limit}
    places = all_rows(await connection.execute(PLACES, wanted), Place)
    found = await queries.of_ids(connection, [abs(place.id) for place in places], zone)
    return [Listed(place, found[abs(place.id)]) for place in places if abs(place.id) in found]


def place(cursor: str | None) -> Place:
    """Read a cursor, which is of the form of `fields.PLACE_PATTERN`."""
    if cursor is None:
        return START
    part, at, number = map(int, cursor.split("."))
    return Place(part, at, number)
