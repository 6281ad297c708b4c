"""Stop everything: what it will do is said first, and what it did after."""

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.domain.broadcast import PAUSABLE
from libs.common.domain.cause import Cause
from libs.common.domain.states import BroadcastState
from services.api.broadcasts import queries, stop
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.requests import AnyRequest


@get("/")
async def ask(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show what would be stopped, and what would still arrive."""
    now = api.clock()
    async with database.transaction(api.engine) as connection:
        going = await queries.in_states(
            connection, api.settings.zone, PAUSABLE, since=now - stop.LONGEST, before=now + stop.LONGEST, limit=50
        )
        unsent = await queries.unsent(connection, [each.id for each in going])
        under_way = await queries.count_under_way(connection)
        soon = await queries.in_states(
            connection,
            api.settings.zone,
            (BroadcastState.SCHEDULED,),
            since=now,
            before=now + stop.SOON,
            limit=50,
            drafts=False,
        )
    return rendering.page(
        request, api, "stop.html", going=going, unsent=unsent, soon=soon, under_way=under_way, stopped=None
    )


@post("/", status_code=200)
async def do(request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause]) -> Template:
    """Pause everything that sends or waits, and show what was."""
    stopped = await stop.everything(api, cause)
    return rendering.page(request, api, "stop.html", going=[], under_way=stopped.under_way, stopped=stopped)


ROUTER = Router("/stop", route_handlers=[ask, do])
