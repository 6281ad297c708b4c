"""Whether the database answers, asked over a connection of its own.

A pool whose connections are all in use says nothing about the database: a question through that pool cannot tell a busy
pool from a lost database.
"""

import asyncio
from contextlib import suppress

from libs.common import database
from libs.common.database import Pooler, SchemaVersion

WITHIN = 2.0  # seconds for a new connection, and for an answer


class Probe:
    """Looks at the database. One look at a time, over one connection, however many ask."""

    def __init__(self, url: str, *, pooler: Pooler = "none") -> None:
        self._engine = database.create_engine(url, size=1, pooler=pooler, statement_timeout=WITHIN, patience=0.0)
        self._look: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Check that the database answers and its schema serves this release.

        Raise DatabaseUnavailable if it does not answer, SchemaMissing if it has no schema, RuntimeError with the reason
        if its schema does not fit.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._check())
        await asyncio.shield(self._look)

    async def close(self) -> None:
        """End a look that is under way, and close the connection."""
        if self._look is not None:
            self._look.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._look
        await self._engine.dispose()

    async def _check(self) -> None:
        try:
            version = await self._read()
        except database.TRANSIENT:
            # The server may only have closed the connection since the last look: that says nothing about it now.
            version = await self._read()
        if problem := database.schema_mismatch(version):
            raise RuntimeError(problem)

    async def _read(self) -> SchemaVersion | None:
        async with database.transaction(self._engine) as connection:
            return await database.read_version(connection)
