"""An import in steps, for people: a look at the file, a trial, the import itself with its progress.

It reads and merges as `POST /contacts/import` does (`imports.py`), in the same lane.
"""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.events.registers import ContactsImported
from libs.common.errors import Conflict
from libs.common.eventstore import store
from libs.common.texts import gettext_noop as n_
from services.api.contacts import imports, uploads
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import Summary
from services.api.context import Context
from services.api.http import transactions


async def check(api: Context, cause: Cause, import_id: int, roles: Sequence[Role]) -> Summary:
    """Read a file as a trial and keep what was found. Raise InvalidFields, Conflict, TooBusy.

    `roles` say what each column is; without them the headings do.
    """
    async with api.import_lane.place(), _read(api, import_id, roles) as (summary, _aside):
        pass

    async def work(connection: Connection) -> None:
        found = msgspec.to_builtins(summary)
        if not await uploads.keep_trial(connection, import_id, roles, found, api.clock()):
            raise Conflict(n_("it is being imported already"))

    await transactions.retrying(api.imports, cause, work)
    return summary


async def start(api: Context, cause: Cause, import_id: int) -> None:
    """Begin an import, or go on with one that was cut off: it goes on after this returns. Raise Conflict."""

    async def work(connection: Connection) -> list[str]:
        if not await uploads.begin(connection, import_id, api.clock()):
            raise Conflict(n_("it is being imported already, or was not checked"))
        return (await uploads.one(connection, import_id)).roles or []

    roles = [Role(each) for each in await transactions.retrying(api.imports, cause, work)]
    api.background.start(_run(api, cause, import_id, roles))


@asynccontextmanager
async def rejected(api: Context, import_id: int) -> AsyncIterator[Path]:
    """Hold what was read of an upload, and beside it all lines that cannot be taken, for the time of the block."""
    async with database.transaction(api.imports) as connection:
        roles = [Role(each) for each in (await uploads.one(connection, import_id)).roles or []]
    async with api.import_lane.place(), _read(api, import_id, roles) as (_summary, aside):
        yield aside


async def _run(api: Context, cause: Cause, import_id: int, roles: Sequence[Role]) -> None:
    async with api.import_lane.place(), _read(api, import_id, roles) as (summary, aside):
        await imports.merge_all(api, cause, import_id, aside, summary)

    async def work(connection: Connection) -> None:
        await uploads.end(connection, import_id, api.clock())
        whole = await uploads.one(connection, import_id)
        event = ContactsImported(imported=whole.imported, updated=whole.updated, opted_out=whole.opted_out)
        await store.append(connection, "contacts", [event], now=api.clock())

    await transactions.retrying(api.imports, cause, work)


@asynccontextmanager
async def _read(api: Context, import_id: int, roles: Sequence[Role]) -> AsyncIterator[tuple[Summary, Path]]:
    """Read an upload; give what was found, and where its people are aside for the time of the block."""
    with tempfile.TemporaryFile() as own, tempfile.TemporaryDirectory(prefix="broadsheet-import-") as folder:
        file: IO[bytes] = own
        await uploads.fetch(api.imports, import_id, file)
        aside = Path(folder) / "people"
        yield await imports.read(file, aside, api.settings.regions, roles), aside
