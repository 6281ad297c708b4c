"""The one way to the database: an engine, and transactions over it.

Statements, waits for locks and waits for the server's answer are bounded: a stuck statement must not hold up a
broadcast for longer than a batch. A connection is not asked whether it still lives before it is used, which would cost
every transaction a round trip. One whose end the driver has seen, as after a restart of the server, is replaced before
it is used; one that is found dead while it is used is a `DatabaseUnavailable`, and whoever tries again gets a new one.
In both cases the pool drops all connections that are as old.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import asyncpg
import msgspec
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from libs.common.database import errors
from libs.common.database.errors import DatabaseError
from libs.common.domain.actors import BROADSHEET, Actor
from libs.common.domain.cause import Cause
from libs.common.observability.collectors import POOLS

Connection = AsyncConnection
Engine = AsyncEngine

STATEMENT_TIMEOUT = 30.0  # seconds; a draw sets its own
LOCK_TIMEOUT = 20.0  # seconds
IDLE_TIMEOUT = 10.0  # seconds that a transaction may sit idle: its worker has stopped, others wait for its locks
CONNECT_TIMEOUT = 5.0  # seconds
CHECKOUT_TIMEOUT = 15.0  # seconds to wait for a free connection
CONNECT_PATIENCE = 15.0  # seconds in which a server that is away may come back
CONNECT_PAUSE = 0.3  # seconds between two tries to reach it
#: Seconds that a statement of long work (a draw, a rebuild, forgetting) may take on an engine that is made for it.
LONG_WORK = 900.0
#: Seconds beyond a statement's own time-out after which a server that has not said a word is taken for gone.
ANSWER_GRACE = 5.0

#: What is between a service and the server, if anything.
Pooler: TypeAlias = Literal["none", "transaction"]
#: Has the driver keep no statement: each is parsed and planned anew, without a name.
#: Behind a pooler, since the next transaction may be another connection of the server's, where a statement's name is
#: unknown, or somebody else's. The statement without a name is nobody else's before the transaction ends, and leaves
#: nothing behind; with a name, each would stay until that connection ends.
#: For long work, since a plan for any parameters, which a statement that is kept gets after a few executions, may read
#: whole tables where one for its own reads a few pages. (`plan_cache_mode` would not do: it also has the check of each
#: foreign key of each row planned anew, which doubles the cost of a draw.)
KEEP_NO_STATEMENT: dict[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}

#: Key of a connection's `info` under which what waits for its commit is kept.
_WAITING = "broadsheet_on_commit"
#: Key of a connection's `info` under which the cause of its transaction is kept.
_CAUSE = "broadsheet_cause"
#: Names of the engine's execution options that hold its patience, in seconds, its actor, and what is between.
_PATIENCE = "broadsheet_patience"
_ACTOR = "broadsheet_actor"
_POOLER = "broadsheet_pooler"

BEGIN = text("SELECT 1")
PLAN_ANEW = text("SET LOCAL plan_cache_mode = force_custom_plan")
SET_STATEMENT_TIMEOUT = text("SELECT set_config('statement_timeout', :setting, true)")


def create_engine(
    url: str,
    *,
    size: int = 10,
    pooler: Pooler = "none",
    statement_timeout: float = STATEMENT_TIMEOUT,
    longest: float = 0.0,
    patience: float = CONNECT_PATIENCE,
    actor: Actor = BROADSHEET,
) -> Engine:
    """Build an engine with at most `size` connections; nothing connects before it is used.

    `actor` is who does what its transactions do, where a transaction's cause names nobody else.

    `url` is read by asyncpg (`postgresql://user:password@host/database?sslmode=…`). `pooler` says whether a PgBouncer
    in transaction mode is between: then no statement is prepared for longer than it runs. `patience` is how many
    seconds a transaction waits for a server that is away.

    `longest` is for long work: how many seconds a statement may take in a transaction that says so
    (`set_statement_timeout`). Each statement is planned for its own parameters. The driver has one limit for all
    statements of a connection, so a server that falls silent is noticed as late: whoever answers people, or keeps a
    pace, works on another engine.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            **connect_arguments(url, statement_timeout=statement_timeout, longest=longest),
            **(KEEP_NO_STATEMENT if longest or pooler == "transaction" else {}),
        },
        pool_size=size,
        max_overflow=0,
        pool_timeout=CHECKOUT_TIMEOUT,
        pool_use_lifo=True,
        hide_parameters=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        execution_options={_PATIENCE: patience, _ACTOR: actor, _POOLER: pooler},
    )
    event.listen(engine.sync_engine, "handle_error", errors.translate, retval=True)
    if isinstance(engine.pool, QueuePool):
        POOLS.add(engine.pool)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def pooler_of(engine: Engine) -> Pooler:
    """Return what is between an engine and the server."""
    pooler: Pooler = engine.get_execution_options()[_POOLER]
    return pooler


def _refuse_closed(connection: DBAPIConnection, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Have the pool replace a connection whose end the driver has seen. For the engine's `checkout` event."""
    driver: Any = connection
    if driver.driver_connection.is_closed():
        raise InvalidatePoolError


def connect_arguments(
    url: str, *, statement_timeout: float = STATEMENT_TIMEOUT, longest: float = 0.0
) -> dict[str, Any]:
    """Return what `asyncpg.connect` is called with: the address and Broadsheet's time-outs."""
    return {
        "dsn": url,
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": max(statement_timeout, longest) + ANSWER_GRACE,
        "server_settings": {
            "application_name": "broadsheet",
            "timezone": "UTC",
            "statement_timeout": str(int(statement_timeout * 1000)),
            "lock_timeout": str(int(LOCK_TIMEOUT * 1000)),
            "idle_in_transaction_session_timeout": str(int(IDLE_TIMEOUT * 1000)),
            **options_of_the_environment(),
        },
    }


def options_of_the_environment() -> dict[str, str]:
    """Return the options in `PGOPTIONS`, which every other client of PostgreSQL heeds and asyncpg does not.

    A restore is made with it (`deploy/postgres/restore.sh`): https://www.postgresql.org/docs/current/libpq-envars.html.
    """
    options = os.environ.get("PGOPTIONS", "")
    return {"options": options} if options else {}


async def connect(url: str) -> Any:
    """Open a connection of the driver's own, outside any engine. Raise DatabaseUnavailable."""
    try:
        return await asyncpg.connect(**connect_arguments(url))  # type: ignore[no-untyped-call]
    except (*errors.SILENT, asyncpg.exceptions.PostgresError) as error:
        raise errors.DatabaseUnavailable from error


@asynccontextmanager
async def disposing(engine: Engine) -> AsyncIterator[Engine]:
    """Yield the engine, and close its connections at the end of the block."""
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(engine: Engine, cause: Cause | None = None) -> AsyncIterator[Connection]:
    """Yield a connection inside a transaction: committed at the end of the block, rolled back if it raises.

    Events and messages that it writes name `cause`; without one the transaction begins something of its own.
    Raise DatabaseUnavailable, Collision, StatementTimeout or ConstraintViolated for what the database refuses.
    """
    waiting: list[Callable[[], object]] = []
    async with checkout(engine) as connection:
        connection.sync_connection.info.update({_WAITING: waiting, _CAUSE: cause or Cause()})  # type: ignore[union-attr]
        await connection.begin()
        try:
            yield connection
        except BaseException:
            with suppress(DatabaseError):  # what went wrong first is what is raised
                await connection.rollback()
            raise
        await connection.commit()
    for callback in waiting:
        callback()


@asynccontextmanager
async def checkout(engine: Engine) -> AsyncIterator[Connection]:
    """Yield a connection outside a transaction, and give it back in any case, whatever is cancelled meanwhile."""
    connection = await _patiently(engine)
    try:
        yield connection
    finally:
        await asyncio.shield(asyncio.create_task(connection.close()))


async def _patiently(engine: Engine) -> Connection:
    """Return a connection; a server that is away is waited for, as long as the engine has patience."""
    deadline = time.monotonic() + engine.get_execution_options()[_PATIENCE]
    with POOLS.waiting():
        while True:
            connection = engine.connect()
            try:
                return await connection.start()
            except (DatabaseError, DBAPIError, asyncpg.exceptions.PostgresError, *errors.SILENT) as error:
                # Whatever the server says to somebody who wants to come in, it does not let us work now.
                POOLS.failed()
                if time.monotonic() + CONNECT_PAUSE > deadline:
                    raise errors.unavailable(error) from error
            await asyncio.sleep(CONNECT_PAUSE)


def on_commit(connection: Connection, callback: Callable[[], object]) -> None:
    """Call `callback` once the connection's transaction has committed, and not if it fails."""
    connection.sync_connection.info[_WAITING].append(callback)  # type: ignore[union-attr]


def cause_of(connection: Connection) -> Cause:
    """Return what the connection's transaction follows from."""
    cause = connection.sync_connection.info[_CAUSE]  # type: ignore[union-attr]
    assert isinstance(cause, Cause)
    return cause


def actor_of(connection: Connection) -> Actor:
    """Return who does what the connection's transaction does."""
    actor = cause_of(connection).actor or connection.sync_connection.get_execution_options()[_ACTOR]  # type: ignore[union-attr]
    assert isinstance(actor, Actor)
    return actor


def signed(engine: Engine, cause: Cause) -> Cause:
    """Return a cause that names who does it, for a statement without a transaction of ours: the engine's, if nobody."""
    return cause if cause.actor else replace(cause, actor=engine.sync_engine.get_execution_options()[_ACTOR])


async def set_statement_timeout(connection: Connection, seconds: float) -> None:
    """Let each statement of the transaction take up to `seconds`.

    Only on an engine whose `longest` is at least as long: the driver gives up after that.
    """
    await connection.execute(SET_STATEMENT_TIMEOUT, {"setting": f"{seconds:.0f}s"})


async def plan_anew(connection: Connection) -> None:
    """Have each statement of the transaction planned for its own parameters.

    For reads of which one set of parameters may mean a hundred rows and the next one a hundred thousand: the plan for
    any parameters, which the server may keep, is twice as slow for the larger.
    """
    await connection.execute(PLAN_ANEW)


async def copy_in(connection: Connection, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
    """Write records into a table by COPY, in the connection's transaction.

    Raise DatabaseUnavailable, Collision, StatementTimeout or ConstraintViolated.
    """
    # SQLAlchemy begins a transaction with its first statement, and the driver's own connection knows nothing of it.
    await connection.execute(BEGIN)
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    try:
        await driver.copy_records_to_table(table, columns=list(columns), records=records)
    except errors.SILENT as error:
        await connection.invalidate()
        raise errors.DatabaseUnavailable from error
    except asyncpg.exceptions.PostgresError as error:
        raise errors.ours(error) or error from error


async def listen(url: str, channel: str) -> AsyncIterator[str]:
    """Yield the payload of each notification on a channel, over a connection of its own, until that is lost.

    Begins with one empty payload once it listens: whatever was notified before is to be looked for by then.
    Raise DatabaseUnavailable when the connection cannot be made, or is lost.
    """
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    connection = await connect(url)
    try:
        connection.add_termination_listener(lambda _connection: heard.put_nowait(None))
        await connection.add_listener(channel, lambda _connection, _pid, _channel, payload: heard.put_nowait(payload))
        yield ""
        while (payload := await heard.get()) is not None:
            yield payload
        raise errors.DatabaseUnavailable
    finally:
        connection.terminate()
