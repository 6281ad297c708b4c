"""How much of an allowance is used when several senders share it."""

import asyncio
from datetime import UTC, datetime, timedelta

from libs.common import database
from libs.common.rate_limits import rate as rates
from tests.support import servers

SENDERS = 4


async def share_used(rate: float, seconds: float) -> float:
    """Return the share of an allowance that senders use who reserve slots as fast as they may."""
    with servers.database() as url:
        async with database.disposing(database.create_engine(url)) as engine:
            limit = rates.number_limit(1, rate)
            async with database.transaction(engine) as connection:
                await rates.prepare(connection, [limit.key])
            ends = datetime.now(UTC) + timedelta(seconds=seconds)

            async def sender() -> int:
                slots = 0
                while datetime.now(UTC) < ends:
                    async with database.transaction(engine) as connection:
                        delay = await rates.reserve(connection, [limit])
                    assert delay is not None
                    await asyncio.sleep(delay)
                    slots += 1
                return slots

            slots = sum(await asyncio.gather(*(sender() for _ in range(SENDERS))))
    return slots / (rate * seconds)
