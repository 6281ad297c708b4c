"""Keys by which programs call the API: each has a name, scopes and the time of its last use.

A key is shown once, when it is made. What is stored is its digest: it has 256 random bits, so a plain SHA-256 keeps it
as well as a slow hash would.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Connection, all_rows, first_row
from libs.common.domain.roles import Scope
from libs.common.errors import NotFound
from libs.common.texts import gettext_noop as n_
from services.api.http.errors import NameTaken

PREFIX = "broadsheet_"
#: What a key of this table looks like. The database is asked about nothing else.
FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
USED_EVERY = timedelta(minutes=1)
#: The name by which history knows the keys of the settings.
OF_SETTINGS = "settings"

_COLUMNS = "id, name, scopes, created_at, used_at, revoked_at"

#: All keys, the newest first.
ALL = text(f"SELECT {_COLUMNS} FROM api_keys ORDER BY id DESC")

#: A key that opens.
FIND = text(f"SELECT {_COLUMNS} FROM api_keys WHERE hash = :hash AND revoked_at IS NULL")

#: Whether a key opens.
OPENS = text("SELECT EXISTS (SELECT FROM api_keys WHERE id = :id AND revoked_at IS NULL)")

#: Adds a key; no row where the name is taken.
ADD = text(f"""
INSERT INTO api_keys (name, hash, scopes, created_at) VALUES (:name, :hash, :scopes, :now)
ON CONFLICT (name) DO NOTHING RETURNING {_COLUMNS}
""")

#: Notes that a key was used.
USED = text("UPDATE api_keys SET used_at = :now WHERE id = :id")

#: Takes a key back; no row where it was taken back before, or is none.
REVOKE = text("UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id")

#: Whether there is such a key, or was.
EXISTS = text("SELECT EXISTS (SELECT FROM api_keys WHERE id = :id)")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a program, without the key itself."""

    id: int
    name: str
    scopes: Sequence[Scope]
    created_at: datetime
    #: To the minute.
    used_at: datetime | None
    revoked_at: datetime | None


async def everything(connection: Connection) -> Sequence[ApiKey]:
    """Return all keys, the newest first."""
    return all_rows(await connection.execute(ALL), ApiKey)


async def find(connection: Connection, given: str, now: datetime) -> ApiKey | None:
    """Return the key that was given, and note that it was used; None where none opens by it."""
    found = first_row(await connection.execute(FIND, {"hash": _digest(given)}), ApiKey)
    if found is not None and (found.used_at is None or found.used_at < now - USED_EVERY):
        await connection.execute(USED, {"id": found.id, "now": now})
    return found


async def opens(connection: Connection, key_id: int) -> bool:
    """Whether a key was not taken back."""
    return bool((await connection.execute(OPENS, {"id": key_id})).scalar_one())


async def add(connection: Connection, *, name: str, scopes: Sequence[Scope], now: datetime) -> tuple[ApiKey, str]:
    """Make a key; return it with what is shown once. Raise NameTaken for a name that a key has, or had."""
    key = PREFIX + secrets.token_urlsafe(32)
    parameters = {"name": name, "hash": _digest(key), "scopes": [str(scope) for scope in scopes], "now": now}
    added = first_row(await connection.execute(ADD, parameters), ApiKey)
    if added is None or name == OF_SETTINGS:
        raise NameTaken(n_("there is, or was, another key of this name"))
    return added, key


async def revoke(connection: Connection, key_id: int, now: datetime) -> bool:
    """Take a key back; False if it was taken back before. Raise NotFound."""
    if (await connection.execute(REVOKE, {"id": key_id, "now": now})).first() is not None:
        return True
    if not (await connection.execute(EXISTS, {"id": key_id})).scalar_one():
        raise NotFound(f"there is no key {key_id}")
    return False


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
