"""Keywords by which people sign up: who texts one is tagged, and gets its welcome."""

from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from services.api.context import Context
from services.api.http import idempotency, pagination, transactions, versions
from services.api.http.contract import LOCATION, tells
from services.api.http.errors import NameTaken
from services.api.http.fields import PAGE, Cursor, Limit, PathId
from services.api.keywords import changes, queries
from services.api.keywords.schemas import Keyword, KeywordChanges, NewKeyword
from services.api.schemas import Page


@post("/keywords", opt=tells(NameTaken, idempotent=True, versioned=True, answers=LOCATION))
async def create(
    request: Request[Any, Any, Any], api: NamedDependency[Context], data: JSONBody[NewKeyword]
) -> Response[Keyword]:
    """Make a keyword. Who texts it is tagged, and gets its welcome; with a question, once they have said YES to it."""

    async def work(connection: Connection) -> Keyword:
        return await changes.create(connection, data, api.clock())

    answer = await idempotency.once(api.engine, request, work, answer=Keyword, status=201)
    return answer.response({"Location": f"/keywords/{answer.content.id}", "ETag": versions.tag(answer.content)})


@get("/keywords")
async def index(api: NamedDependency[Context], limit: Limit = PAGE, cursor: Cursor = None) -> Page[Keyword]:
    """List keywords, oldest first."""
    after = pagination.number(cursor, 0)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, after=after, limit=limit + 1)
    return pagination.cut(found, limit, lambda keyword: str(keyword.id))


@get("/keywords/{keyword_id:int}", opt=tells(versioned=True))
async def show(api: NamedDependency[Context], keyword_id: PathId) -> Response[Keyword]:
    """Return one keyword."""
    async with database.transaction(api.engine) as connection:
        return versions.tagged(await queries.one(connection, keyword_id))


@patch("/keywords/{keyword_id:int}", opt=tells(NameTaken, versioned=True))
async def change(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    keyword_id: PathId,
    data: JSONBody[KeywordChanges],
) -> Response[Keyword]:
    """Change a keyword, for whoever texts it from now on; `"question": null` has the word alone be enough.

    With `If-Match` it is changed only if it is still the version that has this `ETag`; else 412.
    """
    wanted = versions.asked(request)

    async def work(connection: Connection) -> Keyword:
        return await changes.change(connection, keyword_id, data, api.clock(), wanted=wanted)

    return versions.tagged(await transactions.retrying(api.engine, cause, work))


@delete("/keywords/{keyword_id:int}")
async def remove(api: NamedDependency[Context], cause: NamedDependency[Cause], keyword_id: PathId) -> None:
    """Delete a keyword: it means nothing any more. Who has signed up by it stays; who has still to say YES need not."""

    async def work(connection: Connection) -> None:
        await changes.delete(connection, keyword_id, api.clock())

    await transactions.retrying(api.engine, cause, work)


HANDLERS = (create, index, show, change, remove)
