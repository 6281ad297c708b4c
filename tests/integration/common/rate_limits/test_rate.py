"""The pace, handed out by the real database to many at once."""

import asyncio
import itertools

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.database import Engine
from libs.common.rate_limits import concurrency, rate
from libs.common.rate_limits.rate import Limit


async def prepared(engine: Engine, *limits: Limit) -> None:
    async with database.transaction(engine) as connection:
        await rate.prepare(connection, [limit.key for limit in limits])


#: When the slot that was reserved last begins.
LAST = text("""
SELECT CAST(extract(epoch FROM next_at - make_interval(secs => :seconds)) AS float8) AS at FROM pace WHERE key = :key
""")


async def reserve(engine: Engine, *limits: Limit, count: int = 1, within: float = 3600.0) -> float | None:
    """Reserve slots and give the time on the database's clock, which hands them out, at which the first begins."""
    async with database.transaction(engine) as connection:
        if await rate.reserve(connection, limits, count=count, within=within) is None:
            return None
        row = (
            (await connection.execute(LAST, {"seconds": limits[0].interval * count, "key": limits[0].key}))
            .mappings()
            .first()
        )
        assert row is not None
        return float(row["at"])


async def slots(engine: Engine, workers: int, each: int, *limits: Limit) -> list[float]:
    """Have several workers reserve slots at once; give all slots in order."""

    async def worker() -> list[float]:
        found = [await reserve(engine, *limits) for _ in range(each)]
        return [slot for slot in found if slot is not None]

    lists = await asyncio.gather(*(worker() for _ in range(workers)))
    return sorted(slot for found in lists for slot in found)


async def test_slots_of_eight_senders_never_come_closer_than_the_interval_and_none_is_left_out(engine: Engine) -> None:
    # Slots are only handed out here, so that long intervals take no time, and keep ahead of a slow machine.
    limit = Limit(key="number:1", interval=5.0)
    await prepared(engine, limit)
    found = await slots(engine, 8, 10, limit)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert min(gaps) > 5.0 - 1e-3
    assert max(gaps) < 5.0 + 1e-3


async def test_slots_of_many_limits_are_reserved_once_each_by_every_plan(engine: Engine) -> None:
    """Reservations that wait for each other, under plans that the server may come to choose."""
    limits = (rate.number_limit(1, 100), rate.provider_hold("missive"), rate.window_limit("missive", 1, 60))
    window = limits[-1]
    await prepared(engine, *limits)

    async def reserve_under(*off: str) -> float:
        async with database.transaction(engine) as connection:
            for name in off:
                await connection.execute(text(f"SET LOCAL {name} = off"))
            assert await rate.reserve(connection, limits, within=1e6) is not None
            return float((await connection.execute(LAST, {"seconds": 0.0, "key": window.key})).scalar_one())

    joins = ("enable_nestloop", "enable_hashjoin", "enable_mergejoin")
    plans = [(*off, *scan) for off in itertools.combinations(joins, 2) for scan in ((), ("enable_seqscan",))]
    found = sorted(await asyncio.gather(*(reserve_under(*plan) for plan in plans * 4)))
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert gaps == pytest.approx([window.interval] * len(gaps), abs=1e-3)


async def test_a_message_waits_for_the_slowest_of_its_limits(engine: Engine) -> None:
    quick, slow = Limit(key="number:1", interval=0.01), Limit(key="missive:900/900", interval=0.2)
    await prepared(engine, quick, slow)
    found = await slots(engine, 2, 3, quick, slow)
    assert found[-1] - found[0] > 5 * 0.2 - 0.05


async def test_two_numbers_share_their_providers_window(engine: Engine) -> None:
    one, two, window = (Limit(key=key, interval=i) for key, i in (("a", 0.01), ("b", 0.01), ("w", 0.2)))
    await prepared(engine, one, two, window)
    first, second = await reserve(engine, one, window), await reserve(engine, two, window)
    assert first is not None
    assert second is not None
    assert second - first > 0.15


async def test_a_slot_too_far_off_is_not_taken(engine: Engine) -> None:
    limit = Limit(key="number:1", interval=60.0)
    await prepared(engine, limit)
    first = await reserve(engine, limit)
    assert await reserve(engine, limit, within=0.2) is None
    second = await reserve(engine, limit)
    assert first is not None
    assert second is not None
    assert 59 < second - first < 61


async def test_a_limit_without_its_row_gives_no_slot_and_moves_no_other(engine: Engine) -> None:
    """Fault: a limit whose row was missing limited nothing."""
    one, window = Limit(key="number:1", interval=60.0), rate.window_limit("missive", 1, 3600)
    provider = rate.provider_hold("missive")
    await prepared(engine, one, provider)
    async with database.transaction(engine) as connection:
        assert await rate.reserve(connection, (one, provider, window)) is None
        assert await rate.waits(connection, [one.key]) == (0.0, 0.0)
    await prepared(engine, window)
    async with database.transaction(engine) as connection:
        assert await rate.reserve(connection, (one, provider, window)) is not None
        assert (await rate.waits(connection, [window.key]))[1] > 1800
        await rate.back_off(connection, provider.key, 60)
        assert (await rate.waits(connection, [one.key]))[0] == 0.0
        held, slot = await rate.waits(connection, [one.key], provider.key, window.key)
        assert 59 < held <= 60
        assert 0 < slot <= 60  # its own: the window's is half an hour away


async def test_a_limit_that_is_named_twice_is_one(engine: Engine) -> None:
    window = rate.window_limit("missive", 1, 3600)
    await prepared(engine, window)
    assert await reserve(engine, window, window) is not None


async def test_a_block_of_slots_is_taken_whole(engine: Engine) -> None:
    limit = Limit(key="number:1", interval=10.0)
    await prepared(engine, limit)
    first, after = await reserve(engine, limit, count=5), await reserve(engine, limit)
    assert first is not None
    assert after is not None
    assert 49 < after - first < 51


async def test_each_failure_after_a_hold_doubles_the_next_one_until_a_success(engine: Engine) -> None:
    limit, provider = Limit(key="number:1", interval=0.01), rate.provider_hold("missive")
    await prepared(engine, limit, provider)
    waits = []
    async with database.transaction(engine) as connection:
        for _ in range(3):
            waits.append(round(await rate.back_off(connection, "missive")))
            assert await rate.reserve(connection, (limit, provider), within=0.0) is None
            await connection.execute(text("UPDATE pace SET held_until = clock_timestamp()"))
        assert waits == [1, 2, 4]
        await rate.release(connection, "missive")
        assert round(await rate.back_off(connection, "missive")) == 1


async def test_requests_that_one_blip_breaks_are_one_failure(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FIRST_HOLD", 60.0)
    await prepared(engine, rate.provider_hold("missive"))
    async with database.transaction(engine) as connection:
        waits = [await rate.back_off(connection, "missive") for _ in range(5)]
        assert 30 < waits[-1] < waits[0] <= 60
        assert (await rate.backoff(connection, ["missive"]))[1] == 1


async def test_the_wait_that_a_provider_asks_for_is_kept_whatever_succeeds_meanwhile(engine: Engine) -> None:
    provider = rate.provider_hold("missive")
    await prepared(engine, provider)
    async with database.transaction(engine) as connection:
        await rate.back_off(connection, "missive", 300.0)
        await rate.release(connection, "missive")
        delay, _ = await rate.backoff(connection, ["missive"])
    assert 270 < delay <= 300


async def test_permits_are_never_more_than_there_are_and_come_back(engine: Engine) -> None:
    async with database.transaction(engine) as connection:
        await concurrency.prepare(connection, "missive", 5)
    taken = await asyncio.gather(
        *(concurrency.acquire(engine, "missive", count=5, want=2, seconds=60) for _ in range(4))
    )
    held = [permit for some in taken for permit in some]
    assert sorted(held) == [1, 2, 3, 4, 5]
    assert await concurrency.acquire(engine, "missive", count=5, want=1, seconds=60) == []
    await concurrency.release(engine, "missive", [2])
    assert await concurrency.acquire(engine, "missive", count=5, want=3, seconds=60) == [2]


async def test_a_permit_whose_holder_died_is_free_again_in_time(engine: Engine) -> None:
    async with database.transaction(engine) as connection:
        await concurrency.prepare(connection, "missive", 1)
    assert await concurrency.acquire(engine, "missive", count=1, want=1, seconds=0.2) == [1]
    await asyncio.sleep(0.25)
    assert await concurrency.acquire(engine, "missive", count=1, want=1, seconds=60) == [1]
