"""A witness beside the product: what the database holds, asked by another driver than Broadsheet's own (psycopg)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

Rows = list[dict[str, Any]]
Asker = psycopg.AsyncConnection[DictRow]

#: Connections that nobody asks by at the moment, where they are kept.
_idle: dict[tuple[asyncio.AbstractEventLoop, str], list[Asker]] = {}


@asynccontextmanager
async def keeping(url: str) -> AsyncIterator[None]:
    """Keep connections to a database for the time of the block: to open one takes longer than most questions."""
    place = asyncio.get_running_loop(), url
    if place in _idle:
        yield
        return
    _idle[place] = []
    try:
        yield
    finally:
        for connection in _idle.pop(place):
            await connection.close()


async def query(url: str, statement: str, *parameters: Any) -> Rows:
    """Run a statement with psycopg's placeholders, committed at once, and return its rows."""
    idle = _idle.get((asyncio.get_running_loop(), url))
    while idle:
        connection = idle.pop()
        try:
            return await _ask(connection, statement, parameters)
        except psycopg.OperationalError:
            if not connection.closed:
                raise  # else a test had the server end it: ask by another
        finally:
            await _put_back(connection, idle)
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row, prepare_threshold=None
    )
    try:
        return await _ask(connection, statement, parameters)
    finally:
        await _put_back(connection, idle)


async def _put_back(connection: Asker, idle: list[Asker] | None) -> None:
    if idle is None or connection.info.transaction_status != TransactionStatus.IDLE:
        await connection.close()
    else:
        idle.append(connection)


async def _ask(connection: Asker, statement: str, parameters: tuple[Any, ...]) -> Rows:
    cursor = await connection.execute(statement.encode(), parameters or None)
    return await cursor.fetchall() if cursor.description else []
