"""Creating, listing and changing broadcasts, and how one goes on."""

from typing import Annotated, Any

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.states import BroadcastState
from libs.common.errors import Conflict
from services.api.broadcasts import counts, queries, waiting, writing
from services.api.broadcasts.waiting import Pace
from services.api.context import Context
from services.api.http import idempotency, pagination, transactions, versions
from services.api.http.contract import LOCATION, tells
from services.api.http.fields import BIGGEST, PAGE, Cursor, Limit, PathId
from services.api.schemas import Broadcast, BroadcastChanges, NewBroadcast, Page


@post("/broadcasts", opt=tells(idempotent=True, versioned=True, answers=LOCATION))
async def create(
    request: Request[Any, Any, Any], api: NamedDependency[Context], data: JSONBody[NewBroadcast]
) -> Response[Broadcast]:
    """Schedule a broadcast, or save a draft. An empty list of segments makes a draft, too."""

    async def work(connection: Connection) -> Broadcast:
        return await writing.create(connection, data, api.settings, api.clock())

    answer = await idempotency.once(api.engine, request, work, answer=Broadcast, status=201)
    return answer.response(
        {"Location": f"/broadcasts/{answer.content.id}", "ETag": versions.tag(answer.content)},
    )


@get("/broadcasts")
async def index(
    api: NamedDependency[Context],
    in_state: Annotated[BroadcastState | None, QueryParameter(name="state")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Broadcast]:
    """List broadcasts, the newest first."""
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, api.settings.zone, state=in_state, before=before, limit=limit + 1)
    return pagination.cut(found, limit, lambda each: str(each.id))


@get("/broadcasts/{broadcast_id:int}", opt=tells(versioned=True))
async def show(api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Return one broadcast."""
    async with database.transaction(api.engine) as connection:
        return versions.tagged(await queries.one(connection, broadcast_id, api.settings.zone))


@get("/broadcasts/{broadcast_id:int}/pace")
async def show_pace(api: NamedDependency[Context], broadcast_id: PathId) -> Pace:
    """Say how a broadcast goes on: how fast, by which limit, why it waits and until when, and when it ends."""
    async with database.transaction(api.engine) as connection:
        await queries.take_one_snapshot(connection)
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        now = api.clock()
        messages = await counts.messages(connection, broadcast_id, now)
        going = await waiting.read(connection, broadcast_id, api.settings, now, messages)
    return Pace(broadcast_id=broadcast_id, state=broadcast.state, now=going)


@patch("/broadcasts/{broadcast_id:int}", opt=tells(Conflict, versioned=True))
async def change(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    broadcast_id: PathId,
    data: JSONBody[BroadcastChanges],
) -> Response[Broadcast]:
    """Change a scheduled broadcast; one that is past `scheduled` answers 409.

    With `If-Match` it is changed only if it is still the version that has this `ETag`; else 412.
    """
    wanted = versions.asked(request)

    async def work(connection: Connection) -> Broadcast:
        return await writing.change(connection, broadcast_id, data, api.settings, api.clock(), wanted=wanted)

    return versions.tagged(await transactions.retrying(api.engine, cause, work))


HANDLERS = (create, index, show, show_pace, change)
