"""Who did what."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from libs.common import database
from services.api.audit import queries
from services.api.audit.queries import Entry
from services.api.context import Context
from services.api.http import pagination
from services.api.http.fields import BIGGEST, NO_NUL, PAGE, Cursor, Limit
from services.api.schemas import Page


@get("/audit")
async def index(
    api: NamedDependency[Context],
    actor: Annotated[str | None, QueryParameter(max_length=120, pattern=NO_NUL)] = None,
    subject: Annotated[str | None, QueryParameter(max_length=120, pattern=NO_NUL)] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[Entry]:
    """List what people and programs did, the newest first: all, or what one `actor` did, such as `user:7`.

    With a `subject`, such as `broadcast-12`, what was done to it by whomever, services and carriers among them.
    """
    before = pagination.number(cursor, BIGGEST)
    async with database.transaction(api.engine) as connection:
        found = await queries.page(connection, actor=actor, subject=subject, before=before, limit=limit + 1)
    return pagination.cut(found, limit, lambda entry: str(entry.position))


HANDLERS = (index,)
