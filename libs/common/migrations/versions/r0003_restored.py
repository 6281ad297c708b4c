"""Whether this database was restored to a point in the past, and has been settled against the carrier's log since.

Adds only: a table of its own, that the release before this one does not look at.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE restored (
    -- One row at most: what counts is the last restore.
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- What happened after this is not in the database, or is not known to be.
    since timestamptz NOT NULL,
    -- From when on nothing is started.
    held_at timestamptz NOT NULL,
    -- When everything was settled against the carrier's log; until then no text starts and no broadcast is made.
    reconciled_at timestamptz,
    CONSTRAINT what_was_settled_had_been_held CHECK (reconciled_at >= held_at)
);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(TABLE)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE restored")
