"""The consent register as a file for an auditor, in a stream. That it was taken is on record, with who took it."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from litestar.response import Stream

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.events.registers import ConsentExported
from libs.common.domain.keywords import Wish
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.consent import queries
from services.api.consent.queries import Said
from services.api.context import Context
from services.api.http import csv_export, transactions

STREAM = "consent"
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
JSON_LINES = "application/jsonl"

#: What a wish is called in the file.
SAID = {Wish.STOP: "opt_out", Wish.START: "opt_in"}
#: The columns behind the first, which is the number, or what stands for it.
COLUMNS = (
    "said", "at", "source", "words", "note", "actor", "actor_name", "contact_id", "opted_out_now",
)  # fmt: skip


class Numbers(StrEnum):
    """How a number stands in the file."""

    PLAIN = "plain"
    #: As its HMAC-SHA256 with `CONSENT_HASH_KEY`, in hex: whoever has the key can look a number up, nobody else can.
    HASHED = "hashed"


class Form(StrEnum):
    """What the file is."""

    CSV = "csv"
    JSONL = "jsonl"


async def export(api: Context, cause: Cause, form: Form, numbers: Numbers) -> Stream:
    """Return an answer with one line a yes or a no. Raise Conflict where numbers cannot be hashed."""
    key = api.settings.consent_hash_key.get_secret_value().encode() if numbers is Numbers.HASHED else None
    if key == b"":
        raise Conflict(n_("BROADSHEET_CONSENT_HASH_KEY is not set: numbers cannot be hashed without it"))

    async def work(connection: Connection) -> None:
        event = ConsentExported(form=form, hashed=key is not None)
        await store.append(connection, STREAM, [event], now=api.clock())

    await transactions.retrying(api.engine, cause, work)
    if form is Form.CSV:
        return csv_export.answer(_csv(api, key), "consent.csv")
    headers = {"Content-Disposition": 'attachment; filename="consent.jsonl"'}
    return Stream(_json_lines(api, key), media_type=JSON_LINES, headers=headers)


async def _csv(api: Context, key: bytes | None) -> AsyncIterator[str]:
    yield csv_export.line((_first_column(key), *COLUMNS))
    async for page in _pages(api):
        yield "".join(csv_export.line(_values(each, key)) for each in page)


async def _json_lines(api: Context, key: bytes | None) -> AsyncIterator[bytes]:
    names = (_first_column(key), *COLUMNS)
    async for page in _pages(api):
        lines = (msgspec.json.encode(dict(zip(names, _values(each, key), strict=True))) for each in page)
        yield b"\n".join(lines) + b"\n"


async def _pages(api: Context) -> AsyncIterator[list[Said]]:
    """Read page by page: a client that reads slowly holds neither memory nor a transaction open."""
    last: Said | None = None
    while True:
        async with database.transaction(api.engine) as connection:
            page = list(await queries.behind(connection, last, BEFORE_ALL, csv_export.LINES))
        if not page:
            return
        yield page
        last = page[-1]


def _first_column(key: bytes | None) -> str:
    return "phone_number" if key is None else "number_hash"


def _values(said: Said, key: bytes | None) -> tuple[Any, ...]:
    number = said.phone_number if key is None else hash_number(key, said.phone_number)
    return (
        number, SAID[said.wish], said.at, said.source, said.words, said.note, said.actor, said.actor_name,
        said.contact_id, said.opted_out_now,
    )  # fmt: skip


def hash_number(key: bytes, phone_number: str) -> str:
    """Return what stands for a number (E.164, with its plus): the HMAC-SHA256 in hex."""
    return hmac.new(key, phone_number.encode(), hashlib.sha256).hexdigest()
