"""Our numbers, and how each sends."""

from typing import Any

from litestar import Request, Response, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from services.api.context import Context
from services.api.http import transactions, versions
from services.api.http.contract import tells
from services.api.http.fields import PathId
from services.api.numbers import register
from services.api.numbers.schemas import ListedNumber, Number, NumberChanges


@get("/numbers")
async def index(api: NamedDependency[Context]) -> list[ListedNumber]:
    """List our numbers, with how each sends and how it does. The settings say which numbers are ours."""
    async with database.transaction(api.engine) as connection:
        return await register.everything(connection, api.settings, api.clock())


@get("/numbers/{number_id:int}", opt=tells(versioned=True))
async def show(api: NamedDependency[Context], number_id: PathId) -> Response[Number]:
    """Return how one of our numbers sends."""
    async with database.transaction(api.engine) as connection:
        return versions.tagged(await register.one(connection, number_id, api.settings))


@patch("/numbers/{number_id:int}", opt=tells(versioned=True))
async def change(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    number_id: PathId,
    data: JSONBody[NumberChanges],
) -> Response[Number]:
    """Change how one of our numbers sends, from its next batch on: within a minute.

    With `If-Match` it is changed only if it is still the version that has this `ETag`; else 412.
    """
    wanted = versions.asked(request)

    async def work(connection: Connection) -> Number:
        return await register.change(connection, number_id, data, api.settings, api.clock(), wanted=wanted)

    return versions.tagged(await transactions.retrying(api.engine, cause, work))


HANDLERS = (index, show, change)
