"""What staff do to a broadcast: make, pause, resume, cancel, send now, call back, and ask for a step.

Each may be pressed twice. What each does is in `staff_actions.py`, which the pages use too.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from libs.common.broadcasts import making, scheduling
from libs.common.database import Connection, Engine
from libs.common.errors import (
    AlreadySent,
    Conflict,
    EmptyDraw,
    NoSegments,
    NotApproved,
    NothingScheduled,
    NotReconciled,
    Unrenderable,
)
from services.api.broadcasts import queries, staff_actions
from services.api.context import Context
from services.api.http import idempotency
from services.api.http.contract import tells
from services.api.http.fields import PathId
from services.api.schemas import Asked, Broadcast, Made

AnyRequest = Request[Any, Any, Any]

#: Why a broadcast may not be made.
MAKING = (Conflict, EmptyDraw, NoSegments, NotApproved, NotReconciled, Unrenderable)
ACTION = tells(Conflict, NotReconciled, idempotent=True)


@post("/make", opt=tells(NothingScheduled, *MAKING, idempotent=True))
async def make(request: AnyRequest, api: NamedDependency[Context]) -> Response[Made]:
    """Make the nearest scheduled broadcast of today; 404 when there is none. Two at once make one."""

    async def work(connection: Connection) -> Made:
        made = await making.make_nearest(connection, api.schedule, api.clock())
        return Made(
            broadcast_id=made.broadcast.id,
            recipients=made.recipients,
            next_broadcast_id=made.broadcast.next_broadcast_id,
            next_run_at=made.next_run_at,
        )

    return (await idempotency.once(api.long_work, request, work, answer=Made, status=201)).response()


@post("/broadcasts/draft/{broadcast_id:int}", opt=ACTION, status_code=202)
async def draft(
    request: AnyRequest,
    api: NamedDependency[Context],
    broadcast_id: PathId,
    is_second: Annotated[bool, QueryParameter(name="isSecond")] = False,  # noqa: FBT002 - a query has no positions
) -> Response[Asked]:
    """Ask for the next batch of a phase now."""

    async def work(connection: Connection) -> Asked:
        await scheduling.ask_for_batch(connection, broadcast_id, api.clock(), is_second=is_second)
        return Asked(broadcast_id=broadcast_id)

    return (await idempotency.once(api.engine, request, work, answer=Asked, status=202)).response()


@post("/broadcasts/twilio/{broadcast_id:int}", opt=ACTION, status_code=202)
async def twilio(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Asked]:
    """Ask for a pass over the carrier's log now."""

    async def work(connection: Connection) -> Asked:
        await scheduling.ask_for_sync(connection, broadcast_id, api.clock())
        return Asked(broadcast_id=broadcast_id)

    return (await idempotency.once(api.engine, request, work, answer=Asked, status=202)).response()


@post("/broadcasts/{broadcast_id:int}/pause", opt=ACTION, status_code=200)
async def pause(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Start no further message until `resume`. What was sent stays sent."""

    async def work(connection: Connection) -> None:
        await staff_actions.pause(connection, broadcast_id, api.clock())

    return await _act(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/resume", opt=ACTION, status_code=200)
async def resume(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Go on where `pause` stopped."""

    async def work(connection: Connection) -> None:
        await staff_actions.resume(connection, broadcast_id, api.clock())

    return await _act(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/cancel", opt=ACTION, status_code=200)
async def cancel(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """End a broadcast: what was not sent will not be. The chain of working days goes on with the next one."""

    async def work(connection: Connection) -> None:
        await staff_actions.cancel(connection, broadcast_id, api.schedule, api.clock())

    return await _act(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/skip", opt=ACTION, status_code=200)
async def skip(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Leave out a scheduled broadcast. The one after it stays; one that has begun answers 409 and goes on."""

    async def work(connection: Connection) -> None:
        await staff_actions.skip(connection, broadcast_id, api.schedule, api.clock())

    return await _act(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/stop-repeating", opt=ACTION, status_code=200)
async def stop_repeating(
    request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId
) -> Response[Broadcast]:
    """Let a scheduled broadcast go out once more, and not again."""

    async def work(connection: Connection) -> None:
        await staff_actions.stop_repeating(connection, broadcast_id, api.clock())

    return await _act(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/send-now", opt=tells(*MAKING, idempotent=True), status_code=200)
async def send_now(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Make a scheduled or missed broadcast now; one that was made already stays as it is."""

    async def work(connection: Connection) -> None:
        await staff_actions.send_now(connection, broadcast_id, api.schedule, api.clock())

    return await _act(request, api, broadcast_id, work, engine=api.long_work)


@post(
    "/broadcasts/{broadcast_id:int}/call-back",
    opt=tells(AlreadySent, Conflict, NotReconciled, idempotent=True),
    status_code=200,
)
async def call_back(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Take a broadcast back before its first message has left: nobody gets it, and it is as it was.

    Where one has left, 409 says how many have it and how many do not; nothing has changed then.
    """

    async def work(connection: Connection) -> None:
        await staff_actions.call_back(connection, broadcast_id, api.clock())

    return await _act(request, api, broadcast_id, work, engine=api.long_work)


async def _act(
    request: AnyRequest,
    api: Context,
    broadcast_id: int,
    work: Callable[[Connection], Awaitable[None]],
    *,
    engine: Engine | None = None,
) -> Response[Broadcast]:
    """Take an action and answer with the broadcast as it is then."""

    async def pulled(connection: Connection) -> Broadcast:
        await work(connection)
        return await queries.one(connection, broadcast_id, api.settings.zone)

    return (await idempotency.once(engine or api.engine, request, pulled, answer=Broadcast)).response()


HANDLERS = (make, draft, twilio, pause, resume, cancel, skip, stop_repeating, send_now, call_back)
