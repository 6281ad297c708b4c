"""A broadcast to the people of a file: of an import that is done. A segment stands for them, which is in no list.

So they are drawn, counted, previewed and reported as everybody is: who opted out is left out of a file as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common.database import Connection, EnumText, all_rows, first_row
from libs.common.domain.import_states import ImportState
from libs.common.texts import gettext_noop as n_

LISTED = 50  # files that are offered

_COLUMNS = """
i.id, i.state, i.file_name, i.moved_at, i.has_bodies,
coalesce(CAST(i.summary ->> 'has_messages' AS boolean), false) AS has_messages,
coalesce(CAST(i.summary ->> 'has_follow_ups' AS boolean), false) AS has_follow_ups,
(SELECT count(*) FROM contact_import_members m WHERE m.import_id = i.id) AS people,
(SELECT a.id FROM audience_segments a WHERE a.import_id = i.id) AS segment_id
"""

#: One file.
ONE = text(f"SELECT {_COLUMNS} FROM contact_imports i WHERE i.id = :id").columns(state=EnumText(ImportState))

#: The newest files that a broadcast may go to, and one that is chosen.
OFFERED = text(f"""
SELECT {_COLUMNS} FROM contact_imports i
WHERE (i.state = '{ImportState.DONE}'
       AND (i.has_bodies OR NOT coalesce(CAST(i.summary ->> 'has_messages' AS boolean), false)))
   OR i.id = :chosen
ORDER BY i.id DESC LIMIT {LISTED}
""").columns(state=EnumText(ImportState))

#: Whether one of some segments stands for a file.
IS_ONE = text("SELECT EXISTS (SELECT FROM audience_segments WHERE id = ANY(:ids) AND import_id IS NOT NULL)")


@dataclass(frozen=True, slots=True)
class File:
    """A file of people that was imported."""

    id: int
    state: ImportState
    file_name: str
    moved_at: datetime
    #: The words for each person are there.
    has_bodies: bool
    #: It had words for each person, and for the follow-up.
    has_messages: bool
    has_follow_ups: bool
    #: Contacts who were in it, whether they may be texted or not.
    people: int
    #: What stands for them; null as long as they are being imported.
    segment_id: int | None

    @property
    def name(self) -> str:
        """What it is called; its number where nobody has said."""
        return self.file_name or f"{self.id}"

    @property
    def fault(self) -> str:
        """Why no broadcast can go to it; empty where one can."""
        if self.state is not ImportState.DONE or self.segment_id is None:
            return n_("is not imported, or its import was taken back")
        if self.has_messages and not self.has_bodies:
            return n_("its messages have gone out, or waited for too long, and are not kept any more: upload it again")
        return "" if self.people else n_("nobody of it is here any more")


async def find(connection: Connection, import_id: int) -> File | None:
    """Return a file; None where there is no such import."""
    return first_row(await connection.execute(ONE, {"id": import_id}), File)


async def offered(connection: Connection, chosen: int | None) -> list[File]:
    """Return the newest files that a broadcast may go to, and the one that is chosen."""
    return all_rows(await connection.execute(OFFERED, {"chosen": chosen}), File)


async def checked(connection: Connection, import_id: int) -> File:
    """Return a file that was found to be one to which a broadcast can go."""
    file = await find(connection, import_id)
    assert file is not None, "it was checked in this transaction"
    return file


async def is_one(connection: Connection, segment_ids: Sequence[int]) -> bool:
    """Whether one of some segments stands for a file."""
    return bool((await connection.execute(IS_ONE, {"ids": list(segment_ids)})).scalar_one())
