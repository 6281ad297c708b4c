"""One request, one transaction; what only collided with another request is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from libs.common import database
from libs.common.database import Connection, Pool
from libs.common.errors import ConcurrencyError

TRIES = 3
PAUSE = 0.05  # seconds, at most, before the second try; the third waits twice as long

COLLISIONS = (DeadlockDetected, SerializationFailure, LockNotAvailable, ConcurrencyError)

T = TypeVar("T")


async def retrying(pool: Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction and give what it gives, once that is committed. `work` may be called again."""
    for failures in range(1, TRIES):
        try:
            async with database.transaction(pool) as connection:
                return await work(connection)
        except COLLISIONS:
            await asyncio.sleep(random.uniform(0, PAUSE * failures))  # noqa: S311
    async with database.transaction(pool) as connection:
        return await work(connection)
