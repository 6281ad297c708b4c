"""Brings the schema to a revision. Safe to call from several processes at once: one migrates, the others wait."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

#: The key of the advisory lock that one migration holds.
LOCK = 0x62726F6164
POLL = 0.2  # seconds between two tries for the lock


def config() -> Config:
    """Give Alembic's configuration: the scripts beside this file, no ini file."""
    cfg = Config()
    cfg.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return cfg


def migrate(database_url: str, revision: str = "head", *, schema: str | None = None) -> None:
    """Upgrade or downgrade to `revision` (`head`, `base`, a revision's id), whichever way it lies.

    `schema` puts everything into a schema of its own, which must exist.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    options = {"options": f"-c search_path={schema}"} if schema else {}
    engine = create_engine(url, poolclass=NullPool, connect_args=options)
    try:
        with engine.connect() as connection:
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
    finally:
        engine.dispose()


def _wait(connection: Connection) -> None:
    """Return once this connection alone may migrate.

    It asks again and again: an index that is built concurrently waits for every statement under way, and one that
    waited for the lock would wait for that index.
    """
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}).scalar():
        connection.commit()
        time.sleep(POLL)
    connection.commit()


def head() -> str:
    """Give the newest revision's id."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision
