"""Where the trace of a message, a step and a broadcast goes on (docs/tracing.md).

Adds only: columns without a default and a table, so that the release before this one goes on beside it. To add a
column takes a lock for an instant, but waits for whoever has the table: rather than have everybody queue up behind it
for as long as a draw may take, the migration gives up and can be run again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PATIENCE = "SET LOCAL lock_timeout = '10s'"

#: W3C Trace Context, "traceparent": what wrote the row is the parent of what comes of it. Null where nobody traces.
#: No check guards the format: a trace that cannot be read is a trace less, a row that cannot be written a step less.
COLUMNS = """
ALTER TABLE outbox ADD COLUMN traceparent text;
ALTER TABLE batches ADD COLUMN traceparent text;
ALTER TABLE syncs ADD COLUMN traceparent text;
"""

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
    for part in (PATIENCE, COLUMNS, TABLE):
        op.execute(part)


def downgrade() -> None:
    """Drop them."""
    op.execute(PATIENCE)
    op.execute("DROP TABLE traces")
    for table in ("syncs", "batches", "outbox"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN traceparent")
