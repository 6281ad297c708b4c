"""A file of contacts, read as a trial: what would come of it, and every line that cannot be taken. Nothing changes."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.response import Stream
from msgspec import Struct

from services.api.contacts import imports
from services.api.contacts.files import reading
from services.api.contacts.imports import Attributes, Messages
from services.api.context import Context
from services.api.http.contract import tells
from services.api.http.errors import TooBusy
from services.api.schemas import RejectedLine

BLOCK = 64 * 1024  # bytes of a file that are sent at once


class ImportTrial(Struct, kw_only=True):
    """What a file holds; the first thousand lines that would be rejected are listed."""

    #: Distinct numbers that would be imported, or are contacts already.
    people: int
    rejected: list[RejectedLine]
    rejected_count: int
    #: Headings of the columns that would not be read.
    passed_over: list[str]
    #: In which encoding a text was read; empty of a workbook.
    encoding: str
    #: Which sheet of a workbook was read, and which were not; empty of a text.
    sheet: str
    other_sheets: list[str]
    #: Free attributes that columns would become, and of which kind: text, number, date, yes/no.
    attributes: dict[str, str]


@post(
    "/contacts/import/check",
    opt=tells(TooBusy, body=imports.FILE),
    status_code=200,
    request_max_body_size=imports.LARGEST,
)
async def check(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    attributes: Attributes = False,  # noqa: FBT002 - a query has no positions
    messages: Messages = False,  # noqa: FBT002
) -> ImportTrial:
    """Read a file as `POST /contacts/import` would, and change nothing."""
    async with imports.received(request, api) as (file, _):
        with tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
            aside = Path(folder) / "people"
            summary = await imports.read(file, aside, api.settings.regions, attributes=attributes, messages=messages)
    return ImportTrial(
        people=summary.people,
        rejected=[RejectedLine(line=each.line, reason=each.reason) for each in summary.rejected],
        rejected_count=summary.rejected_count,
        passed_over=summary.passed_over,
        encoding=summary.encoding,
        sheet=summary.sheet,
        other_sheets=summary.other_sheets,
        attributes=dict(summary.attributes),
    )


@post(
    "/contacts/import/rejected.csv",
    opt=tells(TooBusy, body=imports.FILE),
    media_type="text/csv",
    status_code=200,
    request_max_body_size=imports.LARGEST,
)
async def rejected(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    attributes: Attributes = False,  # noqa: FBT002 - a query has no positions
    messages: Messages = False,  # noqa: FBT002
) -> Stream:
    """Read a file as a trial and return every line that would be rejected: line, reason, the number as given."""
    async with imports.received(request, api) as (file, _):
        with tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
            aside = Path(folder) / "people"
            await imports.read(file, aside, api.settings.regions, attributes=attributes, messages=messages)
            return rejected_file(aside, "rejected.csv")


def rejected_file(aside: Path, name: str) -> Stream:
    """Return the lines that were rejected as a file to save; they are read on when their file has no name any more."""
    file = reading.rejected_beside(aside).open("rb")

    async def body() -> AsyncIterator[bytes]:
        with file:
            while block := file.read(BLOCK):
                yield block

    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(body(), media_type="text/csv; charset=utf-8; header=present", headers=headers)


HANDLERS = (check, rejected)
