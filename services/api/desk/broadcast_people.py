"""The people whose message has an outcome, as CSV."""

from collections.abc import AsyncIterator
from datetime import datetime

from litestar import get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Stream

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from services.api.broadcasts import outcomes, queries
from services.api.broadcasts.outcomes import Group, Outcomes
from services.api.context import Context
from services.api.desk.reply_filters import Query
from services.api.http import csv_export
from services.api.http.fields import ChosenId, PathId

COLUMNS = ("name", "phone_number", "what_became_of_it", "code", "what_to_do")


async def group(connection: Connection, broadcast_id: int, message: str, key: str, now: datetime) -> Group:
    """Return those whose first message, or follow-up, has an outcome. Raise NotFound where there are none.

    Call it before anything else is read.
    """
    await queries.take_one_snapshot(connection)
    await queries.check_exists(connection, broadcast_id)
    first, second = await outcomes.read(connection, broadcast_id, now)
    found = {"first": first, "follow-up": second}.get(message, Outcomes()).group(key)
    if found is None:
        raise NotFoundException
    return found


@get("/{broadcast_id:int}/{message:str}/{key:str}/people.csv")
async def people_csv(
    api: NamedDependency[Context],
    broadcast_id: PathId,
    message: FromPath[str],
    key: FromPath[str],
    find: Query = "",
    segment: ChosenId = "",
) -> Stream:
    """Return the people of a list, as it is narrowed down, as CSV."""
    drawn_from = int(segment) if segment else None
    async with database.transaction(api.engine) as connection:
        those = await group(connection, broadcast_id, message, key, api.clock())
    return csv_export.answer(_lines(api, broadcast_id, those, find, drawn_from), f"broadcast-{broadcast_id}-people.csv")


async def _lines(api: Context, broadcast_id: int, those: Group, find: str, segment: int | None) -> AsyncIterator[str]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    yield csv_export.line(COLUMNS)
    after = 0
    while True:
        async with database.transaction(api.engine) as connection:
            found = await outcomes.recipients(
                connection, broadcast_id, those, find=find, segment=segment, after=after, limit=csv_export.LINES
            )
        if not found:
            return
        yield "".join(
            csv_export.line(
                (
                    each.name,
                    each.phone_number,
                    _(each.explanation.sentence),
                    each.explanation.code,
                    _(each.explanation.advice) if each.explanation.advice else "",
                )
            )
            for each in found
        )
        after = found[-1].contact_id
