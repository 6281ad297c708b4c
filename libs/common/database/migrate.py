"""Brings the schema to a revision. Safe to call from several processes at once: one migrates, the others wait."""

import asyncio
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.common.database.engine import CONNECT_TIMEOUT, options_of_the_environment

#: The key of the advisory lock that one migration holds.
LOCK = 0x62726F6164
POLL = 0.2  # seconds between two tries for the lock


def config() -> Config:
    """Return Alembic's configuration: the scripts beside this file, no ini file."""
    cfg = Config()
    cfg.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return cfg


def migrate(database_url: str, revision: str = "head", *, schema: str | None = None) -> None:
    """Upgrade or downgrade to `revision` (`head`, `base`, a revision's id), whichever way it lies.

    `schema` puts everything into a schema of its own, which must exist.
    """
    asyncio.run(_migrate(database_url, revision, schema))


async def _migrate(database_url: str, revision: str, schema: str | None) -> None:
    settings = options_of_the_environment()
    arguments = {
        "dsn": database_url,
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": None,
        "server_settings": settings,
    }
    if schema:
        settings["search_path"] = schema
    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args=arguments)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_change, revision)
    finally:
        await engine.dispose()


def _change(connection: Connection, revision: str) -> None:
    _wait(connection)
    cfg = config()
    cfg.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(cfg)
    current = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    behind = {script.revision for script in scripts.iterate_revisions(current, "base")} if current else set()
    target = scripts.get_revision(revision) if revision != "base" else None
    going_back = target is None or (target.revision in behind and target.revision != current)
    if going_back and current is not None:
        command.downgrade(cfg, revision)
    elif not going_back:
        command.upgrade(cfg, revision)
    connection.commit()


def _wait(connection: Connection) -> None:
    """Wait until this connection alone may migrate.

    It asks again and again: an index that is built concurrently waits for every statement under way, and one that
    waited for the lock would wait for that index.
    """
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}).scalar():
        connection.commit()
        time.sleep(POLL)
    connection.commit()


def head() -> str:
    """Return the newest revision's id."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision
