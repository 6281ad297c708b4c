"""The consent register, for an auditor."""

from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from libs.common.domain.cause import Cause
from libs.common.errors import Conflict
from services.api.consent import exporting
from services.api.consent.exporting import Form, Numbers
from services.api.context import Context
from services.api.http.contract import tells

EXPORT = tells(Conflict, answers={"Content-Disposition": "the name of the file"})

NumbersName = Annotated[Literal["plain", "hashed"], QueryParameter()]


@get("/consent/export.csv", opt=EXPORT, media_type="text/csv")
async def as_csv(
    api: NamedDependency[Context], cause: NamedDependency[Cause], numbers: NumbersName = "plain"
) -> Stream:
    """Return every opt-out and opt-in as CSV (RFC 4180, UTF-8): what, when, source, words, note, who recorded it.

    With `numbers=hashed` each number is its HMAC-SHA256 with `BROADSHEET_CONSENT_HASH_KEY`. That it was taken is on
    record.
    """
    return await exporting.export(api, cause, Form.CSV, Numbers(numbers))


@get("/consent/export.jsonl", opt=EXPORT, media_type=exporting.JSON_LINES)
async def as_json_lines(
    api: NamedDependency[Context], cause: NamedDependency[Cause], numbers: NumbersName = "plain"
) -> Stream:
    """Return the same, one JSON object a line."""
    return await exporting.export(api, cause, Form.JSONL, Numbers(numbers))


HANDLERS = (as_csv, as_json_lines)
