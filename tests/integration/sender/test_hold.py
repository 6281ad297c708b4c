"""A broadcast that can be called back: nothing leaves before, and nothing after."""

import asyncio
from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import making, repository, restore_hold
from libs.common.domain.states import MessageState
from libs.common.errors import AlreadySent, NotReconciled
from libs.common.operations import rebuild
from services.api.broadcasts import staff_actions
from tests.support.world import NOW, World

HOLD = timedelta(seconds=30)


async def held(world: World, *, ahead: bool = True) -> int:
    """Send a broadcast of three now that is set for an hour from now, or was set for a minute ago."""
    await world.contacts(3, "all")
    run_at = NOW + timedelta(hours=1) if ahead else NOW - timedelta(minutes=1)
    broadcast = await world.scheduled(await world.segment("all"), run_at=run_at)
    await again(world, broadcast)
    return broadcast


async def again(world: World, broadcast: int) -> None:
    async with database.transaction(world.engine) as connection:
        loaded = await repository.load(connection, broadcast)
        await making.make(connection, loaded, world.schedule, world.clock.now, by_hand=True, hold=HOLD)


async def call_back(world: World, broadcast: int) -> None:
    async with database.transaction(world.engine) as connection:
        await staff_actions.call_back(connection, broadcast, world.clock.now)


async def test_the_first_batch_is_due_when_the_hold_is_over(world: World) -> None:
    broadcast = await held(world)
    until = await world.value("SELECT hold_until FROM broadcasts WHERE id = %s", broadcast)
    assert until >= NOW + HOLD
    await world.advance(broadcast)
    assert await world.column("SELECT due_at FROM batches") == [until]


async def test_nothing_is_claimed_before_whoever_asks_for_it(world: World) -> None:
    broadcast = await held(world)
    batch = await world.claimed(broadcast)
    assert await world.states(broadcast) == [MessageState.PENDING] * 3
    world.clock.forward(seconds=60)
    assert await world.claim(batch) == 3


async def test_called_back_it_is_scheduled_as_it_was_and_nothing_is_left_of_its_sending(world: World) -> None:
    broadcast = await held(world)
    await world.advance(broadcast)
    await call_back(world, broadcast)
    assert await world.state(broadcast) == "scheduled"
    assert await world.states(broadcast) == []
    assert await world.opens(broadcast) == []
    assert await world.planned("SendBatch") == []
    [step] = await world.planned("MakeBroadcast")
    assert step["deliver_at"] == NOW + timedelta(hours=1)
    world.clock.forward(hours=1)
    assert await world.advance(broadcast) == "sending_first"  # it goes out at its time, once
    assert len(await world.send(broadcast)) == 3


async def test_called_back_after_its_time_it_stays_until_somebody_sends_it(world: World) -> None:
    broadcast = await held(world, ahead=False)
    await call_back(world, broadcast)
    assert await world.advance(broadcast) == "missed"
    await again(world, broadcast)
    world.clock.forward(seconds=60)
    assert len(await world.send(broadcast)) == 3


async def test_what_a_worker_has_claimed_does_not_leave_after_a_call_back(world: World) -> None:
    broadcast = await held(world)
    world.clock.forward(seconds=60)
    batch = await world.claimed(broadcast)
    await call_back(world, broadcast)
    assert await world.start(batch) == []
    assert await world.close(batch)
    assert await world.state(broadcast) == "scheduled"


async def test_of_a_start_and_a_call_back_at_once_one_comes_first_and_the_other_knows(world: World) -> None:
    broadcast = await held(world)
    world.clock.forward(seconds=60)
    batch = await world.claimed(broadcast)
    async with database.transaction(world.engine) as connection:
        await repository.lock(connection, broadcast)  # both wait in line
        starting = asyncio.create_task(world.start(batch, count=1))
        await world.until_somebody_waits()
        calling = asyncio.create_task(call_back(world, broadcast))
    started, called = await asyncio.gather(starting, calling, return_exceptions=True)
    assert not isinstance(started, BaseException)
    assert isinstance(called, AlreadySent) == bool(started)
    assert await world.state(broadcast) == ("sending_first" if started else "scheduled")


async def test_where_one_has_left_nothing_changes_and_the_answer_says_how_many_have_it(world: World) -> None:
    broadcast = await held(world)
    world.clock.forward(seconds=60)
    await world.start(await world.claimed(broadcast), count=1)
    before = await world.dump()
    with pytest.raises(AlreadySent, match="1 have it, or may have, and 2 do not"):
        await call_back(world, broadcast)
    assert await world.dump() == before


async def test_what_a_restored_database_takes_for_unsent_is_not_called_back(world: World) -> None:
    broadcast = await held(world)
    async with database.transaction(world.engine) as connection:
        await restore_hold.hold(connection, NOW, NOW)
    with pytest.raises(NotReconciled):
        await call_back(world, broadcast)
    assert len(await world.states(broadcast)) == 3


async def test_what_was_called_back_is_rebuilt_to_the_same_rows(world: World) -> None:
    broadcast = await held(world)
    world.clock.forward(seconds=60)
    await world.claimed(broadcast)
    await call_back(world, broadcast)
    await again(world, broadcast)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before
    assert before["outgoing_messages"][0] == 6
