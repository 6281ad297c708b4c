"""Ask Missive for something, if a request may be made now: messages that go through it come first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common import database
from libs.common.carriers.error_codes import ErrorAction, classify
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.http import Ready
from libs.common.database import Engine
from libs.common.rate_limits import concurrency, rate, slots
from libs.common.rate_limits.slots import Turn
from libs.common.settings import CarrierSettings


@asynccontextmanager
async def room(engine: Engine, settings: CarrierSettings, *, within: float = 0.0) -> AsyncIterator[Ready | None]:
    """Yield what a request to Missive is to wait for; None where there is no room for one `within` so many seconds.

    If it raises CarrierUnreadable because Missive wants to be left alone, everybody leaves it alone.
    """
    limits = rate.missive_limits(settings)
    async with database.transaction(engine) as connection:
        await rate.prepare(connection, [limit.key for limit in limits])
        await concurrency.prepare(connection, rate.MISSIVE, settings.send_concurrency)
    held = await concurrency.acquire(
        engine,
        rate.MISSIVE,
        count=settings.send_concurrency,
        want=1,
        seconds=settings.request_timeout + settings.lease,
    )
    try:
        slot = await slots.reserve(engine, limits, within=within) if held else None
        if slot is not None:
            await asyncio.sleep(max(0.0, slot.begins - time.monotonic()))
        yield Turn(engine, slot).ready if slot is not None else None
    except CarrierUnreadable as error:
        if classify(error.code).kind in (ErrorAction.SLOW_DOWN, ErrorAction.WAIT):
            async with database.transaction(engine) as connection:
                await rate.back_off(connection, rate.MISSIVE, error.retry_after)
        raise
    finally:
        await concurrency.release(engine, rate.MISSIVE, held)
