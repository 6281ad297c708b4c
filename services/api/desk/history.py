"""History: how past broadcasts were answered, of a hundred who got them, and how sure that is."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Template

from libs.common import database
from services.api.broadcasts import responses
from services.api.broadcasts.rates import Rate
from services.api.broadcasts.responses import Past, Responses
from services.api.context import Context
from services.api.desk import rendering, response_words
from services.api.http import pagination
from services.api.http.fields import BIGGEST, Cursor

PAGE = 20  # broadcasts on a page
GROUPS = 20  # groups on a page, those of the most people


@get("/")
async def show(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    cursor: Cursor = None,
    one: Annotated[int | None, QueryParameter(ge=1, le=BIGGEST)] = None,
    other: Annotated[int | None, QueryParameter(ge=1, le=BIGGEST)] = None,
) -> Template:
    """Show how past broadcasts were answered; `one` is compared with `other`, else the two newest."""
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await responses.past(connection, before=before, limit=PAGE + 1)
        page = pagination.cut(found, PAGE, lambda broadcast: str(broadcast.id))
        counted = responses.countable(page.items)
        answers = await responses.read(connection, counted, api.settings.zone)
    comparable = [each for each in page.items if each.id in answers.by_broadcast]
    return rendering.page(
        request,
        api,
        "history.html",
        section="broadcasts",
        page=page,
        answers=answers,
        counted=counted,
        groups=sorted(answers.by_segment.items(), key=lambda each: -each[1].delivered)[:GROUPS],
        hours=sorted(answers.by_hour.items()),
        scale=_scale(answers),
        comparable=comparable,
        compared=_pair(comparable, one, other),
        words=response_words,
        cursor=cursor,
        nobody=Rate(),
    )


def _scale(answers: Responses) -> float:
    """Return the share at which the pictures end: all have the same scale, so that they can be compared."""
    rates = [*answers.by_broadcast.values(), *answers.by_segment.values(), *answers.by_hour.values()]
    return max([0.1, *(rate.interval[1] for rate in rates if rate.delivered >= response_words.FEWEST)])


def _pair(comparable: list[Past], one: int | None, other: int | None) -> tuple[Past, Past] | None:
    """Return the two that are compared: those that are asked for, else the newest."""
    if len(comparable) < 2:
        return None
    known = {each.id: each for each in comparable}
    first = known.get(one or 0, comparable[0])
    second = known.get(other or 0, next(each for each in comparable if each is not first))
    return first, second


ROUTER = Router("/history", route_handlers=[show])
