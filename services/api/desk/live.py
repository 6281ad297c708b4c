"""What changes on a broadcast's page, sent as HTML while it does: htmx puts each part in its place.

All who watch a broadcast share its counting (`hub.py`). Each has the parts rendered for themselves, since what may be
done depends on who looks.
"""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from libs.common import database
from services.api.broadcasts import queries
from services.api.broadcasts.hub import LAST
from services.api.broadcasts.snapshot import Snapshot
from services.api.broadcasts.stream import LAST_EVENT_ID, STILL_HERE
from services.api.context import Context
from services.api.desk import broadcast_view, rendering
from services.api.desk.requests import AnyRequest
from services.api.http.fields import PathId
from services.api.http.lasting import Leave

#: The parts of the page that change: the names of their events, and their templates.
PARTS = {
    "state": "broadcast_state.html",
    "levers": "broadcast_levers.html",
    "figures": "broadcast_figures.html",
    "beside": "broadcast_beside.html",
}
#: Seconds after which a browser has to come again, so that who may look is checked again.
LONGEST = 300.0
AGAIN = 1000  # milliseconds after which it does


@get("/{broadcast_id:int}/live")
async def live(
    request: AnyRequest,
    api: NamedDependency[Context],
    broadcast_id: PathId,
    seen: Annotated[str, QueryParameter(max_length=100)] = "",
) -> ServerSentEvent:
    """Follow a broadcast: an event for each part of its page that changed since the version `seen`."""
    async with database.transaction(api.engine) as connection:
        await queries.check_exists(connection, broadcast_id)
    seen = request.headers.get(LAST_EVENT_ID, seen)
    return ServerSentEvent(_changes(request, api, broadcast_id, seen), retry_duration=AGAIN)


async def _changes(
    request: AnyRequest, api: Context, broadcast_id: int, seen: str
) -> AsyncIterator[ServerSentEventMessage]:
    shown: dict[str, str] = {}
    ends = time.monotonic() + LONGEST
    leave = Leave(request)
    latest: Snapshot | None = None
    async with aclosing(api.hub.follow(broadcast_id)) as snapshots:
        async for each in snapshots:
            if not await leave.holds():
                return
            latest = each or latest
            if latest is None:
                yield STILL_HERE
                continue
            # Also without news: some words change with the time alone.
            parts = rendered(request, api, latest)
            if not shown and latest.version == seen:
                shown = parts  # as the page has it
            changed = [name for name, html in parts.items() if shown.get(name) != html]
            shown = parts
            for name in changed:
                # The id goes with the last: a browser that is cut off before asks for all of them again.
                version = latest.version if name == changed[-1] else None
                yield ServerSentEventMessage(event=name, data=parts[name], id=version)
            if not changed:
                yield STILL_HERE
            if latest.broadcast.state in LAST:
                yield ServerSentEventMessage(event="end", data="over")
            if time.monotonic() >= ends:
                return


def rendered(request: AnyRequest, api: Context, snapshot: Snapshot) -> dict[str, str]:
    """Return the parts of a broadcast's page that change, as whoever looks sees them."""
    values = broadcast_view.values(api, snapshot, api.clock())
    return {name: rendering.part(request, api, template, **values) for name, template in PARTS.items()}
