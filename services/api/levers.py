"""What staff do to a broadcast: make, pause, resume, cancel, send now, and ask for a step. Each may be pressed twice.

Every lever locks the broadcast first, so that two at once come one after the other.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from libs.common import broadcast as rules
from libs.common import lifecycle, making, outbox, steps, texts
from libs.common.commands import MakeBroadcast
from libs.common.database import Connection
from libs.common.errors import Conflict
from services.api import broadcast_rows, idempotency
from services.api.context import Context
from services.api.fields import PathId
from services.api.schemas import Asked, Broadcast, Made

AnyRequest = Request[Any, Any, Any]


@post("/make")
async def make(request: AnyRequest, api: NamedDependency[Context]) -> Response[Made]:
    """Make the nearest scheduled broadcast of today; 404 when there is none. Two at once make one."""

    async def work(connection: Connection) -> Made:
        made = await making.make_nearest(connection, api.schedule, api.clock())
        return Made(
            broadcast_id=made.broadcast_id,
            recipients=made.recipients,
            next_broadcast_id=made.next_broadcast_id,
            next_run_at=made.next_run_at,
        )

    return (await idempotency.once(api.pool, request, work, answer=Made, status=201)).response()


@post("/broadcasts/draft/{broadcast_id:int}", status_code=202)
async def draft(
    request: AnyRequest,
    api: NamedDependency[Context],
    broadcast_id: PathId,
    is_second: Annotated[bool, QueryParameter(name="isSecond")] = False,  # noqa: FBT002 - a query has no positions
) -> Response[Asked]:
    """Ask for the next batch of a phase now."""

    async def work(connection: Connection) -> Asked:
        await steps.ask_for_batch(connection, broadcast_id, api.clock(), is_second=is_second)
        return Asked(broadcast_id=broadcast_id)

    return (await idempotency.once(api.pool, request, work, answer=Asked, status=202)).response()


@post("/broadcasts/twilio/{broadcast_id:int}", status_code=202)
async def twilio(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Asked]:
    """Ask for a pass over the carrier's log now."""

    async def work(connection: Connection) -> Asked:
        await steps.ask_for_sync(connection, broadcast_id, api.clock())
        return Asked(broadcast_id=broadcast_id)

    return (await idempotency.once(api.pool, request, work, answer=Asked, status=202)).response()


@post("/broadcasts/{broadcast_id:int}/pause", status_code=200)
async def pause(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Start no further text until `resume`. What has left has left."""

    async def work(connection: Connection) -> None:
        broadcast, version = await lifecycle.load(connection, broadcast_id)
        await lifecycle.record(connection, broadcast_id, version, rules.pause(broadcast), api.clock())

    return await _pull(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/resume", status_code=200)
async def resume(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Go on where `pause` stopped."""

    async def work(connection: Connection) -> None:
        broadcast, version = await lifecycle.load(connection, broadcast_id)
        await lifecycle.record(connection, broadcast_id, version, rules.resume(broadcast), api.clock())

    return await _pull(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/cancel", status_code=200)
async def cancel(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """End a broadcast: what has not left will not. The chain of working days goes on with the next one."""

    async def work(connection: Connection) -> None:
        now = api.clock()
        broadcast, version = await lifecycle.load(connection, broadcast_id)
        if not rules.cancel(broadcast, None):
            return
        successor = await making.schedule_successor(connection, broadcast, api.schedule, now)
        events = rules.cancel(broadcast, successor.broadcast_id if successor else None)
        await lifecycle.record(connection, broadcast_id, version, events, now)
        await outbox.forget(connection, broadcast_id, MakeBroadcast.__name__)
        await texts.skip_unsent(connection, broadcast_id, "cancelled", now)

    return await _pull(request, api, broadcast_id, work)


@post("/broadcasts/{broadcast_id:int}/send-now", status_code=200)
async def send_now(request: AnyRequest, api: NamedDependency[Context], broadcast_id: PathId) -> Response[Broadcast]:
    """Make a scheduled or missed broadcast now; one that was made already stays as it is."""

    async def work(connection: Connection) -> None:
        broadcast, _ = await lifecycle.load(connection, broadcast_id)
        if broadcast.state == "cancelled":
            raise Conflict("a broadcast that is cancelled cannot be made")
        if broadcast.state in ("scheduled", "missed"):
            await making.make(connection, broadcast_id, api.schedule, api.clock(), by_hand=True)

    return await _pull(request, api, broadcast_id, work)


async def _pull(
    request: AnyRequest, api: Context, broadcast_id: int, work: Callable[[Connection], Awaitable[None]]
) -> Response[Broadcast]:
    """Do what a lever does and answer with the broadcast as it is then."""

    async def pulled(connection: Connection) -> Broadcast:
        await work(connection)
        return await broadcast_rows.one(connection, broadcast_id, api.settings.zone)

    return (await idempotency.once(api.pool, request, pulled, answer=Broadcast)).response()


HANDLERS = (make, draft, twilio, pause, resume, cancel, send_now)
