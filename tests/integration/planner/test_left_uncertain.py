"""Messages that nobody can tell the fate of, to the end of their broadcast and beyond."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import sending_again
from libs.common.carriers.outcomes import Unknown
from libs.common.operations import rebuild, retention
from services.planner import watchdog
from tests.support.world import World

LOST = Unknown(reason="connection_lost")
NUMBERS = "SELECT count(*) FROM outgoing_messages WHERE recipient_phone_number IS NOT NULL"


async def lose(world: World, broadcast_id: int, *, is_second: bool = False, size: int = 1) -> None:
    batch = await world.claimed(broadcast_id, is_second=is_second, size=size)
    started = await world.start(batch)
    for item in started:
        await world.answer(item, LOST)
    await world.close(batch, started=len(started))


async def left(world: World) -> int:
    """Have the last messages of each phase stay uncertain, and drive the broadcast to its end."""
    broadcast = await world.made(2, second_delay=0)
    await lose(world, broadcast)
    await world.send(broadcast)
    world.clock.forward(minutes=14)
    assert await world.advance(broadcast) == "sending_first"
    world.clock.forward(minutes=2)
    assert await world.advance(broadcast) == "sending_second"
    await world.send(broadcast, is_second=True, size=1)
    await lose(world, broadcast, is_second=True)
    await world.query("UPDATE batches SET closed_at = %s WHERE closed_at IS NULL", world.clock.now)  # with nothing left
    world.clock.forward(minutes=16)
    assert await world.advance(broadcast) == "syncing"
    await world.query("UPDATE syncs SET due_at = NULL")
    world.clock.forward(seconds=world.settings.sync_deadline)
    assert await world.advance(broadcast) == "completed"
    return broadcast


async def test_a_phase_goes_on_without_its_last_messages_after_its_patience_and_the_ledger_says_so(
    world: World,
) -> None:
    """Invariant 5: without proof they stay uncertain, however long, and nobody waits for them for ever."""
    await left(world)
    assert [event["uncertain"] for event in await world.happened("PhaseFinished")] == [1, 1]
    [completed] = await world.happened("BroadcastCompleted")
    ledger = completed["ledger"]
    assert (ledger["planned"], ledger["accepted"], ledger["uncertain"]) == (4, 2, 2)


async def test_what_staff_send_again_leaves_once_more_and_history_gives_the_same(world: World) -> None:
    broadcast = await world.made(1)
    await lose(world, broadcast)
    [message] = await world.messages(broadcast)
    async with database.transaction(world.engine) as connection:
        await sending_again.send_again(connection, broadcast, message["id"], by="Ann", reason="", now=world.clock.now)
    assert await world.advance(broadcast) == "sending_first"
    assert len(await world.opens(broadcast)) == 1
    await world.send(broadcast)
    [message] = await world.messages(broadcast)
    assert (message["state"], message["attempts"]) == ("accepted", 2)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


@pytest.mark.parametrize("how", ["pruned", "erased"])
async def test_numbers_of_messages_that_stayed_uncertain_are_forgotten_like_the_others(world: World, how: str) -> None:
    """They had no end, and kept their numbers for good."""
    broadcast = await left(world)
    if how == "pruned":
        world.clock.forward(days=31)
        await retention.prune(world.engine, world.clock.now - timedelta(days=30), world.clock.now)
    else:
        await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now()")
        await watchdog._prune(world.worker)
    assert await world.value(NUMBERS) == 0
    assert (await world.states(broadcast)).count("uncertain") == 1
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before
