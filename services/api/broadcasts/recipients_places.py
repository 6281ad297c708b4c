"""Where those are who will get a broadcast, as far as that is known."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from sqlalchemy import TextClause, text

from libs.common import database
from libs.common.broadcasts import audience, places, selection
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.selection import Selection
from libs.common.database import Connection


@lru_cache(maxsize=audience.SHAPES)
def _of(named: tuple[str, ...], rules: Rules) -> TextClause:
    """Return the statement that counts those whom any of some conditions names, and who may be drawn, by place."""
    anybody = " OR ".join(f"({each})" for each in named)
    return text(f"""
SELECT {places.OF_CONTACT} AS place, count(*) AS people FROM contacts c {rules.join}
WHERE {audience.member(anybody, rules)} GROUP BY 1
""")


async def read(connection: Connection, wished: Selection, people: int, now: datetime) -> dict[str, int]:
    """Return how many of so many people are likely to be drawn at each place. Raise NotFound for an unknown segment."""
    asked = await selection.conditions(connection, wished, now)
    given = {**asked.rules.given, **places.known()}
    for each in asked.named:
        given |= each.given
    await database.plan_anew(connection)
    cursor = await connection.execute(_of(tuple(each.sql for each in asked.named), asked.rules), given)
    return shared_out(dict(cursor.tuples().all()), people)


def shared_out(members: Mapping[str, int], people: int) -> dict[str, int]:
    """Return so many people, at most all, in the proportions of the members; the largest remainders are rounded up."""
    total = sum(members.values())
    if people >= total:
        return dict(members)
    found = {place: count * people // total for place, count in members.items()}
    by_rest = sorted(members, key=lambda place: (-(members[place] * people % total), place))
    for place in by_rest[: people - sum(found.values())]:
        found[place] += 1
    return found
