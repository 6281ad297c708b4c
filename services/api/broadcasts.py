"""Creating, listing and changing broadcasts."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET

from libs.common import broadcast as rules
from libs.common import events as e
from libs.common import lifecycle, making
from libs.common.database import Connection
from services.api import broadcast_input, broadcast_rows, idempotency, pages, transactions
from services.api.context import Context
from services.api.fields import BIGGEST, PAGE, Cursor, Limit, PathId
from services.api.schemas import Broadcast, BroadcastChanges, NewBroadcast, Page

State = Literal[
    "scheduled", "sending_first", "waiting", "sending_second", "syncing", "completed", "paused", "cancelled", "missed"
]


@post("/broadcasts")
async def create(
    request: Request[Any, Any, Any], api: NamedDependency[Context], data: JSONBody[NewBroadcast]
) -> Response[Broadcast]:
    """Schedule a broadcast. An empty list of segments makes a draft that cannot be made yet."""

    async def work(connection: Connection) -> Broadcast:
        now = api.clock()
        await broadcast_input.check(connection, data, now)
        number = api.settings.from_number if data.from_number is UNSET else data.from_number
        event = e.BroadcastScheduled(
            broadcast_id=await making.new_id(connection),
            run_at=broadcast_input.in_utc(data.run_at),
            first_message=data.first_message,
            second_message=data.second_message,
            second_delay=api.settings.second_delay if data.second_delay is UNSET else data.second_delay,
            segments=broadcast_input.shares(data.segments),
            max_recipients=data.max_recipients,
            sending_number_id=await broadcast_input.number_id(connection, number),
            recurring=data.recurring,
        )
        await making.create(connection, event, now)
        return await broadcast_rows.one(connection, event.broadcast_id, api.settings.zone)

    answer = await idempotency.once(api.pool, request, work, answer=Broadcast, status=201)
    return answer.response({"Location": f"/broadcasts/{answer.content.id}"})


@get("/broadcasts")
async def index(
    api: NamedDependency[Context],
    in_state: Annotated[State | None, QueryParameter(name="state")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Broadcast]:
    """List broadcasts, the newest first."""
    before = pages.number(cursor, BIGGEST)
    async with api.pool.connection() as connection:
        found = await broadcast_rows.page(connection, api.settings.zone, state=in_state, before=before, limit=limit + 1)
    return pages.cut(found, limit, lambda broadcast: str(broadcast.id))


@get("/broadcasts/{broadcast_id:int}")
async def show(api: NamedDependency[Context], broadcast_id: PathId) -> Broadcast:
    """Give one broadcast."""
    async with api.pool.connection() as connection:
        return await broadcast_rows.one(connection, broadcast_id, api.settings.zone)


@patch("/broadcasts/{broadcast_id:int}")
async def change(api: NamedDependency[Context], broadcast_id: PathId, data: JSONBody[BroadcastChanges]) -> Broadcast:
    """Change a scheduled broadcast; one that is past `scheduled` answers 409."""

    async def work(connection: Connection) -> Broadcast:
        now = api.clock()
        before, version = await lifecycle.load(connection, broadcast_id)
        rules.edit(before, _edited(before))
        await broadcast_input.check(connection, data, now)
        edited = _edited(before)
        for name in ("first_message", "second_message", "second_delay", "max_recipients", "recurring"):
            if (value := getattr(data, name)) is not UNSET:
                edited = replace(edited, **{name: value})
        if data.run_at is not UNSET:
            edited = replace(edited, run_at=broadcast_input.in_utc(data.run_at))
        if data.segments is not UNSET:
            edited = replace(edited, segments=broadcast_input.shares(data.segments))
        if data.from_number is not UNSET:
            edited = replace(edited, sending_number_id=await broadcast_input.number_id(connection, data.from_number))
        await lifecycle.record(connection, broadcast_id, version, rules.edit(before, edited), now)
        if edited.run_at != before.run_at:
            await making.plan_making(connection, broadcast_id, edited.run_at, now)
        return await broadcast_rows.one(connection, broadcast_id, api.settings.zone)

    return await transactions.retrying(api.pool, work)


def _edited(broadcast: rules.Broadcast) -> e.BroadcastEdited:
    """Give the event that changes nothing, to be filled with what does change."""
    return e.BroadcastEdited(broadcast_id=broadcast.id, **{name: getattr(broadcast, name) for name in rules.EDITABLE})


HANDLERS = (create, index, show, change)
