"""Alembic's entry: runs the migrations over the connection that `migrate` hands it.

With each migration, and in its transaction, the database is told which oldest release it still serves: the highest
`serves` of the revisions that are in force, a revision's id that a release calls its own (`database.SCHEMA`).
"""

from typing import Any

from alembic import context
from sqlalchemy import text


def tell_what_is_served(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Write it down as the version table's comment, where services of any release read it (`database.ready`)."""
    in_force = context.script.iterate_revisions(tuple(heads), "base") if heads else ()
    oldest = max((getattr(script.module, "serves", "") for script in in_force), default="")
    if oldest:
        assert oldest.isalnum()
        ctx.connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{oldest}'"))


connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True, on_version_apply=tell_what_is_served)
with context.begin_transaction():
    context.run_migrations()
