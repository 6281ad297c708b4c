"""Indexes for what had to read whole tables, and a reason for texts to people who were erased.

Nobody waits: an index is built beside the work that goes on, which may take minutes. One that was cut off is dropped
and built again when the migration is run again. The new check is one that every row meets: it is added without a look
at them, which takes a lock for an instant, and then checked without one.
"""

from alembic import op

from libs.common.migrations import online

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: `erased`: the text came back after its recipient was erased.
REASONS = """
ALTER TABLE outgoing_messages
    DROP CONSTRAINT outgoing_messages_skip_reason_check,
    ADD CONSTRAINT outgoing_messages_skip_reason_check CHECK (skip_reason IN (
        'replied', 'opted_out', 'first_refused', 'quiet_hours', 'cancelled', 'phase_over', 'erased')) NOT VALID
"""
CHECKED = "ALTER TABLE outgoing_messages VALIDATE CONSTRAINT outgoing_messages_skip_reason_check"

INDEXES = {
    # When the newest text that the carrier has taken began to leave. A text enters once, when it is accepted.
    "outgoing_messages_taken": "outgoing_messages (broadcast_id, attempt_started_at) WHERE state = 'accepted'",
    # Whose numbers can be forgotten. A text enters once, when it has ended.
    "outgoing_messages_ended": "outgoing_messages (contact_id) "
    "WHERE recipient_phone_number IS NOT NULL AND state IN ('accepted', 'refused', 'skipped')",
    "contacts_erased": "contacts (id) WHERE erased_at IS NOT NULL",
    "replies_contact": "replies (contact_id)",
    "events_opt_outs": "events (broadcast_id) WHERE type = 'OptedOut'",
}


def upgrade() -> None:
    """Allow the reason and build the indexes."""
    online.change(REASONS, CHECKED)
    with op.get_context().autocommit_block():
        for name, what in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {what}")


def downgrade() -> None:
    """Drop the indexes. The reason stays allowed: history may name it, and a rebuild must be able to write it."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
