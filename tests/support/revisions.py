"""A revision after the first, made up: what the next migration will be like, while there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.config import Config

from libs.common.database import migrate

#: It does all that a migration of tables in use may do: a table, columns on several tables, a wider check, an index.
REVISION = '''"""Made up."""

from alembic import op

from libs.common.database.migrations import online

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
{serves}


def upgrade() -> None:
    online.script("CREATE TABLE IF NOT EXISTS made_up (id bigint PRIMARY KEY); COMMENT ON TABLE made_up IS 'made up'")
    online.change(
        *(f"ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS made_up text" for table in ("outbox", "batches", "syncs")),
        "ALTER TABLE outgoing_messages DROP CONSTRAINT outgoing_messages_skip_reason_check,"
        " ADD CONSTRAINT outgoing_messages_skip_reason_check CHECK (skip_reason <> 'made up') NOT VALID",
        "ALTER TABLE outgoing_messages VALIDATE CONSTRAINT outgoing_messages_skip_reason_check",
    )
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS outgoing_messages_made_up")
        op.execute("CREATE INDEX CONCURRENTLY outgoing_messages_made_up ON outgoing_messages (attempt_started_at)")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS outgoing_messages_made_up")
    online.change(*(f"ALTER TABLE {{table}} DROP COLUMN IF EXISTS made_up" for table in ("syncs", "batches", "outbox")))
    online.script("DROP TABLE made_up")
'''


@contextmanager
def second(serves: str | None = None) -> Iterator[None]:
    """Let `migrate` know a made-up second revision, within the block; `serves` is the oldest release it works with."""
    own = migrate.config

    def config() -> Config:
        cfg = own()
        scripts = cfg.get_main_option("script_location")
        cfg.set_main_option("path_separator", "os")
        cfg.set_main_option("version_locations", f"{scripts}/versions:{folder}")
        return cfg

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder, "r0002_made_up.py").write_text(REVISION.format(serves=f'serves = "{serves}"' if serves else ""))
        patch.setattr(migrate, "config", config)
        yield
