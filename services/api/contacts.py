"""Contacts one by one: looking them up, changing them, erasing them."""

from typing import Any

from litestar import delete, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from libs.common import consent
from libs.common.database import Connection
from libs.common.errors import Conflict, Invalid, NotFound
from libs.common.settings import e164
from services.api import pages, transactions
from services.api.context import Context
from services.api.fields import PAGE, Cursor, Limit, PathId, QueryTag, QueryText
from services.api.schemas import Contact, ContactChanges, Page

_SELECT = """
SELECT c.id, c.phone_number, c.name, c.tags, c.created_at, c.erased_at,
       EXISTS (SELECT FROM opt_outs o WHERE o.phone_number = c.phone_number) AS opted_out
FROM contacts c
"""

#: One contact.
ONE = f"{_SELECT} WHERE c.id = %(id)s"

#: A page of contacts that were not erased.
LIST = f"""
{_SELECT}
WHERE c.id > %(after)s AND c.erased_at IS NULL
  AND (%(phone_number)s::text IS NULL OR c.phone_number = %(phone_number)s)
  AND (%(tag)s::text IS NULL OR c.tags @> ARRAY[%(tag)s::text])
ORDER BY c.id LIMIT %(limit)s
"""

#: Changes what is not null here.
CHANGE = """
UPDATE contacts SET name = coalesce(%(name)s::text, name), tags = coalesce(%(tags)s::text[], tags) WHERE id = %(id)s
"""

#: Locks a contact against every other use, a draw that is under way included.
LOCK = "SELECT phone_number FROM contacts WHERE id = %(id)s FOR UPDATE"

#: Erasing, step by step. A text that may still be settled keeps its number until a later call.
FORGET_CONTACT = """
UPDATE contacts SET phone_number = NULL, name = '', tags = '{}', erased_at = %(now)s
WHERE id = %(id)s AND erased_at IS NULL
"""
FORGET_TEXTS = """
UPDATE outgoing_messages SET recipient_phone_number = NULL
WHERE contact_id = %(id)s AND recipient_phone_number IS NOT NULL AND state IN ('accepted', 'refused', 'skipped')
"""
FORGET_REPLIES = """
UPDATE replies SET phone_number = NULL, body = ''
WHERE contact_id = %(id)s OR phone_number = %(phone_number)s
"""


@get("/contacts")
async def index(
    api: NamedDependency[Context],
    phone_number: QueryText = None,
    tag: QueryTag = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Contact]:
    """List contacts, by number or tag if asked."""
    after = pages.number(cursor, 0)
    if phone_number is not None:
        try:
            phone_number = e164(phone_number)
        except ValueError as error:
            raise Invalid("phone_number", str(error)) from error
    parameters = {"after": after, "phone_number": phone_number, "tag": tag, "limit": limit + 1}
    async with api.pool.connection() as connection:
        rows = await (await connection.execute(LIST, parameters)).fetchall()
    return pages.cut([Contact(**row) for row in rows], limit, lambda contact: str(contact.id))


@get("/contacts/{contact_id:int}")
async def show(api: NamedDependency[Context], contact_id: PathId) -> Contact:
    """Give one contact."""
    async with api.pool.connection() as connection:
        return await _one(connection, contact_id)


@patch("/contacts/{contact_id:int}")
async def change(api: NamedDependency[Context], contact_id: PathId, data: JSONBody[ContactChanges]) -> Contact:
    """Change name or tags, or opt somebody out or in again."""

    async def work(connection: Connection) -> Contact:
        now = api.clock()
        contact = await _one(connection, contact_id)
        if contact.phone_number is None:
            raise Conflict("an erased contact cannot be changed")
        # Texts first, the contact's row after them: the order in which a reply takes them.
        if data.opted_out is True:
            await consent.opt_out(connection, contact.phone_number, "staff", now)
        elif data.opted_out is False:
            await consent.opt_in(connection, contact.phone_number, "staff", now)
        tags = None if data.tags is UNSET else sorted(set(data.tags))
        name = None if data.name is UNSET else data.name
        await connection.execute(CHANGE, {"id": contact_id, "name": name, "tags": tags})
        return await _one(connection, contact_id)

    return await transactions.retrying(api.pool, work)


@delete("/contacts/{contact_id:int}")
async def erase(api: NamedDependency[Context], contact_id: PathId) -> None:
    """Erase a contact: number, name, tags and replies. What has not left will not; an opt-out stays on record."""

    async def work(connection: Connection) -> None:
        now = api.clock()
        row = await (await connection.execute(LOCK, {"id": contact_id})).fetchone()
        if row is None:
            raise NotFound(f"there is no contact {contact_id}")
        if row["phone_number"] is not None:
            await consent.take_out(connection, row["phone_number"], "cancelled", now)
        who: dict[str, Any] = {"id": contact_id, "phone_number": row["phone_number"], "now": now}
        for statement in (FORGET_CONTACT, FORGET_TEXTS, FORGET_REPLIES):
            await connection.execute(statement, who)

    await transactions.retrying(api.pool, work)


async def _one(connection: Connection, contact_id: int) -> Contact:
    row = await (await connection.execute(ONE, {"id": contact_id})).fetchone()
    if row is None:
        raise NotFound(f"there is no contact {contact_id}")
    return Contact(**row)


HANDLERS = (index, show, change, erase)
