"""The one place that knows the database's errors: from driver and SQLSTATE to ours.

    DatabaseError
    ├── DatabaseUnavailable    the server cannot be reached, does not answer, or does not take work now
    ├── Collision              somebody else was in the way; the same work may succeed when it is tried again
    ├── StatementTimeout       the server ended a statement that took too long
    ├── SchemaMissing          a table is not there
    └── ConstraintViolated     a row breaks a rule of the schema
        └── NotUnique          a row with this key is there already

`create_engine` registers `translate` with each engine, so nobody else sees an error of the driver. The driver's error
stays behind as `__cause__`. None of our messages holds data: a message of PostgreSQL's may quote a row.
SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

import asyncio
import inspect

import asyncpg
from sqlalchemy import exc
from sqlalchemy.engine import ExceptionContext

from libs.common.errors import BroadsheetError


class DatabaseError(BroadsheetError):
    """The database refused a statement."""

    #: The server's code; None where the server said nothing.
    sqlstate: str | None = None


class DatabaseUnavailable(DatabaseError):
    """The database does not answer."""


class Collision(DatabaseError):
    """Another transaction was in the way."""


class StatementTimeout(DatabaseError):
    """The database ended a statement that took too long."""


class SchemaMissing(DatabaseError):
    """A table is missing: run `broadsheet db upgrade`."""


class ConstraintViolated(DatabaseError):
    """A row breaks a rule of the schema."""

    #: The constraint's name.
    constraint: str | None = None


class NotUnique(ConstraintViolated):
    """A row with this key is there already."""


#: What a caller that tries again waits for.
TRANSIENT = (DatabaseUnavailable, Collision, StatementTimeout)

#: By SQLSTATE, or by its class (the first two characters) where the whole code is not listed.
BY_SQLSTATE: dict[str, type[DatabaseError]] = {
    "08": DatabaseUnavailable,  # connection exception
    "0A000": Collision,  # "cached plan must not change result type": a migration has just run
    "23": ConstraintViolated,
    "23505": NotUnique,
    "25006": DatabaseUnavailable,  # read-only transaction: the server has just lost its place as the primary
    "25P03": DatabaseUnavailable,  # idle in transaction for too long
    "26000": Collision,  # a prepared statement is gone, behind a pooler
    "28": DatabaseUnavailable,  # the password is being changed, or is wrong
    "3D000": DatabaseUnavailable,  # no such database
    "40": Collision,  # serialization failure, deadlock
    "42P01": SchemaMissing,
    "53": DatabaseUnavailable,  # too many connections, no memory, disk full
    "55P03": Collision,  # lock not available
    "57014": StatementTimeout,
    "57": DatabaseUnavailable,  # the server is being shut down, or is starting
    "58": DatabaseUnavailable,  # the server's disk fails
}

#: Errors that come from no server's answer: no connection, an answer that does not come, no free connection.
SILENT = (OSError, TimeoutError, asyncio.TimeoutError, exc.TimeoutError, asyncpg.exceptions.InterfaceError)


def translate(context: ExceptionContext) -> BaseException | None:
    """Return our error for one that SQLAlchemy met; None leaves it as it is. For the engine's `handle_error` event."""
    error = context.original_exception
    if not isinstance(error, Exception):
        return None  # a task that is cancelled; SQLAlchemy ends its connection
    if isinstance(error, TimeoutError):
        # No answer within the client's own time: the answer may still come, so the connection is of no use any more.
        context.is_disconnect = True
    if context.is_disconnect:
        return DatabaseUnavailable()
    return ours(error)


def unavailable(error: BaseException) -> DatabaseUnavailable:
    """Return what says that no connection can be had, with the server's code where it gave one."""
    mine = DatabaseUnavailable()
    mine.sqlstate = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return mine


def ours(error: BaseException) -> DatabaseError | None:
    """Return our error for one of the driver or of SQLAlchemy's pool; None if it is no such error."""
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(error, asyncpg.exceptions.InvalidCachedStatementError):
        kind: type[DatabaseError] = Collision
    elif sqlstate:
        kind = BY_SQLSTATE.get(sqlstate) or BY_SQLSTATE.get(sqlstate[:2]) or DatabaseError
    elif isinstance(error, SILENT):
        kind = DatabaseUnavailable
    else:
        return None
    mine = kind(f"{inspect.getdoc(kind)} ({sqlstate})" if sqlstate else None)
    mine.sqlstate = sqlstate
    if isinstance(mine, ConstraintViolated):
        mine.constraint = getattr(error.__cause__ or error, "constraint_name", None)
    return mine
