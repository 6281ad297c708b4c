"""The desk beside Missive's conversations, 320 pixels wide: what goes out now, next and last; pause and stop."""

from datetime import timedelta

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.states import BroadcastState
from libs.common.errors import AlreadySent
from services.api.broadcasts import queries, staff_actions, stop
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.broadcast_view import settled, view
from services.api.desk.requests import AnyRequest
from services.api.desk.today import GOING
from services.api.http import framing, transactions
from services.api.http.fields import PathId

MOST = 5  # broadcasts that go out at once
LAST = timedelta(days=31)  # how long ago the last one may have been
FAR = timedelta(days=366)
MANY = 100  # more than run in that time


@get("/")
async def show(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show now, next and last."""
    now, zone = api.clock(), api.settings.zone
    async with database.transaction(api.engine) as connection:
        going = await queries.in_states(
            connection, zone, (*GOING, BroadcastState.PAUSED), since=now - LAST, before=now + FAR, limit=MOST
        )
        coming = await queries.in_states(
            connection, zone, (BroadcastState.SCHEDULED,), since=now - LAST, before=now + FAR, limit=1, drafts=False
        )
        done = await queries.in_states(
            connection, zone, (BroadcastState.COMPLETED,), since=now - LAST, before=now + FAR, limit=MANY
        )
        under_way = await queries.count_under_way(connection)
    shown = []
    for each in [*going, *sorted(done, key=lambda broadcast: broadcast.began_at)[-1:]]:
        async with database.transaction(api.engine) as connection:
            shown.append(await view(connection, api, each.id, now))
    return rendering.page(
        request,
        api,
        "sidebar.html",
        going=shown[: len(going)],
        coming=coming,
        last=shown[len(going) :],
        under_way=under_way,
        **settled(api),
    )


@post("/broadcasts/{broadcast_id:int}/pause")
async def pause(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Pause a broadcast."""
    await _pause(api, cause, broadcast_id)
    return Redirect(framing.SIDEBAR, status_code=303)


@post("/broadcasts/{broadcast_id:int}/call-back")
async def call_back(api: NamedDependency[Context], cause: NamedDependency[Cause], broadcast_id: PathId) -> Redirect:
    """Take a broadcast back of which nothing has left; pause it where something has, and say how many have it."""

    async def take_back(connection: Connection) -> None:
        await staff_actions.call_back(connection, broadcast_id, api.clock())

    try:
        await transactions.retrying(api.long_work, cause, take_back)
    except AlreadySent:
        await _pause(api, cause, broadcast_id)
    return Redirect(framing.SIDEBAR, status_code=303)


@post("/stop")
async def stop_everything(api: NamedDependency[Context], cause: NamedDependency[Cause]) -> Redirect:
    """Pause everything that sends or waits; the sidebar says then what is paused, and what is not."""
    await stop.everything(api, cause)
    return Redirect(framing.SIDEBAR, status_code=303)


async def _pause(api: Context, cause: Cause, broadcast_id: int) -> None:
    async def work(connection: Connection) -> None:
        await staff_actions.pause(connection, broadcast_id, api.clock())

    await transactions.retrying(api.engine, cause, work)


ROUTER = Router("/sidebar", route_handlers=[show, pause, call_back, stop_everything])
