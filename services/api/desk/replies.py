"""Replies: the list and the conversation beside it, and what is decided, done and answered."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Stream, Template

from libs.common import database
from libs.common.broadcasts import reply_work, reviews
from libs.common.catalogue import gettext as _
from libs.common.catalogue import said
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Permission
from libs.common.errors import Conflict
from services.api.accounts import users
from services.api.accounts.users import User
from services.api.broadcasts import queries as broadcasts
from services.api.contacts import stories
from services.api.contacts.stories import Story
from services.api.context import Context
from services.api.desk import faults, reasons, rendering
from services.api.desk.reply_filters import KINDS, Chosen, Query
from services.api.desk.requests import AnyRequest, Form
from services.api.http import pagination, transactions
from services.api.http.errors import InvalidFields
from services.api.http.fields import BIGGEST, Cursor, PathId
from services.api.http.queries import ANY_QUERY
from services.api.replies import answering, exporting, queries
from services.api.replies.queries import Filters
from services.api.segments import queries as segments

#: What the address says of the list that somebody came from leads back to it; what else it says is passed over.
LIST = ANY_QUERY
PAGE = 25  # replies on a page
CHOICES = 100  # broadcasts and groups that can be chosen from


@get("/")
async def index(
    request: AnyRequest,
    api: NamedDependency[Context],
    user: NamedDependency[User],
    only: Query = "",
    broadcast: Query = "",
    phase: Query = "",
    segment: Query = "",
    find: Query = "",
    kind: Query = "",
    cursor: Cursor = None,
) -> Template:
    """Show what people wrote, the newest first; likely opt-outs that wait stand on top of the first page."""
    chosen = Chosen.read(only=only, broadcast=broadcast, phase=phase, segment=segment, find=find, kind=kind)
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        page = await queries.page(connection, chosen.filters(user.id), before=before, limit=PAGE)
        on_top = cursor is None and chosen == Chosen()
        waiting = await queries.page(connection, Filters(waiting=True), before=BIGGEST, limit=PAGE) if on_top else None
        return rendering.page(
            request,
            api,
            "replies.html",
            section="replies",
            page=page,
            waiting=waiting.items if waiting else [],
            chosen=chosen,
            kinds=KINDS,
            broadcasts=await broadcasts.choices(connection, CHOICES),
            segments=await segments.page(connection, after=0, limit=CHOICES),
        )


@get("/export.csv")
async def export(
    api: NamedDependency[Context],
    user: NamedDependency[User],
    only: Query = "",
    broadcast: Query = "",
    phase: Query = "",
    segment: Query = "",
    find: Query = "",
    kind: Query = "",
) -> Stream:
    """Return the replies of the list as a spreadsheet, without what says who wrote."""
    chosen = Chosen.read(only=only, broadcast=broadcast, phase=phase, segment=segment, find=find, kind=kind)
    return exporting.spreadsheet(api, chosen.filters(user.id), with_numbers=False)


@get("/export-with-numbers.csv")
async def export_with_numbers(
    api: NamedDependency[Context],
    user: NamedDependency[User],
    only: Query = "",
    broadcast: Query = "",
    phase: Query = "",
    segment: Query = "",
    find: Query = "",
    kind: Query = "",
) -> Stream:
    """Return the replies of the list as a spreadsheet, with numbers and names."""
    chosen = Chosen.read(only=only, broadcast=broadcast, phase=phase, segment=segment, find=find, kind=kind)
    return exporting.spreadsheet(api, chosen.filters(user.id), with_numbers=True)


@get("/{reply_id:int}", opt=LIST)
async def show(request: AnyRequest, api: NamedDependency[Context], reply_id: PathId) -> Template:
    """Show a reply in its conversation."""
    return await _conversation(request, api, reply_id)


@post("/{reply_id:int}/read", opt=LIST)
async def read(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
) -> Redirect:
    """Note that the reply is read."""

    async def work(connection: Connection) -> None:
        await reviews.mark_read(connection, reply_id, user.name, api.clock())

    return await _done(request, api, cause, work)


@post("/{reply_id:int}/opt-out", opt=LIST)
async def opt_out(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
    data: Form,
) -> Redirect:
    """Decide that whoever wrote wants no more texts."""
    await _decide(api, cause, user, reply_id, opts_out=True, why=reasons.read(data))
    return _back(request)


@post("/{reply_id:int}/no-opt-out", opt=LIST)
async def no_opt_out(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
) -> Redirect:
    """Decide that a likely opt-out was none."""
    await _decide(api, cause, user, reply_id, opts_out=False)
    return _back(request)


@post("/{reply_id:int}/opt-in", opt=LIST)
async def opt_in(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    reply_id: PathId,
    data: Form,
) -> Redirect:
    """Let whoever wrote in again, since that is what they wrote."""

    async def work(connection: Connection) -> None:
        await reviews.opt_in(connection, reply_id, api.clock(), why=reasons.read(data))

    return await _done(request, api, cause, work, reply_id)


@post("/{reply_id:int}/take", opt=LIST)
async def take(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
) -> Redirect:
    """Look after a reply oneself."""
    await _assign(api, cause, user, reply_id, user.id)
    return _back(request, reply_id)


@post("/{reply_id:int}/assign", opt=LIST)
async def assign(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
    data: Form,
) -> Redirect:
    """Hand a reply to a colleague, or to nobody any more."""
    to = data.get("user_id", "")
    if to and not (to.isascii() and to.isdecimal() and 0 < int(to) <= BIGGEST):
        raise InvalidFields(("user_id", "must be a user"))
    await _assign(api, cause, user, reply_id, int(to) if to else None)
    return _back(request, reply_id)


@post("/{reply_id:int}/done", opt=LIST)
async def finish(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
) -> Redirect:
    """Note that nothing more is to be done about a reply."""

    async def work(connection: Connection) -> None:
        await reply_work.finish(connection, reply_id, user.name, api.clock())

    return await _done(request, api, cause, work)


@post("/{reply_id:int}/reopen", opt=LIST)
async def reopen(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], reply_id: PathId
) -> Redirect:
    """Note that something is to be done about a reply after all."""

    async def work(connection: Connection) -> None:
        await reply_work.reopen(connection, reply_id, api.clock())

    return await _done(request, api, cause, work, reply_id)


@post("/{reply_id:int}/answer", opt=LIST)
async def answer(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    reply_id: PathId,
    data: Form,
) -> Redirect | Template:
    """Have an answer sent; one that cannot be is shown again, with what is wrong."""
    body = data.get("body", "").replace("\r\n", "\n")

    async def work(connection: Connection) -> None:
        await answering.answer(
            connection, api, reply_id, body=body, by=user.name, request_id=_request_id(data.get("request_id", ""))
        )

    try:
        await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        wrong = faults.of(_("The answer"), error.fields[0][1])
    except Conflict as error:
        wrong = _("Not sent: %(why)s.") % {"why": said(str(error))}
    else:
        return _back(request, reply_id)
    return await _conversation(request, api, reply_id, body=body, wrong={"body": wrong}, status=422)


def _request_id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise InvalidFields(("request_id", "is no id of a form")) from None


async def _conversation(
    request: AnyRequest,
    api: Context,
    reply_id: int,
    *,
    body: str = "",
    wrong: dict[str, str] | None = None,
    status: int = 200,
) -> Template:
    async with database.transaction(api.engine) as connection:
        reply = await queries.one(connection, reply_id)
        story = await stories.of_number(connection, reply.phone_number) if reply.phone_number else Story()
        everybody = await users.everybody(connection)
        may_answer = await answering.may_answer(connection, api, reply)
    return rendering.page(
        request,
        api,
        "reply.html",
        status=status,
        section="replies",
        reply=reply,
        chosen=Chosen.of(request.query_params),
        story=story,
        colleagues=[each for each in everybody if each.disabled_at is None and each.may(Permission.WRITE)],
        may_answer=may_answer,
        body=body,
        wrong=wrong or {},
        request_id=uuid4(),
    )


async def _decide(api: Context, cause: Cause, user: User, reply_id: int, *, opts_out: bool, why: str = "") -> None:
    async def work(connection: Connection) -> None:
        await reviews.decide(connection, reply_id, opts_out=opts_out, by=user.name, now=api.clock(), why=why)

    await transactions.retrying(api.engine, cause, work)


async def _assign(api: Context, cause: Cause, user: User, reply_id: int, to: int | None) -> None:
    async def work(connection: Connection) -> None:
        await reply_work.assign(connection, reply_id, to, user.name, api.clock())

    await transactions.retrying(api.engine, cause, work)


async def _done(
    request: AnyRequest,
    api: Context,
    cause: Cause,
    work: Callable[[Connection], Awaitable[None]],
    reply_id: int | None = None,
) -> Redirect:
    await transactions.retrying(api.engine, cause, work)
    return _back(request, reply_id)


def _back(request: AnyRequest, reply_id: int | None = None) -> Redirect:
    """Lead back to the list from which somebody came, or to a reply with the way to that list."""
    chosen = Chosen.of(request.query_params)
    place = "/desk/replies" if reply_id is None else f"/desk/replies/{reply_id}"
    return Redirect(place + chosen.query(), status_code=303)


ROUTER = Router(
    "/replies",
    route_handlers=[
        index, export, export_with_numbers, show, read, opt_out, no_opt_out, opt_in, take, assign, finish, reopen,
        answer,
    ],
)  # fmt: skip
