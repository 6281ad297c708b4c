"""A restart of the server costs nobody who comes after it a failure."""

import asyncio

from sqlalchemy import text

from libs.common import database
from libs.common.database import Engine
from tests.support.witness import query

PID = text("SELECT pg_backend_pid()")
CONNECTIONS = 3


async def pids(engine: Engine) -> set[int]:
    """Use all connections of the pool at once; return the server's processes behind them."""
    together = asyncio.Barrier(CONNECTIONS)

    async def one() -> int:
        async with database.transaction(engine) as connection:
            pid = int((await connection.execute(PID)).scalar_one())
            await together.wait()
            return pid

    return set(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


async def test_connections_that_the_server_has_ended_are_replaced_before_they_are_used(database_url: str) -> None:
    engine = database.create_engine(database_url, size=CONNECTIONS, patience=0)
    async with database.disposing(engine):
        before = await pids(engine)
        for pid in before:
            await query(database_url, "SELECT pg_terminate_backend(%s, 10000)", pid)
        await asyncio.sleep(0.2)  # the word of it reaches the driver

        after = await pids(engine)

    assert len(before) == len(after) == CONNECTIONS
    assert not before & after
