"""The imports, the newest first: how far one is, and by which id it is undone."""

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from libs.common import database
from libs.common.domain.import_states import ImportState
from services.api.contacts import uploads
from services.api.contacts.uploads import Upload
from services.api.context import Context
from services.api.http import pagination
from services.api.http.fields import BIGGEST, PAGE, Cursor, Limit, Moment
from services.api.schemas import Page


class Import(Struct, kw_only=True):
    """An import, and how far it came."""

    id: int
    state: ImportState
    #: Empty where it was not told.
    file_name: str
    actor: str
    created_at: Moment
    #: When something was done last.
    moved_at: Moment
    #: Distinct numbers in the file; null before it was read.
    people: int | None
    #: Numbers that were gone through, and what became of them.
    done: int
    imported: int
    updated: int
    opted_out: int
    #: People of whom that was undone, and those who are as they were left.
    removed: int
    restored: int
    kept: int
    #: It has words for each person, which are kept until they have gone out.
    has_messages: bool
    has_follow_ups: bool


@get("/contacts/imports")
async def index(api: NamedDependency[Context], limit: Limit = PAGE, cursor: Cursor = None) -> Page[Import]:
    """List the imports, the newest first, with how far they came. Their ids are what an undo asks for."""
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await uploads.page(connection, before, limit + 1)
    return pagination.cut([_import(each) for each in found], limit, lambda each: str(each.id))


def _import(found: Upload) -> Import:
    return Import(
        id=found.id,
        state=found.state,
        file_name=found.file_name,
        actor=found.actor,
        created_at=found.created_at,
        moved_at=found.moved_at,
        people=None if found.summary is None else found.summary["people"],
        done=found.done,
        imported=found.imported,
        updated=found.updated,
        opted_out=found.opted_out,
        removed=found.removed,
        restored=found.restored,
        kept=found.kept,
        has_messages=found.has_bodies,
        has_follow_ups=found.has_bodies and bool((found.summary or {}).get("has_follow_ups")),
    )


HANDLERS = (index,)
