"""One request, one transaction; what only collided with another request is tried again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.common import database
from libs.common.database import Connection, Engine
from libs.common.domain.cause import Cause
from libs.common.errors import ConcurrencyError

TRIES = 3
PAUSE = 0.05  # seconds, at most, before the second try; the third waits twice as long

COLLISIONS = (database.Collision, ConcurrencyError)

#: A connection that turns out to be lost within this many seconds was lost before it was used: the server is there.
LOST_WITHIN = 1.0

T = TypeVar("T")


async def retrying(engine: Engine, cause: Cause, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction and return what it returns, once that is committed. `work` may be called again."""

    async def attempt() -> T:
        async with database.transaction(engine, cause) as connection:
            return await work(connection)

    return await _trying(attempt)


async def twice_is_once(attempt: Callable[[], Awaitable[T]]) -> T:
    """Do what `attempt` does, which has its own transactions; once more where it collided or the connection was lost.

    It may have been committed then: only for what does no harm when it is done twice.
    """
    began = time.monotonic()
    try:
        return await _trying(attempt)
    except database.DatabaseUnavailable:
        if time.monotonic() - began > LOST_WITHIN:
            raise
    return await _trying(attempt)


async def _trying(attempt: Callable[[], Awaitable[T]]) -> T:
    for failures in range(1, TRIES):
        try:
            return await attempt()
        except COLLISIONS:
            await asyncio.sleep(random.uniform(0, PAUSE * failures))  # noqa: S311
    return await attempt()
