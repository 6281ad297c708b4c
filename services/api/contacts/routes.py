"""Contacts one by one: looking them up, changing them, erasing them.

Erasing is by id, or by number: somebody who wrote to us, and was never a contact, is in `replies` alone.
"""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET

from libs.common import database, phone_numbers
from libs.common.broadcasts import erasure
from libs.common.broadcasts.unreachable import clear
from libs.common.database import Connection
from libs.common.domain import message_bodies
from libs.common.domain.cause import Cause
from libs.common.errors import Conflict, Invalid, NotFound
from services.api.contacts import changes, hours, queries
from services.api.contacts.attribute_input import checked_attributes, checked_language, checked_zone
from services.api.contacts.hours import ContactHours
from services.api.contacts.tag_input import composed_tag, composed_tags
from services.api.context import Context
from services.api.http import pagination, transactions, versions
from services.api.http.contract import tells
from services.api.http.errors import InvalidFields
from services.api.http.fields import NO_NUL, PAGE, Cursor, Limit, PathId, QueryTag, QueryText
from services.api.schemas import Contact, ContactChanges, Page, Person


@get("/contacts")
async def index(
    api: NamedDependency[Context],
    phone_number: QueryText = None,
    tag: QueryTag = None,
    unreachable: Annotated[bool | None, QueryParameter()] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Contact]:
    """List contacts, by number, tag, or whether their number takes no messages, if asked."""
    after = pagination.number(cursor, 0)
    number = None if phone_number is None else _number(phone_number)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(
            connection,
            after=after,
            limit=limit + 1,
            phone_number=number,
            tag=composed_tag(tag),
            unreachable=unreachable,
        )
    return pagination.cut(found, limit, lambda contact: str(contact.id))


@get("/contacts/{contact_id:int}", opt=tells(versioned=True))
async def show(api: NamedDependency[Context], contact_id: PathId) -> Response[Contact]:
    """Return one contact."""
    async with database.transaction(api.engine) as connection:
        return versions.tagged(await queries.one(connection, contact_id))


@get("/contacts/{contact_id:int}/hours")
async def show_hours(api: NamedDependency[Context], contact_id: PathId) -> ContactHours:
    """Return at what hours a contact may be texted, by which clocks, and from where these are known."""
    async with database.transaction(api.engine) as connection:
        contact = await queries.one(connection, contact_id)
    return hours.of(contact, api.settings, api.clock())


@patch("/contacts/{contact_id:int}", opt=tells(Conflict, versioned=True))
async def change(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    contact_id: PathId,
    data: JSONBody[ContactChanges],
) -> Response[Contact]:
    """Change what is known of somebody, or opt them out or in again.

    Of `attributes` those that are named are changed; null removes one.
    With `If-Match` the contact is changed only if it is still the version that has this `ETag`; else 412.
    """
    wanted = versions.asked(request)
    tags = None if data.tags is UNSET else sorted(composed_tags(data.tags, "tags"))
    attributes = None if data.attributes is UNSET else checked_attributes(data.attributes)
    time_zone, language = checked_zone(data.time_zone), checked_language(data.language)

    async def work(connection: Connection) -> Contact:
        versions.check(wanted, await queries.one(connection, contact_id))
        name = None if data.name is UNSET else data.name
        opted_out = None if data.opted_out is UNSET else data.opted_out
        reason = "" if data.reason is UNSET else data.reason.strip()
        await changes.change(
            connection,
            contact_id,
            api.clock(),
            name=name,
            tags=tags,
            attributes=attributes,
            time_zone=time_zone,
            language=language,
            opted_out=opted_out,
            reason=reason,
        )
        return await queries.one(connection, contact_id)

    return versions.tagged(await transactions.retrying(api.engine, cause, work))


@post("/contacts/{contact_id:int}/reachable", status_code=200)
async def reachable(
    api: NamedDependency[Context], cause: NamedDependency[Cause], contact_id: PathId, data: JSONBody[Person]
) -> Contact:
    """Have a contact's number drawn again whose messages have failed for good; twice does no harm."""
    if not message_bodies.is_visible(data.by):
        raise InvalidFields(("by", "must name a person"))

    async def work(connection: Connection) -> Contact:
        await queries.one(connection, contact_id)
        await clear(connection, contact_id, data.by.strip(), api.clock())
        return await queries.one(connection, contact_id)

    return await transactions.retrying(api.engine, cause, work)


@delete("/contacts/{contact_id:int}")
async def erase(api: NamedDependency[Context], cause: NamedDependency[Cause], contact_id: PathId) -> None:
    """Erase a contact: number, name, tags, attributes and replies. What was not sent will not be.

    An opt-out stays on record.
    """

    async def work(connection: Connection) -> None:
        await erasure.erase(connection, contact_id, api.clock())

    await transactions.retrying(api.engine, cause, work)


@delete("/contacts", opt=tells(NotFound))
async def erase_number(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    phone_number: Annotated[str, QueryParameter(max_length=60, pattern=NO_NUL)],
    opt_out: Annotated[bool, QueryParameter()] = False,  # noqa: FBT002 - a query has no positions
) -> None:
    """Erase whoever has a number, contact or not: what is stored by it, as above. 404 where nothing is.

    With `opt_out` the number is put on record as opted out first, and stays as that alone.
    """
    number = _number(phone_number)

    async def work(connection: Connection) -> None:
        await erasure.erase_number(connection, number, api.clock(), opt_out=opt_out)

    await transactions.retrying(api.engine, cause, work)


def _number(text: str) -> str:
    try:
        return phone_numbers.normalise(text)
    except ValueError as error:
        raise Invalid("phone_number", str(error)) from error


HANDLERS = (index, show, show_hours, change, reachable, erase, erase_number)
