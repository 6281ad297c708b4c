"""What is left to do before the first broadcast, for an organisation that begins."""

from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database import Connection, one_row

FOUND = text("""
SELECT EXISTS (SELECT FROM contacts) AS has_people, EXISTS (SELECT FROM audience_segments) AS has_groups,
       EXISTS (SELECT FROM broadcasts) AS has_broadcasts
""")


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What is there already."""

    has_people: bool
    has_groups: bool
    has_broadcasts: bool


async def read(connection: Connection) -> FirstSteps | None:
    """Return how far an organisation came; None once it has a broadcast."""
    found = one_row(await connection.execute(FOUND), FirstSteps)
    return None if found.has_broadcasts else found
