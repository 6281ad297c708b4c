"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None
# Releases before this one go on beside it as long as it only adds. Name its own revision where it does not, and say in
# the CHANGELOG that this release cannot be rolled out beside an older one:
# serves = ${repr(up_revision)}


def upgrade() -> None:
    """Go forwards."""
    ${upgrades if upgrades else "op.execute('')"}


def downgrade() -> None:
    """Go back."""
    ${downgrades if downgrades else "op.execute('')"}
