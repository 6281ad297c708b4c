"""What the role of the services may do: read and write rows, and neither change the schema nor what is history.

The schema belongs to another role, that of the migrations. So whoever gets hold of a service's password cannot take the
trigger off that guards the events, drop a table or read another database.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from libs.common.database.engine import connect
from libs.common.errors import SettingsError

#: Tables to come, as soon as a migration makes them.
TO_COME = (
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
)
#: What is there. `events` are appended to alone; the schema's revision is for migrations to write.
THERE = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "REVOKE UPDATE, DELETE ON events FROM {role}",
    "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
)


def role_of(url: str) -> str:
    """Return the role that a URL connects as; empty if it names none."""
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    return unquote(login.partition(":")[0]) or parse_qs(parts.query).get("user", [""])[0]


def prepare(owner_url: str, role: str) -> None:
    """Let the services' role work with the tables that migrations are about to make. Raise SettingsError."""
    _run(owner_url, role, TO_COME)


def grant(owner_url: str, role: str) -> None:
    """Let the services' role work with the tables that are there. Safe to call again. Raise SettingsError."""
    _run(owner_url, role, THERE)


def _run(owner_url: str, role: str, statements: tuple[str, ...]) -> None:
    try:
        asyncio.run(_execute(owner_url, [statement.format(role=_quoted(role)) for statement in statements]))
    except asyncpg.exceptions.UndefinedObjectError as error:
        raise SettingsError(f"PostgreSQL has no role {role}: create it (docs/postgresql.md)") from error


async def _execute(url: str, statements: Sequence[str]) -> None:
    """Run statements in one transaction."""
    connection = await connect(url)
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    """Return a name as SQL writes an identifier."""
    return '"' + name.replace('"', '""') + '"'
