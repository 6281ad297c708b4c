"""How much of the tables a statement of the product reads, executed as the product executes it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable, text

from libs.common import database

CUSTOM = 5  # executions of a prepared statement, each planned for its parameters; then the server may keep one plan
TIMES = 8

FLUSH = text("SELECT pg_stat_force_next_flush()")
READ = text("""
SELECT CAST(sum(coalesce(heap_blks_read, 0) + coalesce(heap_blks_hit, 0) + coalesce(idx_blks_read, 0)
                + coalesce(idx_blks_hit, 0) + coalesce(toast_blks_read, 0) + coalesce(toast_blks_hit, 0)) AS bigint)
FROM pg_statio_user_tables
""")


async def pages(url: str, statement: Executable, parameters: Mapping[str, Any]) -> int:
    """Return how many pages one execution looks at, by the plan that looks at the most.

    The plans are those for the statement's own parameters, the one that the server then keeps, and the one for any
    parameters (`force_generic_plan`). Of several executions by a plan the least counts: meanwhile the server's vacuum
    may have looked at the same tables. Each execution is rolled back.
    """
    async with database.disposing(database.create_engine(url, size=1)) as engine:
        kept = await _reads(engine, statement, parameters, "auto")
    async with database.disposing(database.create_engine(url, size=1)) as engine:
        generic = await _reads(engine, statement, parameters, "force_generic_plan")
    return max(min(kept[:CUSTOM]), min(kept[CUSTOM:]), min(generic))


async def pages_of_long_work(url: str, statement: Executable, parameters: Mapping[str, Any]) -> int:
    """Return how many pages one execution looks at on an engine for long work, which plans each anew."""
    async with database.disposing(database.create_engine(url, size=1, longest=database.LONG_WORK)) as engine:
        return min(await _reads(engine, statement, parameters, None))


async def _reads(
    engine: database.Engine, statement: Executable, parameters: Mapping[str, Any], mode: str | None
) -> list[int]:
    """Return how many pages each of several executions looks at."""
    found = []
    for _ in range(TIMES):
        before = await _read(engine)
        async with engine.connect() as connection:
            if mode is None:
                await database.set_statement_timeout(connection, database.LONG_WORK)
            else:
                await connection.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
            await connection.execute(statement, dict(parameters))
            await connection.rollback()
        found.append(await _read(engine) - before)
    return found


async def _read(engine: database.Engine) -> int:
    """Return how many pages of tables and indexes have been looked at so far."""
    async with database.transaction(engine) as connection:
        await connection.execute(FLUSH)
    async with database.transaction(engine) as connection:
        return int((await connection.execute(READ)).scalar_one())
