"""The words that a file has for each person: kept with the import until they have gone out (`file_words`)."""

from collections.abc import Sequence

from sqlalchemy import text

from libs.common.database import Connection
from services.api.contacts.files.outcome import Person

#: Keeps the words of people who are members of the file. The same file again, after it was cut off, has the same.
KEEP = text("""
INSERT INTO contact_import_bodies AS w (import_id, contact_id, first_body, second_body)
SELECT :import_id, c.id, g.first, nullif(g.second, '')
FROM unnest(CAST(:numbers AS text[]), CAST(:firsts AS text[]), CAST(:seconds AS text[])) AS g (number, first, second)
JOIN contacts c ON c.phone_number = g.number
ON CONFLICT (import_id, contact_id) DO UPDATE SET first_body = excluded.first_body, second_body = excluded.second_body
""")
KEPT = text("UPDATE contact_imports SET has_bodies = true WHERE id = :import_id AND NOT has_bodies")


async def keep(connection: Connection, import_id: int, people: Sequence[Person]) -> None:
    """Keep the words of those of some people who have been merged for whom the file has some."""
    own = [person for person in people if person.message]
    if not own:
        return
    await connection.execute(
        KEEP,
        {
            "import_id": import_id,
            "numbers": [person.phone_number for person in own],
            "firsts": [person.message for person in own],
            "seconds": [person.follow_up for person in own],
        },
    )
    await connection.execute(KEPT, {"import_id": import_id})
