"""Where the recipients of a broadcast are, and which of its messages may leave there now (`domain/quiet_hours.py`).

Each message has its recipient's place since the draw. Whether a place may be texted is worked out when it is asked: a
broadcast has a few hundred of them at the most, however many people. So a change of the rules holds at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection
from libs.common.domain import number_places, quiet_hours
from libs.common.domain.quiet_hours import Outlook, Rules, Standing
from libs.common.domain.states import Late, MessageState

#: The place that the number of a contact `c` tells; empty where it tells none. `:number_places` are those of `known`.
_OF_NUMBER = f"""coalesce({
    ", ".join(
        f"CAST(:number_places AS jsonb) ->> left(c.phone_number, {end})" for end in range(number_places.LONGEST, 1, -1)
    )
}, '')"""
#: Where a contact `c` is: in the zone that is known of them, else in all of their number's; in the number's region.
OF_CONTACT = f"""CASE WHEN c.time_zone IS NULL THEN {_OF_NUMBER}
    ELSE rtrim(c.time_zone || ' ' || split_part({_OF_NUMBER}, ' ', 2)) END"""

#: The highest `pool_index` that a message can have.
HIGHEST = 2**15 - 1

#: To which places messages of a phase are pending, of the numbers from `:lowest` to `:highest`: each is found behind
#: the one before it, however many there are.
PENDING = text(f"""
WITH RECURSIVE found AS (
    (SELECT m.pool_index, m.place FROM outgoing_messages m
     WHERE (m.broadcast_id, m.is_second, m.pool_index) >= (:broadcast_id, :is_second, :lowest)
       AND (m.broadcast_id, m.is_second, m.pool_index) <= (:broadcast_id, :is_second, :highest)
       AND m.state = '{MessageState.PENDING}'
     ORDER BY m.broadcast_id, m.is_second, m.pool_index, m.place LIMIT 1)
    UNION ALL
    SELECT after.pool_index, after.place FROM found CROSS JOIN LATERAL (
        SELECT m.pool_index, m.place FROM outgoing_messages m
        WHERE (m.broadcast_id, m.is_second, m.pool_index, m.place)
              > (:broadcast_id, :is_second, found.pool_index, found.place)
          AND (m.broadcast_id, m.is_second, m.pool_index) <= (:broadcast_id, :is_second, :highest)
          AND m.state = '{MessageState.PENDING}'
        ORDER BY m.broadcast_id, m.is_second, m.pool_index, m.place LIMIT 1) AS after
)
SELECT DISTINCT place FROM found ORDER BY place
""")

#: To which places a batch holds messages.
OF_BATCH = text(f"""
SELECT DISTINCT place FROM outgoing_messages WHERE claimed_by = :batch_id AND state = '{MessageState.CLAIMED}'
""")


@dataclass(frozen=True, slots=True)
class Outlooks:
    """How the messages of a phase stand that are pending, by place."""

    by_place: dict[str, Outlook]

    @property
    def open(self) -> list[str]:
        """Where messages may leave now, first where that ends first."""
        found = [(each.window.closes, place) for place, each in self.by_place.items() if each.standing is Standing.OPEN]
        return [place for _, place in sorted(found)]

    @property
    def opens_at(self) -> datetime | None:
        """When the first place opens where messages wait; None where none does."""
        waits = (each.window.opens for each in self.by_place.values() if each.standing is Standing.WAITS)
        return min(waits, default=None)

    @property
    def all_quiet_until(self) -> datetime | None:
        """When the first place opens where nothing may leave to any; None where something may."""
        if self.open:
            return None
        return min((each.window.opens for each in self.by_place.values()), default=None)

    def of(self, standing: Standing) -> list[str]:
        """Return the places that stand so."""
        return sorted(place for place, each in self.by_place.items() if each.standing is standing)


def known() -> dict[str, str]:
    """Return the parameter of `OF_CONTACT`."""
    return {"number_places": number_places.as_json()}


async def outlooks(
    connection: Connection,
    broadcast_id: int,
    rules: Rules,
    now: datetime,
    *,
    is_second: bool,
    made_at: datetime,
    late: Late,
    pool_index: int | None = None,
) -> Outlooks:
    """Return how the messages of a phase stand that are pending: those of one of the broadcast's numbers, or of all."""
    found = await pending(connection, broadcast_id, is_second=is_second, pool_index=pool_index)
    return of_places(found, rules, now, made_at=made_at, late=late)


async def pending(
    connection: Connection, broadcast_id: int, *, is_second: bool, pool_index: int | None = None
) -> list[str]:
    """Return to which places messages of a phase are pending: those of one of the broadcast's numbers, or of all."""
    lowest, highest = (0, HIGHEST) if pool_index is None else (pool_index, pool_index)
    which = {"broadcast_id": broadcast_id, "is_second": is_second, "lowest": lowest, "highest": highest}
    return list((await connection.execute(PENDING, which)).scalars())


def of_places(places: Sequence[str], rules: Rules, now: datetime, *, made_at: datetime, late: Late) -> Outlooks:
    """Return how messages to some places stand."""
    return Outlooks(
        {
            place: quiet_hours.outlook(quiet_hours.parse(place), rules, now, made_at=made_at, late=late)
            for place in places
        }
    )
