"""The one way to the database: a pool of connections, and transactions over it.

Every connection is in autocommit, so that what is not in a `transaction` is one statement on its own. Statements and
waits for locks are bounded: a stuck statement must not hold up a broadcast for longer than a batch.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from libs.common.metrics import POOLS

#: What is to be done once the transaction under way has committed.
_committed: ContextVar[list[Callable[[], object]] | None] = ContextVar("committed", default=None)

Connection = AsyncConnection[dict[str, Any]]
Pool = AsyncConnectionPool[Connection]

#: The revision that this release needs; a newer one that still serves this one is fine, too. (Alembic would tell, at
#: half a second a process.)
SCHEMA = "0004"

#: The schema's revision, and the oldest one whose release it still serves; null where an old migration said nothing.
REVISION = """
SELECT version_num AS revision, obj_description('alembic_version'::regclass, 'pg_class') AS serves FROM alembic_version
"""

STATEMENT_TIMEOUT = 30  # seconds; a draw sets its own
LOCK_TIMEOUT = 20  # seconds
IDLE_TIMEOUT = 10  # seconds that a transaction may sit idle: its worker has stopped, others wait for its locks
CONNECT_TIMEOUT = 5  # seconds
#: Seconds beyond a statement's own time-out after which a server that has not said a word is taken for gone. The
#: server's time-outs end a statement that is stuck there; nobody but us ends a wait for an answer that is lost.
SILENCE = 5


class BoundedConnection(AsyncConnection[dict[str, Any]]):
    """A connection that waits for no answer for ever: one that does not come is a connection that is lost."""

    #: Seconds.
    answers_within: float = STATEMENT_TIMEOUT + SILENCE

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Wait as psycopg does. Raises OperationalError when no answer comes in time."""
        timer = asyncio.get_running_loop().call_later(self.answers_within, _hang_up, self.pgconn.socket)
        try:
            return await super().wait(*args, **kwargs)
        finally:
            timer.cancel()


def _hang_up(descriptor: int) -> None:
    """Close a connection in both directions; whoever waits for it finds it lost."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


async def allow(connection: Connection, seconds: int) -> None:
    """Let each statement of the transaction under way take up to `seconds`."""
    await connection.execute("SELECT set_config('statement_timeout', %s, true)", (f"{seconds}s",))
    if isinstance(connection, BoundedConnection):
        connection.answers_within = seconds + SILENCE


def conninfo(url: str) -> str:
    """Give the connection string with Broadsheet's time-outs added to whatever options `url` has."""
    ours = (
        f"-c statement_timeout={STATEMENT_TIMEOUT}s -c lock_timeout={LOCK_TIMEOUT}s"
        f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT}s -c timezone=UTC"
    )
    theirs = str(conninfo_to_dict(url).get("options") or "")
    return make_conninfo(url, options=f"{ours} {theirs}".strip(), connect_timeout=CONNECT_TIMEOUT)


def create_pool(url: str, *, size: int = 10) -> Pool:
    """Build a pool of at most `size` connections. It is closed until opened (`async with pool`).

    A connection is checked before it is handed out, so that a restart of the server costs a new connection, not a
    failed step. Statements are not prepared by name: that keeps PgBouncer's transaction mode possible.
    """
    pool: Pool = AsyncConnectionPool(
        conninfo(url),
        connection_class=BoundedConnection,
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None},
        min_size=1,
        max_size=size,
        timeout=15.0,
        reconnect_timeout=3600.0,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    POOLS.add(pool)
    return pool


async def connect(url: str) -> Connection:
    """Open one connection outside any pool, for LISTEN."""
    return await AsyncConnection.connect(conninfo(url), autocommit=True, row_factory=dict_row)


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection inside a transaction: committed at the end of the block, rolled back if it raises."""
    waiting: list[Callable[[], object]] = []
    token = _committed.set(waiting)
    try:
        async with pool.connection() as connection:
            try:
                async with connection.transaction():
                    yield connection
            finally:
                if isinstance(connection, BoundedConnection):
                    connection.answers_within = BoundedConnection.answers_within
    finally:
        _committed.reset(token)
    for act in waiting:
        act()


def when_committed(act: Callable[[], object]) -> None:
    """Do something once the transaction under way has committed, and not if it fails: counting what has happened.

    At once where there is none.
    """
    waiting = _committed.get()
    if waiting is None:
        act()
    else:
        waiting.append(act)


async def ready(pool: Pool) -> None:
    """Return if the database answers and its schema serves this release; raise RuntimeError otherwise."""
    async with pool.connection(timeout=2.0) as connection:
        row = await (await connection.execute(REVISION)).fetchone()
    if problem := misfit(row):
        raise RuntimeError(problem)


def misfit(row: Mapping[str, str | None] | None, ours: str = SCHEMA) -> str:
    """Say why a schema, as `REVISION` tells of it, does not serve a release; empty if it does."""
    if row is None or (row["revision"] or "") < ours:
        return "the schema is older than this release: run `broadsheet db upgrade`"
    if ours < (row["serves"] or ""):
        return f"the schema no longer serves this release, only {row['serves']} and newer ones: deploy a newer release"
    return ""
