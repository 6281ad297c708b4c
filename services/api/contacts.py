"""Contacts one by one: looking them up, changing them, erasing them.

Erasing is by id, or by number: somebody who wrote to us, and was never a contact, is in `replies` alone.
"""

from datetime import datetime
from typing import Annotated, Any

from litestar import delete, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET

from libs.common import consent
from libs.common.database import Connection
from libs.common.errors import Conflict, Invalid, NotFound
from libs.common.settings import e164
from services.api import pages, transactions
from services.api.context import Context
from services.api.fields import NO_NUL, PAGE, Cursor, Limit, PathId, QueryTag, QueryText
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

#: Changes what is not null here; no row where the contact was erased since it was read.
CHANGE = """
UPDATE contacts SET name = coalesce(%(name)s::text, name), tags = coalesce(%(tags)s::text[], tags)
WHERE id = %(id)s AND erased_at IS NULL
"""

#: Locks a contact against every other use, a draw that is under way included.
LOCK = "SELECT id, phone_number FROM contacts WHERE id = %(id)s FOR UPDATE"

#: Locks in the same way whoever has a number.
LOCK_NUMBER = "SELECT id, phone_number FROM contacts WHERE phone_number = %(phone_number)s FOR UPDATE"

#: Whether anything is stored by a number, but that it opted out.
KNOWN = """
SELECT EXISTS (SELECT FROM contacts WHERE phone_number = %(phone_number)s)
    OR EXISTS (SELECT FROM replies WHERE phone_number = %(phone_number)s)
    OR EXISTS (SELECT FROM outgoing_messages WHERE recipient_phone_number = %(phone_number)s) AS known
"""

#: Erasing, step by step. A text that may still be settled keeps its number until the planner looks again.
FORGET_CONTACT = """
UPDATE contacts SET phone_number = NULL, name = '', tags = '{}', erased_at = %(now)s
WHERE id = %(id)s AND erased_at IS NULL
"""
FORGET_TEXTS = """
UPDATE outgoing_messages SET recipient_phone_number = NULL
WHERE (contact_id = %(id)s OR recipient_phone_number = %(phone_number)s)
  AND recipient_phone_number IS NOT NULL AND state IN ('accepted', 'refused', 'skipped')
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
    number = None if phone_number is None else _number(phone_number)
    parameters = {"after": after, "phone_number": number, "tag": tag, "limit": limit + 1}
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
        changed = await connection.execute(CHANGE, {"id": contact_id, "name": name, "tags": tags})
        if changed.rowcount == 0:
            raise Conflict("an erased contact cannot be changed")
        return await _one(connection, contact_id)

    return await transactions.retrying(api.pool, work)


@delete("/contacts/{contact_id:int}")
async def erase(api: NamedDependency[Context], contact_id: PathId) -> None:
    """Erase a contact: number, name, tags and replies. What has not left will not; an opt-out stays on record."""

    async def work(connection: Connection) -> None:
        row = await (await connection.execute(LOCK, {"id": contact_id})).fetchone()
        if row is None:
            raise NotFound(f"there is no contact {contact_id}")
        await _forget(connection, row["id"], row["phone_number"], api.clock())

    await transactions.retrying(api.pool, work)


@delete("/contacts")
async def erase_number(
    api: NamedDependency[Context],
    phone_number: Annotated[str, QueryParameter(max_length=60, pattern=NO_NUL)],
    opt_out: Annotated[bool, QueryParameter()] = False,  # noqa: FBT002 - a query has no positions
) -> None:
    """Erase whoever has a number, contact or not: what is stored by it, as above. 404 where nothing is.

    With `opt_out` the number is put on record as opted out first, and stays as that alone.
    """
    who = {"phone_number": _number(phone_number)}

    async def work(connection: Connection) -> None:
        now = api.clock()
        known = await (await connection.execute(KNOWN, who)).fetchone()
        if known is None or not known["known"]:
            raise NotFound("nobody has this number")
        row = await (await connection.execute(LOCK_NUMBER, who)).fetchone()
        if opt_out:
            await consent.opt_out(connection, who["phone_number"], "staff", now)
            row = row or await (await connection.execute(LOCK_NUMBER, who)).fetchone()  # events name people by id
        await _forget(connection, row["id"] if row else None, who["phone_number"], now)

    await transactions.retrying(api.pool, work)


async def _forget(connection: Connection, contact_id: int | None, phone_number: str | None, now: datetime) -> None:
    """Take out what has not left, then number, name, tags and words."""
    if phone_number is not None:
        await consent.take_out(connection, phone_number, "erased", now)
    who: dict[str, Any] = {"id": contact_id, "phone_number": phone_number, "now": now}
    for statement in (FORGET_CONTACT, FORGET_TEXTS, FORGET_REPLIES):
        await connection.execute(statement, who)


def _number(text: str) -> str:
    try:
        return e164(text)
    except ValueError as error:
        raise Invalid("phone_number", str(error)) from error


async def _one(connection: Connection, contact_id: int) -> Contact:
    row = await (await connection.execute(ONE, {"id": contact_id})).fetchone()
    if row is None:
        raise NotFound(f"there is no contact {contact_id}")
    return Contact(**row)


HANDLERS = (index, show, change, erase, erase_number)
