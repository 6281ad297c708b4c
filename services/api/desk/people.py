"""People: search first; one person is one page with the whole story."""

import unicodedata
from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect, Template

from libs.common import database, phone_numbers
from libs.common.broadcasts import erasure, unreachable
from libs.common.broadcasts.explanations import failure
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.attributes import kind_of
from libs.common.domain.cause import Cause
from libs.common.texts import gettext_noop as n_
from services.api.accounts.users import User
from services.api.audit import queries as audit
from services.api.contacts import changes, hours, queries, stories
from services.api.contacts.stories import Story
from services.api.contacts.tag_input import composed_tags
from services.api.context import Context
from services.api.desk import faults, person_form, person_history, reasons, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import pagination, transactions
from services.api.http.errors import InvalidFields
from services.api.http.fields import BIGGEST, Cursor, PathId
from services.api.schemas import Contact

PAGE = 25  # people on a page
DONE = 50  # things that were done to a person, the newest
LONGEST_NAME = 200  # characters
#: Fields whose reasons go on where the field is named.
CHECKED = {"language": n_("The language"), "time_zone": n_("The time zone")}


@get("/")
async def index(
    request: AnyRequest,
    api: NamedDependency[Context],
    find: Annotated[str, QueryParameter(max_length=100)] = "",
    tag: Annotated[str, QueryParameter(max_length=100)] = "",
    cursor: Cursor = None,
) -> Template:
    """Show the search, and whom it finds: by a number, by the beginnings of a name, by a tag."""
    number = _number(find)
    name = find.strip() if find.strip() and number is None else None
    async with database.transaction(api.engine) as connection:
        found = await queries.page(
            connection,
            after=pagination.number(cursor, 0),
            limit=PAGE + 1,
            phone_number=number,
            tag=unicodedata.normalize("NFC", tag.replace("\0", "").strip()) or None,
            name=name,
        )
    return rendering.page(
        request,
        api,
        "people.html",
        section="people",
        page=pagination.cut(found, PAGE, lambda contact: str(contact.id)),
        find=find,
        tag=tag,
    )


@get("/{contact_id:int}")
async def show(request: AnyRequest, api: NamedDependency[Context], contact_id: PathId) -> Template:
    """Show everything about one person."""
    async with database.transaction(api.engine) as connection:
        contact = await queries.one(connection, contact_id)
        return await _page(request, api, connection, contact)


@post("/{contact_id:int}")
async def change(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    contact_id: PathId,
    data: Form,
) -> Redirect | Template:
    """Change what is known of somebody."""
    name = " ".join(data.get("name", "").split())
    wrong: dict[str, str] = {}
    tags: list[str] = []
    if len(name) > LONGEST_NAME or "\0" in name:
        wrong["name"] = _("The name is longer than 200 characters.")
    try:
        tags = sorted(composed_tags([tag.strip() for tag in data.get("tags", "").split(",") if tag.strip()], "tags"))
    except InvalidFields as error:
        wrong["tags"] = faults.whole(error.fields[0][1])
    async with database.transaction(api.engine) as connection:
        contact = await queries.one(connection, contact_id)
        read = person_form.read(data, contact.attributes)
        wrong |= {
            field: faults.of(_(CHECKED[field]), reason) if field in CHECKED else faults.whole(reason)
            for field, reason in read.wrong.items()
        }
        if wrong:
            return await _page(request, api, connection, contact, status=422, wrong=wrong, given=data)

    async def work(connection: Connection) -> None:
        await changes.change(
            connection,
            contact_id,
            api.clock(),
            name=name,
            tags=tags,
            attributes=read.attributes,
            time_zone=read.time_zone,
            language=read.language,
        )

    await transactions.retrying(api.engine, cause, work)
    return _back_to(contact_id)


@post("/{contact_id:int}/opt-out")
async def opt_out(
    api: NamedDependency[Context], cause: NamedDependency[Cause], contact_id: PathId, data: Form
) -> Redirect:
    """Send somebody nothing more."""
    await _opt(api, cause, contact_id, data, opted_out=True)
    return _back_to(contact_id)


@post("/{contact_id:int}/opt-in")
async def opt_in(
    api: NamedDependency[Context], cause: NamedDependency[Cause], contact_id: PathId, data: Form
) -> Redirect:
    """Send to somebody again who had opted out."""
    await _opt(api, cause, contact_id, data, opted_out=False)
    return _back_to(contact_id)


@post("/{contact_id:int}/reachable")
async def reachable(
    api: NamedDependency[Context], cause: NamedDependency[Cause], user: NamedDependency[User], contact_id: PathId
) -> Redirect:
    """Let somebody be chosen again whose number took no texts."""

    async def work(connection: Connection) -> None:
        await queries.one(connection, contact_id)
        await unreachable.clear(connection, contact_id, user.name, api.clock())

    await transactions.retrying(api.engine, cause, work)
    return _back_to(contact_id)


@post("/{contact_id:int}/erase")
async def erase(api: NamedDependency[Context], cause: NamedDependency[Cause], contact_id: PathId) -> Redirect:
    """Erase somebody; only an opt-out stays on record."""

    async def work(connection: Connection) -> None:
        await erasure.erase(connection, contact_id, api.clock())

    await transactions.retrying(api.engine, cause, work)
    return _back_to(contact_id)


async def _opt(api: Context, cause: Cause, contact_id: int, data: dict[str, str], *, opted_out: bool) -> None:
    reason = reasons.read(data)

    async def work(connection: Connection) -> None:
        await changes.change(connection, contact_id, api.clock(), opted_out=opted_out, reason=reason)

    await transactions.retrying(api.engine, cause, work)


async def _page(
    request: AnyRequest,
    api: Context,
    connection: Connection,
    contact: Contact,
    *,
    status: int = 200,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Template:
    number = contact.phone_number
    return rendering.page(
        request,
        api,
        "person.html",
        status=status,
        section="people",
        contact=contact,
        hours=hours.of(contact, api.settings, api.clock()),
        story=await stories.of_number(connection, number) if number else Story(),
        done=person_history.lines(
            await audit.page(connection, actor=None, subject=f"contact-{contact.id}", before=BIGGEST, limit=DONE)
        ),
        consent=await stories.consent_of(connection, number) if number else [],
        why_unreachable=_(failure(contact.unreachable.code)[0]) if contact.unreachable else "",
        wrong=wrong or {},
        name=(given or {}).get("name", contact.name),
        tags=(given or {}).get("tags", ", ".join(contact.tags)),
        known={name: person_form.typed(value) for name, value in contact.attributes.items()},
        kinds={name: kind_of(value) for name, value in contact.attributes.items()},
        new_kinds=person_form.KINDS,
        given=given or {},
    )


def _number(text: str) -> str | None:
    try:
        return phone_numbers.normalise(text)
    except ValueError:
        return None


def _back_to(contact_id: int) -> Redirect:
    return Redirect(f"/desk/people/{contact_id}", status_code=303)


ROUTER = Router("/people", route_handlers=[index, show, change, opt_out, opt_in, reachable, erase])
