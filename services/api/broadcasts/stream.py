"""Live progress, as server-sent events for programs."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from libs.common import database
from services.api.broadcasts import queries
from services.api.context import Context
from services.api.http.fields import PathId
from services.api.http.lasting import Leave

#: Where a client says what it has seen (https://html.spec.whatwg.org/multipage/server-sent-events.html).
LAST_EVENT_ID = "last-event-id"


@get("/broadcasts/{broadcast_id:int}/stream")
async def stream(
    request: Request[Any, Any, Any], api: NamedDependency[Context], broadcast_id: PathId
) -> ServerSentEvent:
    """Follow a broadcast: an event `progress` each time a figure changes, until its state is final.

    Each has an id. A client that comes back with it as `Last-Event-ID` is sent what has changed since.
    """
    async with database.transaction(api.engine) as connection:
        await queries.check_exists(connection, broadcast_id)
    return ServerSentEvent(_told(request, api, broadcast_id, request.headers.get(LAST_EVENT_ID, "")))


async def _told(
    request: Request[Any, Any, Any], api: Context, broadcast_id: int, seen: str
) -> AsyncIterator[ServerSentEventMessage]:
    last, leave = b"", Leave(request)
    async with aclosing(api.hub.follow(broadcast_id)) as snapshots:
        async for each in snapshots:
            if not await leave.holds():
                return
            if each is None:
                yield STILL_HERE
            elif each.version != seen and (now := msgspec.json.encode(each.figures.progress)) != last:
                last = now
                yield ServerSentEventMessage(event="progress", data=now, id=each.version)


#: A comment, which keeps the connection open.
STILL_HERE = ServerSentEventMessage(comment="still here", data=None)

HANDLERS = (stream,)
