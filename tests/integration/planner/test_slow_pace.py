"""A number that may send a message every few minutes: batches are planned for its slots, not in vain."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.rate_limits import rate
from libs.common.rate_limits.rate import Limit
from tests.support.world import Clock, World


async def due_in(world: World, broadcast_id: int) -> float:
    """Return the seconds until the batch that is planned."""
    [due] = await world.column("SELECT due_at FROM batches WHERE broadcast_id = %s AND closed_at IS NULL", broadcast_id)
    return float((due - world.clock.now) / timedelta(seconds=1))


async def reserved(world: World, broadcast_id: int, interval: float) -> None:
    """Take a slot of the broadcast's number, so that the next begins `interval` seconds from now."""
    number = (await world.load(broadcast_id)).sending_number_id
    limit = Limit(key=f"number:{number}", interval=interval)
    async with database.transaction(world.engine) as connection:
        await rate.prepare(connection, [limit.key])
        await rate.reserve(connection, [limit])


@pytest.mark.parametrize(("interval", "earliest", "latest"), [(300.0, 280, 300), (2.0, -60, 0)])
async def test_a_batch_is_due_when_its_first_slot_is_near(
    world: World, interval: float, earliest: float, latest: float
) -> None:
    world.clock = Clock(None)
    broadcast = await world.made(1)
    await world.query("DELETE FROM batches")
    await reserved(world, broadcast, interval)
    await world.advance(broadcast)
    assert earliest < await due_in(world, broadcast) <= latest
