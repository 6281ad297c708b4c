"""Broadcasts: the list of all, and one while it runs and after."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect, Stream, Template

from libs.common import database
from libs.common.broadcasts import sending_again
from libs.common.catalogue import gettext as _
from libs.common.database import Connection, Engine
from libs.common.domain.cause import Cause
from libs.common.errors import AlreadySent
from libs.common.texts import gettext_noop as n_
from services.api.accounts.users import User
from services.api.broadcasts import listing, outcomes, queries, reports, snapshot, staff_actions
from services.api.context import Context
from services.api.desk import broadcast_people, broadcast_view, live, reasons, rendering, sentences
from services.api.desk.reply_filters import Query
from services.api.desk.requests import AnyRequest, Form
from services.api.http import pagination, transactions
from services.api.http.fields import ChosenId, Cursor, PathId, PlaceCursor

PAGE = 25  # broadcasts, or people, on a page
#: The parts of the list of broadcasts, as the page calls them.
PARTS = {
    "running": n_("Going out now"),
    "ahead": n_("To come"),
    "drafts": n_("Drafts"),
    "past": n_("Past"),
}


@get("/")
async def index(request: AnyRequest, api: NamedDependency[Context], cursor: PlaceCursor = None) -> Template:
    """Show all broadcasts: what runs, what is to come, drafts, and what is past."""
    async with database.transaction(api.engine) as connection:
        found = await listing.page(connection, api.settings.zone, after=listing.place(cursor), limit=PAGE + 1)
    page = pagination.cut(found, PAGE, lambda each: str(each.place))
    return rendering.page(
        request,
        api,
        "broadcasts.html",
        section="broadcasts",
        page=page,
        parts_of_list={part: _(words) for part, words in PARTS.items()},
        tags=sentences.TAGS,
        draft=sentences.DRAFT,
    )


@get("/{broadcast_id:int}")
async def show(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Template:
    """Show one broadcast."""
    now = api.clock()
    async with database.transaction(api.engine) as connection:
        await queries.take_one_snapshot(connection)
        seen = await snapshot.read(connection, broadcast_id, api.settings, now)
    values = broadcast_view.values(api, seen, now)
    return rendering.page(request, api, "broadcast.html", section="broadcasts", **values)


@get("/{broadcast_id:int}/report.csv")
async def report_csv(api: NamedDependency[Context], broadcast_id: PathId) -> Stream:
    """Return what became of every message, as CSV."""
    return await reports.spreadsheet(api, broadcast_id)


@get("/{broadcast_id:int}/{message:str}/{key:str}")
async def people(
    request: AnyRequest,
    api: NamedDependency[Context],
    broadcast_id: PathId,
    message: FromPath[str],
    key: FromPath[str],
    cursor: Cursor = None,
    find: Query = "",
    segment: ChosenId = "",
) -> Template:
    """Show the people whose first message, or follow-up, has an outcome: of all groups, or of one."""
    drawn_from = int(segment) if segment else None
    async with database.transaction(api.engine) as connection:
        group = await broadcast_people.group(connection, broadcast_id, message, key, api.clock())
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        found = await outcomes.recipients(
            connection, broadcast_id, group,
            find=find, segment=drawn_from, after=pagination.number(cursor, 0), limit=PAGE + 1,
        )  # fmt: skip
    narrowed = {name: value for name, value in (("find", find), ("segment", segment)) if value}
    page = pagination.cut(found, PAGE, lambda person: str(person.contact_id))
    return rendering.page(
        request,
        api,
        "broadcast_people.html",
        section="broadcasts",
        broadcast_id=broadcast_id,
        message=message,
        group=group,
        page=page,
        find=find,
        segment=drawn_from,
        segments=[*broadcast.segments, *([] if broadcast.fallback is None else [broadcast.fallback])],
        narrowed=urlencode(narrowed),
    )


@post("/{broadcast_id:int}/pause")
async def pause(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Pause a broadcast."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.pause, api.clock())


@post("/{broadcast_id:int}/approve")
async def approve(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Approve a broadcast that somebody else wrote."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.approve, api.clock())


@post("/{broadcast_id:int}/resume")
async def resume(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Go on with a broadcast that is paused."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.resume, api.clock())


@post("/{broadcast_id:int}/cancel")
async def cancel(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """End a broadcast."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.cancel, api.schedule, api.clock())


@post("/{broadcast_id:int}/skip")
async def skip(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Leave out a scheduled broadcast; the one after it stays."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.skip, api.schedule, api.clock())


@post("/{broadcast_id:int}/stop-repeating")
async def stop_repeating(
    api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId
) -> Redirect:
    """Let a broadcast go out once more, and not again."""
    return await _do(api.engine, cause, broadcast_id, staff_actions.stop_repeating, api.clock())


@post("/{broadcast_id:int}/send-now")
async def send_now(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Send a broadcast now that is scheduled or missed."""
    return await _do(api.long_work, cause, broadcast_id, staff_actions.send_now, api.schedule, api.clock())


@post("/{broadcast_id:int}/call-back")
async def call_back(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Take a broadcast back of which nothing has left; pause it where something has: the page says who has it."""
    try:
        return await _do(api.long_work, cause, broadcast_id, staff_actions.call_back, api.clock())
    except AlreadySent:
        return await _do(api.engine, cause, broadcast_id, staff_actions.pause, api.clock())


@post("/{broadcast_id:int}/messages/{message_id:int}/send-again")
async def send_again(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    broadcast_id: PathId,
    message_id: PathId,
    data: Form,
) -> Redirect:
    """Send a message again of which nobody knows whether it was sent."""
    now, reason = api.clock(), reasons.read(data)

    async def work(connection: Connection) -> None:
        await sending_again.send_again(connection, broadcast_id, message_id, by=user.name, reason=reason, now=now)

    await transactions.retrying(api.engine, cause, work)
    return Redirect(f"/desk/broadcasts/{broadcast_id}", status_code=303)


async def _do(
    engine: Engine, cause: Cause, broadcast_id: int, action: Callable[..., Awaitable[None]], *arguments: object
) -> Redirect:
    """Do something to a broadcast in a transaction, and lead back to its page."""

    async def work(connection: Connection) -> None:
        await action(connection, broadcast_id, *arguments)

    await transactions.retrying(engine, cause, work)
    return Redirect(f"/desk/broadcasts/{broadcast_id}", status_code=303)


#: What can be done to a broadcast.
LEVERS = (approve, pause, resume, cancel, skip, stop_repeating, send_now, call_back, send_again)

ROUTER = Router(
    "/broadcasts", route_handlers=[index, show, live.live, report_csv, people, broadcast_people.people_csv, *LEVERS]
)
