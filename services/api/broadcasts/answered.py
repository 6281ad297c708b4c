"""How past broadcasts were answered, for programs: what `/desk/history` shows to people."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from libs.common import database
from services.api.broadcasts import responses
from services.api.broadcasts.rates import Rate
from services.api.context import Context
from services.api.http import pagination
from services.api.http.fields import BIGGEST, LARGEST_PAGE, Cursor, Moment

PAGE = 20


class ResponseRate(Struct, kw_only=True):
    """How many of those who got a message replied, and how sure that is."""

    delivered: int
    #: In words of their own. Whoever asked for a stop has not replied here.
    replied: int
    #: `replied` of `delivered`, from 0 to 1; 0 of nobody.
    share: float
    #: Between these shares lies the true one in 95 cases of 100 (Wilson's score interval).
    low: float
    high: float


class AnsweredBroadcast(Struct, kw_only=True):
    """A broadcast that is over."""

    broadcast_id: int
    began_at: Moment
    first_message: str
    recipients: int
    #: Null where the broadcasts before it on the page have as many recipients as one page counts.
    rate: ResponseRate | None


class AnsweredSegment(Struct, kw_only=True):
    """Those who were drawn from a segment."""

    name: str
    rate: ResponseRate


class AnsweredHour(Struct, kw_only=True):
    """Those whose message went out in an hour of the day, by the organisation's clocks."""

    hour: Annotated[int, Meta(ge=0, le=23)]
    rate: ResponseRate


class ResponseRates(Struct, kw_only=True):
    """How the broadcasts of a page were answered: together, one by one, by segment, by hour."""

    total: ResponseRate
    items: list[AnsweredBroadcast]
    segments: list[AnsweredSegment]
    hours: list[AnsweredHour]
    #: Asks for the next page, of older broadcasts; null at the end.
    next_cursor: str | None


@get("/responses")
async def index(
    api: NamedDependency[Context],
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE)] = PAGE,
    cursor: Cursor = None,
) -> ResponseRates:
    """Say how past broadcasts were answered, the newest first: of those who got the first message, how many replied."""
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await responses.past(connection, before=before, limit=limit + 1)
        page = pagination.cut(found, limit, lambda broadcast: str(broadcast.id))
        counted = responses.countable(page.items)
        answers = await responses.read(connection, counted, api.settings.zone)
    return ResponseRates(
        total=_rate(answers.total),
        items=[
            AnsweredBroadcast(
                broadcast_id=each.id,
                began_at=each.began_at,
                first_message=each.first_message,
                recipients=each.recipients,
                rate=_rate(answers.by_broadcast.get(each.id, Rate())) if each.id in counted else None,
            )
            for each in page.items
        ],
        segments=[
            AnsweredSegment(name=name, rate=_rate(rate))
            for name, rate in sorted(answers.by_segment.items(), key=lambda each: -each[1].delivered)
        ],
        hours=[AnsweredHour(hour=hour, rate=_rate(rate)) for hour, rate in sorted(answers.by_hour.items())],
        next_cursor=page.next_cursor,
    )


def _rate(rate: Rate) -> ResponseRate:
    low, high = rate.interval
    return ResponseRate(delivered=rate.delivered, replied=rate.replied, share=rate.share, low=low, high=high)


HANDLERS = (index,)
