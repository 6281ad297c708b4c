"""The pace, handed out by the real database to many at once."""

import asyncio
import itertools
import time

from libs.common import pace, permits
from libs.common.database import Pool
from libs.common.pace import Limit


async def prepared(pool: Pool, *limits: Limit) -> None:
    async with pool.connection() as connection:
        await pace.prepare(connection, [limit.key for limit in limits])


async def reserve(pool: Pool, *limits: Limit, count: int = 1, within: float = 3600.0) -> float | None:
    """Reserve slots and give the time on this machine's clock at which the first begins."""
    async with pool.connection() as connection:
        delay = await pace.reserve(connection, limits, count=count, within=within)
        return None if delay is None else time.monotonic() + delay


async def slots(pool: Pool, workers: int, each: int, *limits: Limit) -> list[float]:
    """Have several workers reserve slots at once; give all slots in order."""

    async def worker() -> list[float]:
        found = [await reserve(pool, *limits) for _ in range(each)]
        return [slot for slot in found if slot is not None]

    lists = await asyncio.gather(*(worker() for _ in range(workers)))
    return sorted(slot for found in lists for slot in found)


async def test_slots_of_eight_senders_never_come_closer_than_the_interval_and_none_is_left_out(pool: Pool) -> None:
    limit = Limit(key="number:1", interval=0.05)
    await prepared(pool, limit)
    found = await slots(pool, 8, 10, limit)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert min(gaps) > 0.05 - 0.02  # the slots are exact; reading two clocks is not
    assert found[-1] - found[0] < 79 * 0.05 + 0.5


async def test_a_text_waits_for_the_slowest_of_its_limits(pool: Pool) -> None:
    quick, slow = Limit(key="number:1", interval=0.01), Limit(key="missive:900/900", interval=0.2)
    await prepared(pool, quick, slow)
    found = await slots(pool, 2, 3, quick, slow)
    assert found[-1] - found[0] > 5 * 0.2 - 0.05


async def test_two_numbers_share_their_providers_window(pool: Pool) -> None:
    one, two, window = (Limit(key=key, interval=i) for key, i in (("a", 0.01), ("b", 0.01), ("w", 0.2)))
    await prepared(pool, one, two, window)
    first, second = await reserve(pool, one, window), await reserve(pool, two, window)
    assert first is not None
    assert second is not None
    assert second - first > 0.15


async def test_a_slot_too_far_off_is_not_taken(pool: Pool) -> None:
    limit = Limit(key="number:1", interval=1.0)
    await prepared(pool, limit)
    first = await reserve(pool, limit)
    assert await reserve(pool, limit, within=0.2) is None
    second = await reserve(pool, limit)
    assert first is not None
    assert second is not None
    assert 0.9 < second - first < 1.1


async def test_a_block_of_slots_is_taken_whole(pool: Pool) -> None:
    limit = Limit(key="number:1", interval=0.1)
    await prepared(pool, limit)
    first, after = await reserve(pool, limit, count=5), await reserve(pool, limit)
    assert first is not None
    assert after is not None
    assert 0.45 < after - first < 0.55


async def test_each_failure_after_a_hold_doubles_the_next_one_until_a_success(pool: Pool) -> None:
    limit, provider = Limit(key="number:1", interval=0.01), pace.provider_hold("missive")
    await prepared(pool, limit, provider)
    waits = []
    async with pool.connection() as connection:
        for _ in range(3):
            waits.append(round(await pace.hold(connection, "missive")))
            assert await pace.reserve(connection, (limit, provider), within=0.5) is None
            await connection.execute("UPDATE pace SET held_until = clock_timestamp()")
        assert waits == [1, 2, 4]
        await pace.release(connection, "missive")
        assert round(await pace.hold(connection, "missive")) == 1


async def test_requests_that_one_blip_breaks_are_one_failure(pool: Pool) -> None:
    await prepared(pool, pace.provider_hold("missive"))
    async with pool.connection() as connection:
        waits = [round(await pace.hold(connection, "missive")) for _ in range(5)]
        assert waits == [1] * 5
        assert (await pace.held(connection, ["missive"]))[1] == 1


async def test_the_wait_that_a_provider_asks_for_is_kept_whatever_succeeds_meanwhile(pool: Pool) -> None:
    provider = pace.provider_hold("missive")
    await prepared(pool, provider)
    async with pool.connection() as connection:
        await pace.hold(connection, "missive", 30.0)
        await pace.release(connection, "missive")
        delay, _ = await pace.held(connection, ["missive"])
    assert 29 < delay <= 30


async def test_permits_are_never_more_than_there_are_and_come_back(pool: Pool) -> None:
    async with pool.connection() as connection:
        await permits.prepare(connection, "missive", 5)
    taken = await asyncio.gather(*(permits.take(pool, "missive", count=5, want=2, seconds=60) for _ in range(4)))
    held = [permit for some in taken for permit in some]
    assert sorted(held) == [1, 2, 3, 4, 5]
    assert await permits.take(pool, "missive", count=5, want=1, seconds=60) == []
    await permits.give_back(pool, "missive", [2])
    assert await permits.take(pool, "missive", count=5, want=3, seconds=60) == [2]


async def test_a_permit_whose_holder_died_is_free_again_in_time(pool: Pool) -> None:
    async with pool.connection() as connection:
        await permits.prepare(connection, "missive", 1)
    assert await permits.take(pool, "missive", count=1, want=1, seconds=0.2) == [1]
    await asyncio.sleep(0.25)
    assert await permits.take(pool, "missive", count=1, want=1, seconds=60) == [1]
