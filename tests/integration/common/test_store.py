"""The event store."""

import asyncio
from itertools import pairwise

import psycopg
import pytest

from libs.common import database, store
from libs.common import events as e
from libs.common.errors import ConcurrencyError
from tests.support.world import NOW, World

EVENT = e.SecondPhaseStarted(broadcast_id=1)


async def append(world: World, *, expected: int | None = None, count: int = 1, stream: str = "s") -> int:
    async with database.transaction(world.pool) as connection:
        return await store.append(connection, stream, [EVENT] * count, now=NOW, expected=expected)


async def test_what_was_appended_is_read_in_order_with_its_time(world: World) -> None:
    events: list[e.Event] = [e.BroadcastPaused(broadcast_id=1), e.BroadcastResumed(broadcast_id=1)]
    async with database.transaction(world.pool) as connection:
        assert await store.append(connection, "s", events, now=NOW, expected=0) == 2
        recorded, version = await store.read(connection, "s")
    assert [item.event for item in recorded] == events
    assert {item.at for item in recorded} == {NOW}
    assert version == 2


async def test_of_two_writers_who_read_the_same_version_one_wins(world: World) -> None:
    """Fault 8: nothing was locked."""
    await append(world, count=3)
    results = await asyncio.gather(*(append(world, expected=3) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConcurrencyError", "int"]
    assert await world.value("SELECT count(*) FROM events") == 4


async def test_of_two_who_begin_a_stream_one_wins(world: World) -> None:
    results = await asyncio.gather(*(append(world, expected=0) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConcurrencyError", "int"]


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_version_that_the_stream_is_not_at_is_refused_and_nothing_is_written(
    world: World, expected: int
) -> None:
    await append(world, count=2)
    with pytest.raises(ConcurrencyError):
        await append(world, expected=expected)
    assert await world.value("SELECT count(*) FROM events") == 2


async def test_a_stream_that_does_not_exist_is_not_at_version_5(world: World) -> None:
    with pytest.raises(ConcurrencyError):
        await append(world, expected=5)
    assert await world.value("SELECT count(*) FROM streams") == 0


async def test_many_writers_at_once_leave_no_gap_in_the_versions(world: World) -> None:
    await asyncio.gather(*(append(world, count=1 + n % 3) for n in range(20)))
    versions = await world.column("SELECT version FROM events ORDER BY version")
    assert versions == list(range(1, len(versions) + 1))
    assert await world.value("SELECT version FROM streams") == len(versions)


async def test_a_writer_who_gives_up_leaves_no_gap(world: World) -> None:
    await append(world)
    async with world.pool.connection() as connection, connection.transaction(force_rollback=True):
        await store.append(connection, "s", [EVENT], now=NOW)
    await append(world)
    assert await world.column("SELECT version FROM events ORDER BY version") == [1, 2]


@pytest.mark.parametrize("change", ["UPDATE events SET type = 'Other'", "DELETE FROM events"])
async def test_history_cannot_be_changed(world: World, change: str) -> None:
    """Invariant 6."""
    await append(world)
    with pytest.raises(psycopg.errors.RaiseException, match="appended, never changed"):
        await world.query(change)


async def test_a_reader_by_position_does_not_skip_what_is_not_yet_committed(world: World) -> None:
    """Positions are handed out before commits."""

    async def seen(after: int = 0) -> list[int]:
        async with world.pool.connection() as connection:
            return [row["position"] for row in await store.of_broadcast(connection, 1, after=after)]

    async with database.transaction(world.pool) as connection:
        await store.append(connection, "slow", [EVENT], now=NOW)
        await append(world, stream="fast")
        assert await seen() == []
    both = await seen()
    assert len(both) == 2
    assert await world.column("SELECT stream FROM events ORDER BY position") == ["slow", "fast"]


async def test_a_reader_page_by_page_sees_everything_once(world: World) -> None:
    await append(world, count=25)
    seen: list[int] = []
    while True:
        async with world.pool.connection() as connection:
            page = await store.of_broadcast(connection, 1, after=seen[-1] if seen else 0, limit=10)
        if not page:
            break
        seen += [row["position"] for row in page]
    assert len(seen) == 25
    assert all(one < other for one, other in pairwise(seen))


async def test_a_reader_by_position_sees_what_was_dumped_in_another_cluster_and_loaded_here(world: World) -> None:
    """The numbers of the transactions there mean nothing here: most have not begun yet."""
    await append(world, count=2)
    await world.query("ALTER TABLE events DISABLE TRIGGER events_are_history")
    await world.query("UPDATE events SET transaction_id = '9000000000000'")
    await world.query("ALTER TABLE events ENABLE TRIGGER events_are_history")
    async with world.pool.connection() as connection:
        assert len(await store.of_broadcast(connection, 1)) == 2
