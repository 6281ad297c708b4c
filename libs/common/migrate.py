"""Brings the schema to a revision. Safe to call from several processes at once: one migrates, the others wait."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

#: The key of the advisory lock that one migration holds.
LOCK = 0x62726F6164


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
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            connection.commit()
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


def head() -> str:
    """Give the newest revision's id."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision
