"""Replies as CSV: without numbers for whoever may look, with them for whoever may change something."""

from collections.abc import AsyncIterator
from typing import Any

from litestar.response import Stream

from libs.common import database
from services.api.context import Context
from services.api.http import csv_export
from services.api.http.fields import BIGGEST
from services.api.replies import queries
from services.api.replies.queries import Filters
from services.api.replies.schemas import Reply

#: What says who wrote: left out of an export without numbers.
OF_PEOPLE = ("phone_number", "sender", "name", "missive_url")
COLUMNS = tuple(name for name in Reply.__struct_fields__ if name not in OF_PEOPLE)
WITH_NUMBERS = (*COLUMNS, *OF_PEOPLE)


def spreadsheet(api: Context, filters: Filters, *, with_numbers: bool) -> Stream:
    """Return an answer with one line a reply, the newest first."""
    name = "replies-with-numbers.csv" if with_numbers else "replies.csv"
    return csv_export.answer(_lines(api, filters, WITH_NUMBERS if with_numbers else COLUMNS), name)


async def _lines(api: Context, filters: Filters, columns: tuple[str, ...]) -> AsyncIterator[str]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    yield csv_export.line(columns)
    before = BIGGEST
    while True:
        async with database.transaction(api.engine) as connection:
            page = await queries.page(connection, filters, before=before, limit=csv_export.LINES)
        yield "".join(csv_export.line(_cells(reply, columns)) for reply in page.items)
        if page.next_cursor is None:
            return
        before = int(page.next_cursor)


def _cells(reply: Reply, columns: tuple[str, ...]) -> list[Any]:
    return [getattr(reply, name) for name in columns]
