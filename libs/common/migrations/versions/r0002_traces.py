"""Where the trace of a message, a step and a broadcast goes on (docs/tracing.md).

Adds only: columns without a default and a table, so that the release before this one goes on beside it.
"""

from alembic import op

from libs.common.migrations import online

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: W3C Trace Context, "traceparent": what wrote the row is the parent of what comes of it. Null where nobody traces.
#: No check guards the format: a trace that cannot be read is a trace less, a row that cannot be written a step less.
TABLES = ("outbox", "batches", "syncs")

TABLE = """
CREATE TABLE traces (
    -- Without a reference: broadcasts are emptied and filled again by a rebuild, this is not.
    broadcast_id bigint PRIMARY KEY,
    -- What made the broadcast; what the watchdog does for it joins that trace.
    traceparent text NOT NULL
);
"""


def upgrade() -> None:
    """Add the columns and the table."""
    online.change(*(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS traceparent text" for table in TABLES))
    op.execute(TABLE)


def downgrade() -> None:
    """Drop them."""
    online.change(*(f"ALTER TABLE {table} DROP COLUMN IF EXISTS traceparent" for table in reversed(TABLES)))
    op.execute("DROP TABLE traces")
