"""Importing contacts: a file of any length within the limit, a bounded part of it in memory, in a lane of its own.

First the file is read as a whole, outside any transaction, and the people in it are put aside: one that cannot be read
changes nothing. Then they are merged, some hundred at a time, each time in a transaction of some milliseconds: nobody
who says STOP meanwhile waits for longer than one of them. If it is cut off, what was merged stays, and the same file
again does the rest. Nobody who opted out is opted in by a file; who opted out by what it says is put on record with it.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, TypeAlias

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import QueryParameter

from libs.common.broadcasts import file_opt_outs
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.events.registers import ContactsImported
from libs.common.eventstore import store
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts import file_messages, file_process, queries, uploads
from services.api.contacts.files import attribute_columns, kinds, reading, spool
from services.api.contacts.files.__main__ import Read
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import Person, Summary, UnreadableFile
from services.api.contacts.queries import Merged
from services.api.context import Context
from services.api.http import correlation, idempotency, transactions
from services.api.http.contract import tells
from services.api.http.errors import InvalidFields, NotReady, TooBusy, UnsupportedMediaType
from services.api.http.fields import NO_NUL
from services.api.schemas import Imported, RejectedLine

LARGEST = 128 * 1024 * 1024  # bytes; a million contacts, also in UTF-16
CHUNK = 64 * 1024  # bytes that are taken in at once
#: Bytes up to which a file is read in a thread; a longer one gets a process, so that the event loop keeps this one's.
SHORT = 64 * 1024
SLICE = 500  # people that are merged in one transaction
RECEIVED_WITHIN = 300.0  # seconds

#: Whether columns that are nothing else become free attributes.
Attributes: TypeAlias = Annotated[bool, QueryParameter()]
#: Whether a column has the words that each person is to get, for a broadcast to the file.
Messages: TypeAlias = Annotated[bool, QueryParameter()]
#: What a file is called; the desk shows it.
FileName: TypeAlias = Annotated[str, QueryParameter(max_length=uploads.LONGEST_NAME, pattern=NO_NUL)]

#: How a file is sent.
TEXTS = ("text/csv",)
WORKBOOKS = (
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
)
#: What clients say of a file whose kind they do not know: it is read as what it is.
ANYTHING = ("application/csv", "text/plain", "application/octet-stream")
_FILE = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "text/csv",
    "description": "CSV, .xlsx or .ods with a line of headings",
}
FILE = {
    **dict.fromkeys((*TEXTS, *WORKBOOKS), _FILE),
    "multipart/form-data": {
        "type": "object",
        "properties": {"file": _FILE},
        "required": ["file"],
    },
}


@post(
    "/contacts/import", opt=tells(TooBusy, idempotent=True, body=FILE), status_code=200, request_max_body_size=LARGEST
)
async def upload(
    request: Request[Any, Any, Any],
    api: NamedDependency[Context],
    file_name: FileName = "",
    attributes: Attributes = False,  # noqa: FBT002 - a query has no positions
    messages: Messages = False,  # noqa: FBT002
) -> Response[Imported]:
    """Import a file, CSV, .xlsx or .ods, as the body or as the one file of a form (`multipart/form-data`).

    A text may be UTF-8, UTF-16 or Windows-1252. Of a workbook the first sheet that has rows is read.

    Columns: phone_number (or Phone, Mobile, Cell …), name, tags (separated by semicolons). Columns such as opted_out,
    unsubscribed, do_not_text, status, subscribed or consent tell who wants no messages; others are named in the answer.
    With `attributes` every other column becomes a free attribute. With `messages` a column message, and perhaps one
    follow_up, has the words that each person is to get: `POST /broadcasts` with `file` sends them. `file_name` is what
    the desk shows. While too many files are being imported the answer is 429: try again.
    """
    async with received(request, api) as (file, digest):
        kept = await idempotency.recall(api.imports, request, answer=Imported, digest=digest)
        if kept is not None:
            return kept.response()
        with tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
            aside = Path(folder) / "people"
            summary = await read(file, aside, api.settings.regions, attributes=attributes, messages=messages)
            cause = correlation.cause_of(request)
            import_id = await _begin(api, cause, file_name, summary)
            merged = await merge_all(api, cause, import_id, aside, summary)

    async def work(connection: Connection) -> Imported:
        await uploads.end(connection, import_id, api.clock())
        event = ContactsImported(imported=merged.imported, updated=merged.updated, opted_out=merged.opted_out)
        await store.append(connection, "contacts", [event], now=api.clock())
        return merged

    answer = await idempotency.once(api.imports, request, work, answer=Imported, digest=digest)
    return answer.response()


async def _begin(api: Context, cause: Cause, file_name: str, summary: Summary) -> int:
    found = msgspec.to_builtins(summary)

    async def work(connection: Connection) -> int:
        return await uploads.begin_at_once(connection, file_name, str(cause.actor), found, api.clock())

    return await transactions.retrying(api.imports, cause, work)


@asynccontextmanager
async def received(request: Request[Any, Any, Any], api: Context) -> AsyncIterator[tuple[IO[bytes], bytes]]:
    """Hold a place in the lane, and the file of a request with its digest, for the time of the block."""
    async with _place(request, api), _received(request) as given:
        yield given


@asynccontextmanager
async def _place(request: Request[Any, Any, Any], api: Context) -> AsyncIterator[None]:
    """Hold a place in the lane. The body waits with whoever sends it, and is thrown away where there is none."""
    place = api.import_lane.place()
    try:
        await place.__aenter__()
    except Exception:
        async for _ in request.stream():  # a client that is still writing would not see the answer
            pass
        raise
    try:
        yield
    finally:
        await place.__aexit__(None, None, None)


@asynccontextmanager
async def _received(request: Request[Any, Any, Any]) -> AsyncIterator[tuple[IO[bytes], bytes]]:
    """Put the file of a request aside; return it and its digest."""
    kind, _ = request.content_type
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as own:
        file: IO[bytes] = own
        try:
            async with asyncio.timeout(RECEIVED_WITHIN):
                if kind == RequestEncodingType.MULTI_PART:
                    file = await part(request)
                    while data := file.read(CHUNK):
                        digest.update(data)
                        await asyncio.sleep(0)
                elif kind in (*TEXTS, *WORKBOOKS, *ANYTHING):
                    async for data in request.stream():
                        digest.update(data)
                        file.write(data)
                else:
                    raise UnsupportedMediaType(
                        "Content-Type: must be text/csv, that of .xlsx or .ods, or multipart/form-data",
                        {"Accept": ", ".join((*TEXTS, *WORKBOOKS, "multipart/form-data"))},
                    )
        except TimeoutError:
            raise InvalidFields(
                ("file", filled("did not arrive within %(seconds)s seconds", seconds=format(RECEIVED_WITHIN, "g")))
            ) from None
        yield file, digest.digest()


async def part(request: Request[Any, Any, Any]) -> IO[bytes]:
    """Return the only file of a form."""
    form = await request.form()
    uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if not uploads:
        raise InvalidFields(("file", n_("is missing")))
    if len(uploads) > 1:
        raise InvalidFields(("file", filled("the form has %(number)s files: send one at a time", number=len(uploads))))
    file = uploads[0].file
    file.rollover()  # out of memory, to be read by others
    file.seek(0)
    return file


async def read(
    file: IO[bytes],
    aside: Path,
    regions: Sequence[str],
    roles: Sequence[Role] = (),
    *,
    attributes: bool = False,
    messages: bool = False,
) -> Summary:
    """Read a file; the people in it go aside. Raise InvalidFields if it cannot be read.

    `roles` say what each column is; without them the headings do, with `attributes` every other column becomes one, and
    with `messages` one has the words that each person is to get.
    """
    file.flush()
    try:
        is_short = file.seek(0, os.SEEK_END) <= SHORT
        file.seek(0)
        if is_short and not kinds.is_container(file):
            return await asyncio.to_thread(
                reading.read, file, aside, regions, roles, attributes=attributes, messages=messages
            )
        return await file_process.read(file, Read(str(aside), regions, roles, attributes, messages))
    except UnreadableFile as error:
        raise InvalidFields((error.field, error.reason)) from None
    except OSError as error:
        raise NotReady(f"there is no room to read the file ({error.strerror})") from error


async def stored(file: IO[bytes], target: Path) -> IO[bytes]:
    """Return what is stored of a file until it is imported: its own bytes, or the rows of a workbook.

    Raise UnreadableFile, NotReady.
    """
    file.seek(0)
    if not kinds.is_container(file):
        return file
    await file_process.store(file, target, LARGEST)
    return target.open("rb")


async def merge_all(api: Context, cause: Cause, import_id: int, aside: Path, summary: Summary) -> Imported:
    """Merge all people that were put aside, slice by slice, and note with the import how far it came."""
    imported = updated = opted_out = full = 0
    after = ""
    while given := await asyncio.to_thread(spool.read, aside, after, SLICE):
        people = [_typed(person, summary) for person in given]

        async def work(connection: Connection, people: Sequence[Person] = people) -> tuple[Merged, int]:
            merged, out = await _merge(connection, import_id, people, api.clock())
            await uploads.note(
                connection,
                import_id,
                api.clock(),
                people=len(people),
                new=merged.imported,
                changed=merged.updated,
                out=out,
            )
            return merged, out

        merged, out = await transactions.retrying(api.imports, cause, work)
        imported, updated, full = imported + merged.imported, updated + merged.updated, full + merged.full
        opted_out += out
        after = people[-1].phone_number
    return Imported(
        import_id=import_id,
        imported=imported,
        updated=updated,
        unchanged=summary.people - imported - updated,
        rejected=[RejectedLine(line=each.line, reason=each.reason) for each in summary.rejected],
        rejected_count=summary.rejected_count,
        opted_out=opted_out,
        full=full,
        passed_over=summary.passed_over,
        encoding=summary.encoding,
        sheet=summary.sheet,
        other_sheets=summary.other_sheets,
        attributes=dict(summary.attributes),
    )


def _typed(person: Person, summary: Summary) -> Person:
    if not person.attributes:
        return person
    return replace(person, attributes=attribute_columns.typed(person.attributes, summary.attributes))


async def _merge(connection: Connection, import_id: int, people: Sequence[Person], now: datetime) -> tuple[Merged, int]:
    """Merge some people; return what became of them, and how many are opted out now."""
    out = [person.phone_number for person in people if person.opted_out]
    await file_opt_outs.alone(connection, out)
    merged = await queries.merge(connection, import_id, people)
    await file_messages.keep(connection, import_id, people)
    return merged, await file_opt_outs.record(connection, import_id, out, now)


HANDLERS = (upload,)
