"""One statement on the driver's own connection, as a transaction of its own.

For what comes by the hundred a second: a statement that stands alone needs no BEGIN and no COMMIT, so one round trip
takes the place of three, and SQLAlchemy's share of the processor time is saved. A reply costs two thirds of what it
costs in a transaction (docs/performance.md).
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import TextClause, TextualSelect
from sqlalchemy.dialects.postgresql import asyncpg as dialects
from sqlalchemy.types import NullType

from libs.common.database import errors
from libs.common.database.engine import BEGIN, Engine, checkout, pooler_of
from libs.common.database.rows import row_of, rows_of

#: Errors after which a connection is of no use: the answer may still come, or the driver has lost its way.
LOST = (*errors.SILENT, asyncpg.exceptions.InternalClientError)

T = TypeVar("T")

_DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]


async def execute_alone(
    engine: Engine, statement: TextClause, parameters: Mapping[str, Any], kind: Callable[..., T]
) -> T | None:
    """Execute a statement as a transaction of its own; return its first row, or None if it returns none.

    `statement` is a constant whose parameters have no types of SQLAlchemy's: the driver converts them.
    Raise DatabaseError, of which there are several kinds, and TypeError if its columns are not the fields of `kind`.
    """
    records = await _fetch(engine, statement, parameters)
    return row_of(records[0], kind) if records else None


async def fetch_alone(
    engine: Engine, statement: TextClause | TextualSelect, parameters: Mapping[str, Any], kind: Callable[..., T]
) -> list[T]:
    """Execute a statement as a transaction of its own; return its rows.

    As `execute_alone`, but its columns may have types of SQLAlchemy's (`text(…).columns(kind=EnumText(MessageKind))`).
    """
    records = await _fetch(engine, statement, parameters)
    return rows_of(records, kind, _converters(statement) if isinstance(statement, TextualSelect) else {})


async def _fetch(
    engine: Engine, statement: TextClause | TextualSelect, parameters: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    sql, names = _compiled(statement)
    async with checkout(engine) as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        # Behind a pooler, a statement is prepared and executed by the same server connection in a transaction only.
        together = driver.transaction() if pooler_of(engine) == "transaction" else nullcontext()
        try:
            async with together:
                records: list[Mapping[str, Any]] = await driver.fetch(sql, *[parameters[name] for name in names])
        except Exception as error:
            if isinstance(error, LOST) or driver.is_closed():
                # SQLAlchemy meets the end of the connection, too, and drops all that are as old.
                driver.terminate()
                with suppress(errors.DatabaseError):
                    await connection.execute(BEGIN)
                raise errors.DatabaseUnavailable from error
            raise errors.ours(error) or error from error
        except BaseException:
            # A task that is cancelled: the answer may still come, so the connection is of no use any more.
            await connection.invalidate()
            raise
    return records


@cache
def _compiled(statement: TextClause | TextualSelect) -> tuple[str, tuple[str, ...]]:
    """Return a statement as the driver takes it, and the names of its parameters in order."""
    compiled = statement.compile(dialect=_DIALECT)
    assert all(isinstance(bind.type, NullType) for bind in compiled.binds.values()), "a parameter has a type"
    return str(compiled), tuple(compiled.positiontup or ())


@cache
def _converters(statement: TextualSelect) -> dict[str, Callable[[Any], Any]]:
    """Return what reads the columns of a statement whose types the driver does not read by itself."""
    types = {column.name: column.type.dialect_impl(_DIALECT) for column in statement.selected_columns}
    found = {name: type_.result_processor(_DIALECT, None) for name, type_ in types.items()}
    return {name: convert for name, convert in found.items() if convert is not None}
