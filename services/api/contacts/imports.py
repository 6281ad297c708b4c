"""Importing contacts: a file of any length within the limit, a bounded part of it in memory, in a lane of its own.

First the file is read as a whole, outside any transaction, and the people in it are put aside: one that cannot be read
changes nothing. Then they are merged, some hundred at a time, each time in a transaction of some milliseconds: nobody
who says STOP meanwhile waits for longer than one of them. If it is cut off, what was merged stays, and the same file
again does the rest. Nobody who opted out is opted in by a file; who opted out by what it says is put on record with it.
"""

import asyncio
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType

from libs.common.broadcasts import file_opt_outs
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.events.registers import ContactsImported
from libs.common.eventstore import store
from libs.common.settings import PREFIX
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts import files, queries, uploads
from services.api.contacts.files import reading, spool
from services.api.contacts.files.__main__ import UNREADABLE
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import Person, Summary, UnreadableFile
from services.api.contacts.queries import Merged
from services.api.context import Context
from services.api.http import correlation, idempotency, transactions
from services.api.http.contract import tells
from services.api.http.errors import InvalidFields, NotReady, TooBusy, UnsupportedMediaType
from services.api.schemas import Imported, RejectedLine

LARGEST = 64 * 1024 * 1024  # bytes; about a million contacts
CHUNK = 64 * 1024  # bytes that are taken in at once
#: Bytes up to which a file is read in a thread; a longer one gets a process, so that the event loop keeps this one's.
SHORT = 64 * 1024
SLICE = 500  # people that are merged in one transaction
RECEIVED_WITHIN = 300.0  # seconds
READ_WITHIN = 900.0  # seconds

#: How a file is sent.
_CSV = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "text/csv",
    "description": "CSV in UTF-8 with a line of headings",
}
FILE = {
    "text/csv": _CSV,
    "multipart/form-data": {
        "type": "object",
        "properties": {"file": _CSV},
        "required": ["file"],
    },
}


@post(
    "/contacts/import", opt=tells(TooBusy, idempotent=True, body=FILE), status_code=200, request_max_body_size=LARGEST
)
async def upload(request: Request[Any, Any, Any], api: NamedDependency[Context]) -> Response[Imported]:
    """Import a CSV file, as the body (`text/csv`) or as the one file of a form (`multipart/form-data`).

    Columns: phone_number (or Phone, Mobile, Cell …), name, tags (separated by semicolons). Columns such as opted_out,
    unsubscribed, do_not_text, status, subscribed or consent tell who wants no messages; others are named in the answer.
    While too many files are being imported the answer is 429: try again.
    """
    async with _place(request, api), _received(request) as (file, digest):
        kept = await idempotency.recall(api.imports, request, answer=Imported, digest=digest)
        if kept is not None:
            return kept.response()
        with tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
            aside = Path(folder) / "people"
            summary = await read(file, aside, api.settings.regions)
            cause = correlation.cause_of(request)
            import_id = await _begin(api, cause)
            merged = await merge_all(api, cause, import_id, aside, summary)

    async def work(connection: Connection) -> Imported:
        await uploads.end(connection, import_id, api.clock())
        event = ContactsImported(imported=merged.imported, updated=merged.updated, opted_out=merged.opted_out)
        await store.append(connection, "contacts", [event], now=api.clock())
        return merged

    answer = await idempotency.once(api.imports, request, work, answer=Imported, digest=digest)
    return answer.response()


async def _begin(api: Context, cause: Cause) -> int:
    async def work(connection: Connection) -> int:
        return await uploads.begin_at_once(connection, str(cause.actor), api.clock())

    return await transactions.retrying(api.imports, cause, work)


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
                elif kind in ("text/csv", "application/csv", "text/plain", "application/octet-stream"):
                    async for data in request.stream():
                        digest.update(data)
                        file.write(data)
                else:
                    raise UnsupportedMediaType(
                        "Content-Type: must be text/csv or multipart/form-data",
                        {"Accept": "text/csv, multipart/form-data"},
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


async def read(file: IO[bytes], aside: Path, regions: Sequence[str], roles: Sequence[Role] = ()) -> Summary:
    """Read a file; the people in it go aside. Raise InvalidFields if it cannot be read.

    `roles` say what each column is; without them the headings do.
    """
    file.flush()
    try:
        if file.seek(0, os.SEEK_END) <= SHORT:
            return await asyncio.to_thread(reading.read, file, aside, regions, roles)
        return await _read_elsewhere(file, aside, regions, roles)
    except UnreadableFile as error:
        raise InvalidFields((error.field, error.reason)) from None
    except OSError as error:
        raise NotReady(f"there is no room to read the file ({error.strerror})") from error


async def _read_elsewhere(file: IO[bytes], aside: Path, regions: Sequence[str], roles: Sequence[Role]) -> Summary:
    """Read a file in a process of its own, which is given neither secrets nor connections."""
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", files.__name__, str(aside), ",".join(regions),
        msgspec.json.encode(roles).decode(),
        stdin=file, stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(READ_WITHIN):
            said, _ = await process.communicate()
    except TimeoutError:
        raise UnreadableFile(
            "file", filled("could not be read within %(seconds)s seconds: divide it", seconds=format(READ_WITHIN, "g"))
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == UNREADABLE:
        problem = msgspec.json.decode(said, type=dict[str, str])
        raise UnreadableFile(problem["field"], problem["reason"])
    if process.returncode != 0:
        raise NotReady("the file could not be read: there was no room or no time for it")
    return msgspec.json.decode(said, type=Summary)


async def merge_all(api: Context, cause: Cause, import_id: int, aside: Path, summary: Summary) -> Imported:
    """Merge all people that were put aside, slice by slice, and note with the import how far it came."""
    imported = updated = opted_out = full = 0
    after = ""
    while people := await asyncio.to_thread(spool.read, aside, after, SLICE):

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
    )


async def _merge(connection: Connection, import_id: int, people: Sequence[Person], now: datetime) -> tuple[Merged, int]:
    """Merge some people; return what became of them, and how many are opted out now."""
    out = [person.phone_number for person in people if person.opted_out]
    await file_opt_outs.alone(connection, out)
    merged = await queries.merge(connection, import_id, people)
    return merged, await file_opt_outs.record(connection, import_id, out, now)


HANDLERS = (upload,)
