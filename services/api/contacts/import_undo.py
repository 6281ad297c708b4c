"""Taking an import back: what it added and changed, of everybody whom nothing else has touched since.

Somebody who was new is erased again, somebody who was here has the former name, tags and
attributes. A no that the file has told stays: whoever said it is not texted because a file was the wrong one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import post
from litestar.di import NamedDependency
from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, one_row
from libs.common.domain.cause import Cause
from libs.common.domain.events.registers import ImportUndone as Event
from libs.common.domain.import_states import ImportState
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.contacts import uploads
from services.api.context import Context
from services.api.http import transactions
from services.api.http.contract import tells
from services.api.http.errors import TooBusy
from services.api.http.fields import PathId
from services.api.schemas import ImportUndone

SLICE = 500  # people in one transaction

#: Those of whom something is to be taken back, a bounded number.
NEXT = text("SELECT contact_id FROM contact_import_changes WHERE import_id = :id ORDER BY contact_id LIMIT :limit")

#: Whether anything can be taken back; it is forgotten after a while (`operations/retention.py`).
ANY = text("SELECT EXISTS (SELECT FROM contact_import_changes WHERE import_id = :id)")

#: Keeps people as they are until the transaction ends, in the order in which imports lock them.
LOCK = text("""
SELECT count(*) FROM (SELECT FROM contacts WHERE id = ANY(:ids) ORDER BY phone_number, id FOR UPDATE) AS locked
""")

#: Somebody is as the import has left them.
_AS_LEFT = """
    x.import_id = :id AND x.contact_id = ANY(:ids) AND c.id = x.contact_id AND c.erased_at IS NULL
    AND c.name = x.name_after AND c.tags = x.tags_after AND c.attributes = x.attributes_after
    AND c.time_zone IS NOT DISTINCT FROM x.time_zone_after AND c.language IS NOT DISTINCT FROM x.language_after
"""

#: Takes back what was changed, erases those who were new and were never used, and forgets what was noted.
TAKE_BACK = text(f"""
WITH restored AS (
    UPDATE contacts c SET name = x.name_before, tags = x.tags_before, attributes = x.attributes_before,
        time_zone = x.time_zone_before, language = x.language_before
    FROM contact_import_changes x
    WHERE {_AS_LEFT} AND x.tags_before IS NOT NULL RETURNING c.id
), removed AS (
    UPDATE contacts c SET phone_number = NULL, name = '', tags = '{{}}', attributes = '{{}}', time_zone = NULL,
        language = NULL, erased_at = :now
    FROM contact_import_changes x
    WHERE {_AS_LEFT} AND x.tags_before IS NULL
      AND NOT EXISTS (SELECT FROM streams s WHERE s.stream = 'contact-' || c.id)
      AND NOT EXISTS (SELECT FROM outgoing_messages m WHERE m.recipient_phone_number = c.phone_number)
      AND NOT EXISTS (SELECT FROM single_messages i WHERE i.phone_number = c.phone_number)
      AND NOT EXISTS (SELECT FROM replies r WHERE r.phone_number = c.phone_number)
      AND NOT EXISTS (SELECT FROM consent_records k WHERE k.phone_number = c.phone_number)
      AND NOT EXISTS (SELECT FROM contact_import_members o WHERE o.contact_id = c.id AND o.import_id <> :id)
    RETURNING c.id
), forgotten AS (
    DELETE FROM contact_import_changes WHERE import_id = :id AND contact_id = ANY(:ids)
)
SELECT (SELECT count(*) FROM removed) AS removed, (SELECT count(*) FROM restored) AS restored
""")

#: The file has nobody any more: a segment of its people is empty.
EMPTY = text("DELETE FROM contact_import_members WHERE import_id = :id")
#: Nor has it words for anybody.
EMPTY_WORDS = text("DELETE FROM contact_import_bodies WHERE import_id = :id")

NOTE = text("""
UPDATE contact_imports SET removed = removed + :removed, restored = restored + :restored, kept = kept + :kept_now,
    moved_at = :now
WHERE id = :id
""")

#: Ends it; one caller alone does.
UNDONE = text(f"""
UPDATE contact_imports SET state = '{ImportState.UNDONE}', moved_at = :now
WHERE id = :id AND state = '{ImportState.DONE}' RETURNING id
""")


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How many of some people are as they were before."""

    removed: int
    restored: int


async def can_undo(connection: Connection, import_id: int) -> bool:
    """Whether something of an import can still be taken back."""
    return bool((await connection.execute(ANY, {"id": import_id})).scalar_one())


async def undo(api: Context, cause: Cause, import_id: int) -> ImportUndone:
    """Take an import back, slice by slice; what is cut off goes on with the next call. Raise NotFound, Conflict."""
    async with api.import_lane.place():
        async with database.transaction(api.imports) as connection:
            if (await uploads.one(connection, import_id)).state is not ImportState.DONE:
                raise Conflict(n_("the import has not come to its end, or was undone already"))
            if not await can_undo(connection, import_id):
                raise Conflict(n_("the import has changed nobody, or what it changed is not known any more"))

        async def one_slice(connection: Connection) -> int:
            return await _take_back(connection, import_id, api.clock())

        while await transactions.retrying(api.imports, cause, one_slice):
            pass

        async def end(connection: Connection) -> ImportUndone:
            ended = (await connection.execute(UNDONE, {"id": import_id, "now": api.clock()})).first()
            await connection.execute(EMPTY, {"id": import_id})
            await connection.execute(EMPTY_WORDS, {"id": import_id})
            whole = await uploads.one(connection, import_id)
            counts: dict[str, Any] = {"removed": whole.removed, "restored": whole.restored, "kept": whole.kept}
            if ended is not None:
                await store.append(connection, "contacts", [Event(import_id=import_id, **counts)], now=api.clock())
            return ImportUndone(import_id=import_id, **counts)

        return await transactions.retrying(api.imports, cause, end)


async def _take_back(connection: Connection, import_id: int, now: datetime) -> int:
    """Take back some; return how many were looked at."""
    found: Sequence[int] = (await connection.execute(NEXT, {"id": import_id, "limit": SLICE})).scalars().all()
    if not found:
        return 0
    given = {"id": import_id, "ids": list(found), "now": now}
    await connection.execute(LOCK, {"ids": list(found)})
    done = one_row(await connection.execute(TAKE_BACK, given), TakenBack)
    kept = len(found) - done.removed - done.restored
    await connection.execute(
        NOTE, {"id": import_id, "now": now, "removed": done.removed, "restored": done.restored, "kept_now": kept}
    )
    return len(found)


@post("/contacts/imports/{import_id:int}/undo", opt=tells(Conflict, TooBusy), status_code=200)
async def undo_import(api: NamedDependency[Context], cause: NamedDependency[Cause], import_id: PathId) -> ImportUndone:
    """Take back what an import has added and changed, of all whom nothing else has touched since.

    Who was new is erased again; who was here has the former name, tags and attributes. An opt-out that the file told
    stays.
    """
    return await undo(api, cause, import_id)


HANDLERS = (undo_import,)
