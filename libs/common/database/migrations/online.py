"""Changes of tables that are in use: nobody waits for more than an instant, or for two seconds behind a long reader.

`ALTER TABLE` takes a lock that keeps everybody out and holds it until its transaction ends; as long as it waits for it,
everybody queues up behind. So each statement is a transaction of its own (one that locks two tables also deadlocks with
whoever takes them the other way about), gives up soon, lets the others through, and tries again. A migration may end
between two of them and be run again: each says IF EXISTS or IF NOT EXISTS.
"""

import time
from typing import TYPE_CHECKING, cast

from alembic import op
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.engine import AdaptedConnection

LOCK_TIMEOUT = "2s"
TRIES = 10
LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE
PAUSE = 2.0  # seconds in which those who queued up get on


def change(*statements: str) -> None:
    """Run statements, one after the other; what the migration did before them is committed."""
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        for statement in statements:
            _patiently(statement)
        op.execute("RESET lock_timeout")


def _patiently(statement: str) -> None:
    for remaining in reversed(range(TRIES)):
        try:
            op.execute(statement)
        except DBAPIError as error:
            if not remaining or getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            time.sleep(PAUSE)
        else:
            return


def script(statements: str) -> None:
    """Run several statements, separated by semicolons, in the migration's transaction."""
    op.execute("SELECT 1")  # begins the transaction, which the driver's own connection knows nothing of
    connection = op.get_bind().connection.dbapi_connection
    cast("AdaptedConnection", connection).run_async(lambda driver: driver.execute(statements))
