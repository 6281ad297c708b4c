"""Settings › Keywords: the words by which people sign up."""

from collections.abc import Awaitable, Callable

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import transactions, versions
from services.api.http.errors import Changed, InvalidFields, NameTaken
from services.api.http.fields import PathId
from services.api.keywords import changes, queries
from services.api.keywords.schemas import KeywordChanges, NewKeyword

MOST = 200  # that the page lists
ADDRESS = "/desk/settings/keywords"
#: The fields in the words of the page.
FIELDS = {
    "word": n_("The word"),
    "tag": n_("The tag"),
    "welcome": n_("The welcome"),
    "question": n_("The question"),
}


@get("/")
async def index(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show the keywords, and a form for another one."""
    return await _index(request, api)


@post("/", status_code=200)
async def create(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Template | Redirect:
    """Make a keyword; one that cannot be is shown again, with what is wrong."""
    given = _given(data)

    async def work(connection: Connection) -> None:
        wish = NewKeyword(
            word=given["word"], tag=given["tag"], welcome=given["welcome"], question=given["question"] or None
        )
        await changes.create(connection, wish, api.clock())

    wrong = await _try(api, cause, work)
    if wrong:
        return await _index(request, api, wrong=wrong, given=given)
    return Redirect(ADDRESS, status_code=303)


@get("/{keyword_id:int}")
async def show(request: AnyRequest, api: NamedDependency[Context], keyword_id: PathId) -> Template:
    """Show a keyword, and change it."""
    return await _one(request, api, keyword_id)


@post("/{keyword_id:int}", status_code=200)
async def change(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    keyword_id: PathId,
    data: Form,
) -> Template | Redirect:
    """Change a keyword, if it is still what the page showed."""
    given = _given(data)

    async def work(connection: Connection) -> None:
        wish = KeywordChanges(
            word=given["word"], tag=given["tag"], welcome=given["welcome"], question=given["question"] or None
        )
        wanted = frozenset({data.get("version", "")})
        await changes.change(connection, keyword_id, wish, api.clock(), wanted=wanted)

    wrong = await _try(api, cause, work)
    if wrong:
        return await _one(request, api, keyword_id, wrong=wrong, given=given)
    return Redirect(ADDRESS, status_code=303)


@post("/{keyword_id:int}/delete")
async def remove(api: NamedDependency[Context], cause: NamedDependency[Cause], keyword_id: PathId) -> Redirect:
    """Delete a keyword."""

    async def work(connection: Connection) -> None:
        await changes.delete(connection, keyword_id, api.clock())

    await transactions.retrying(api.engine, cause, work)
    return Redirect(ADDRESS, status_code=303)


def _given(data: dict[str, str]) -> dict[str, str]:
    return {name: data.get(name, "").replace("\r\n", "\n").strip() for name in FIELDS}


async def _try(api: Context, cause: Cause, work: Callable[[Connection], Awaitable[None]]) -> dict[str, str]:
    """Do something about a keyword; return what is wrong, by field."""
    try:
        await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        # What is wrong with a tag names it.
        return {
            name: faults.whole(why) if name == "tag" else faults.of(_(FIELDS[name]), why) for name, why in error.fields
        }
    except NameTaken:
        return {"word": _("There is a keyword of this word already.")}
    except Changed:
        return {"word": _("Somebody has changed it meanwhile. This is what it is now: change it again.")}
    return {}


async def _index(
    request: AnyRequest,
    api: Context,
    *,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Template:
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, after=0, limit=MOST)
    return rendering.page(
        request,
        api,
        "keywords.html",
        status=422 if wrong else 200,
        section="settings",
        keywords=found,
        given=given or {},
        wrong=wrong or {},
    )


async def _one(
    request: AnyRequest,
    api: Context,
    keyword_id: int,
    *,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> Template:
    async with database.transaction(api.engine) as connection:
        keyword = await queries.one(connection, keyword_id)
    as_it_is = {
        "word": keyword.word.upper(),
        "tag": keyword.tag,
        "welcome": keyword.welcome,
        "question": keyword.question or "",
    }
    return rendering.page(
        request,
        api,
        "keyword.html",
        status=422 if wrong else 200,
        section="settings",
        keyword=keyword,
        version=versions.tag(keyword),
        given=given or as_it_is,
        wrong=wrong or {},
    )


ROUTER = Router("/keywords", route_handlers=[index, create, show, change, remove])
