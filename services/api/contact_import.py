"""Importing contacts: a file of any length within the limit, a bounded part of it in memory, all of it or none.

Rows go into a temporary table and are merged in one statement: a number that comes twice is one contact with the tags
of both, a number that is there gets what is new. Nobody who opted out is opted in by it: that is kept by number.
"""

import asyncio
import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from litestar import Request, Response, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType

from libs.common import database
from libs.common.database import Connection
from services.api import contact_file, idempotency
from services.api.contact_file import Rejected, Row
from services.api.context import Context
from services.api.problems import InvalidFields
from services.api.schemas import Imported, RejectedLine

LARGEST = 64 * 1024 * 1024  # bytes; about a million contacts
IN_MEMORY = 1024 * 1024  # bytes; a larger file goes to the disk
CHUNK = 5000  # rows
LISTED = 1000  # rejected lines that the answer lists
MERGE_TIMEOUT = 900  # seconds; a million contacts take a minute or two

#: Where the file's rows go first.
STAGE = """
CREATE TEMPORARY TABLE staged (line integer, phone_number text, name text, tags text[]) ON COMMIT DROP
"""
COPY = "COPY staged (line, phone_number, name, tags) FROM STDIN"

#: Merges them into the contacts, in the order of the numbers so that two imports never wait for each other both ways.
MERGE = """
WITH numbers AS (
    SELECT phone_number, coalesce((array_agg(name ORDER BY line DESC) FILTER (WHERE name <> ''))[1], '') AS name
    FROM staged GROUP BY phone_number
), tagged AS (
    SELECT phone_number, array_agg(DISTINCT tag ORDER BY tag) AS tags FROM staged, unnest(tags) AS tag
    GROUP BY phone_number
), merged AS (
    INSERT INTO contacts AS c (phone_number, name, tags)
    SELECT phone_number, n.name, coalesce(t.tags, '{}') FROM numbers n LEFT JOIN tagged t USING (phone_number)
    ORDER BY phone_number
    ON CONFLICT (phone_number) DO UPDATE SET
        name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE c.name END,
        tags = ARRAY(SELECT DISTINCT tag FROM unnest(c.tags || excluded.tags) AS tag ORDER BY tag)
    WHERE (excluded.name <> '' AND excluded.name <> c.name) OR NOT c.tags @> excluded.tags
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS imported, count(*) FILTER (WHERE NOT is_new) AS updated,
       (SELECT count(*) FROM numbers) AS numbers
FROM merged
"""


@post("/contacts/import", status_code=200, request_max_body_size=LARGEST)
async def upload(request: Request[Any, Any, Any], api: NamedDependency[Context]) -> Response[Imported]:
    """Import a CSV file, as the body (`text/csv`) or as the part `file` of a form (`multipart/form-data`).

    Columns: phone_number (or phone), name, tags (separated by semicolons).
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        digest = await _receive(request, file)

        async def work(connection: Connection) -> Imported:
            file.seek(0)
            return await _import(connection, contact_file.read(file))

        answer = await idempotency.once(api.pool, request, work, answer=Imported, digest=digest)
    return answer.response()


async def _receive(request: Request[Any, Any, Any], file: IO[bytes]) -> bytes:
    """Put the file of a request aside and give its digest."""
    digest = hashlib.sha256()
    kind, _ = request.content_type
    if kind == RequestEncodingType.MULTI_PART:
        part = next((value for value in (await request.form()).values() if isinstance(value, UploadFile)), None)
        if part is None:
            raise InvalidFields(("file", "is missing"))
        while data := await part.read(IN_MEMORY):
            digest.update(data)
            file.write(data)
    elif kind in ("text/csv", "application/csv", "text/plain", "application/octet-stream"):
        async for data in request.stream():
            digest.update(data)
            file.write(data)
    else:
        raise InvalidFields(("Content-Type", "must be text/csv or multipart/form-data"))
    return digest.digest()


async def _import(connection: Connection, rows: Iterator[Row | Rejected]) -> Imported:
    rejected: list[RejectedLine] = []
    rejected_count = 0
    await connection.execute(STAGE)
    while chunk := await asyncio.to_thread(lambda: list(itertools.islice(rows, CHUNK))):
        async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for row in chunk:
                if isinstance(row, Row):
                    await copy.write_row((row.line, row.phone_number, row.name, row.tags))
                    continue
                rejected_count += 1
                if len(rejected) < LISTED:
                    rejected.append(RejectedLine(line=row.line, reason=row.reason))
    await database.allow(connection, MERGE_TIMEOUT)
    counts = await (await connection.execute(MERGE)).fetchone()
    assert counts is not None
    return Imported(
        imported=counts["imported"],
        updated=counts["updated"],
        unchanged=counts["numbers"] - counts["imported"] - counts["updated"],
        rejected=rejected,
        rejected_count=rejected_count,
    )


HANDLERS = (upload,)
