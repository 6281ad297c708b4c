"""Looks at uncertain messages come in one chain a broadcast, until nothing remains or the broadcast is over."""

import asyncio
from datetime import datetime, timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import scheduling
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.commands import SettleUncertain
from services.planner import watchdog
from services.twilio_sync.settling import Settle
from tests.integration.twilio_sync.lost import LOST, lose, prove, settle, uncertain
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World


async def plan(world: World, broadcast_id: int, seconds: float) -> None:
    async with database.transaction(world.engine) as connection:
        due = world.clock.now + timedelta(seconds=seconds)
        await scheduling.plan_settling(connection, broadcast_id, due, world.clock.now)


async def take(world: World) -> list[SettleUncertain]:
    """Do what the relay does: publish all that is planned, though it is not due yet."""
    rows = await world.query("DELETE FROM outbox WHERE type = 'SettleUncertain' RETURNING data")
    return [SettleUncertain(**row["data"]) for row in rows]


async def handle(world: World, log: TwilioLog, *messages: SettleUncertain) -> None:
    handler = Settle(world.worker, world.settings, log.twilio())
    for message in messages:
        await handler.settle_uncertain(message, delivery())


async def test_many_lost_answers_have_one_look_planned(world: World, log: TwilioLog) -> None:
    """Each of them planned one, what was on its way to the broker was not taken back, and each planned the next."""
    broadcast = await world.made(20)
    log.stands_still_since = NOW
    told: list[SettleUncertain] = []
    for _ in range(20):
        await lose_one(world, broadcast)
        await plan(world, broadcast, world.settings.settle_after)  # as the planner does when it hears of it
        told += await take(world)
        world.clock.forward(seconds=1)
    world.clock.forward(seconds=world.settings.settle_after)
    for _ in range(10):
        await handle(world, log, *told)
        told += await take(world)
        world.clock.forward(seconds=60)
    assert len(log.asked) == 10


async def lose_one(world: World, broadcast_id: int) -> None:
    [started] = await world.start(await world.claimed(broadcast_id, size=1))
    await world.answer(started, LOST)


async def test_a_look_that_comes_twice_is_made_once(world: World, log: TwilioLog) -> None:
    broadcast, _ = await uncertain(world)
    await plan(world, broadcast, 0)
    [message] = await take(world)
    prove(world, log)
    await asyncio.gather(*(handle(world, log, message) for _ in range(4)))
    assert len(log.asked) == 3  # before, the look, after
    assert await world.states(broadcast) == ["pending"]


async def test_a_look_that_is_put_off_is_not_made_earlier_by_the_watchdog(world: World, log: TwilioLog) -> None:
    """300 reads a minute were seen: the watchdog planned another one beside it every few seconds."""
    broadcast, _ = await uncertain(world)
    log.stands_still_since = NOW
    await plan(world, broadcast, 0)
    await handle(world, log, *await take(world))
    [put_off] = await world.planned("SettleUncertain")
    told = await take(world)
    settled: dict[int, datetime] = {}
    while world.clock.now < put_off["deliver_at"]:
        await watchdog.look(world.worker, world.clock.now, settled)
        world.clock.forward(seconds=5)
    assert await take(world) == []
    await handle(world, log, *told)
    assert len(log.asked) == 2


async def test_a_look_that_was_lost_is_planned_again_once_and_the_lost_one_does_nothing(
    world: World, log: TwilioLog
) -> None:
    broadcast, _ = await uncertain(world)
    log.stands_still_since = NOW
    await plan(world, broadcast, 0)
    lost = await take(world)
    settled: dict[int, datetime] = {}
    for _ in range(10):
        world.clock.forward(seconds=5)
        await watchdog.look(world.worker, world.clock.now, settled)
    [again] = [message for message in await take(world) if message.number is not None][-1:]
    await handle(world, log, again, *lost)
    assert len(log.asked) == 1
    assert len(await world.planned("SettleUncertain")) == 1


async def test_a_worker_that_dies_in_a_look_does_not_end_the_chain(world: World, log: TwilioLog) -> None:
    broadcast, _ = await uncertain(world)
    await plan(world, broadcast, 0)
    [message] = await take(world)
    handler = Settle(world.worker, world.settings, log.twilio())

    async def die(*_about: object) -> list[LogEntry]:
        raise asyncio.CancelledError

    handler._log = die  # type: ignore[assignment, method-assign]
    prove(world, log)
    with pytest.raises(asyncio.CancelledError):
        await handler.settle_uncertain(message, delivery())
    await handle(world, log, message)  # delivered again
    assert await world.states(broadcast) == ["uncertain"]
    settled: dict[int, datetime] = {}
    for _ in range(12):
        world.clock.forward(seconds=5)
        await watchdog.look(world.worker, world.clock.now, settled)
    await handle(world, log, *await take(world))
    assert await world.states(broadcast) == ["pending"]


async def test_a_look_that_finds_no_proof_comes_again_sooner_while_the_message_is_young(
    world: World, log: TwilioLog
) -> None:
    """It costs one page; a message that waits for hours is looked for once in a while."""
    broadcast, _ = await uncertain(world)
    log.stands_still_since = NOW
    waits = []
    for minutes in (0, 1, 5, 60, 600):
        world.clock.forward(minutes=minutes)
        await settle(world, log, broadcast, proof=False)
        [planned] = await world.planned("SettleUncertain")
        waits.append((planned["deliver_at"] - world.clock.now).total_seconds())
        await take(world)
    assert waits[0] == pytest.approx(15)
    assert waits == sorted(waits)
    assert waits[-1] == world.settings.sync_interval


async def test_nothing_is_looked_up_any_more_once_the_ledger_is_closed(world: World, log: TwilioLog) -> None:
    """The report is final; a message that nobody can tell of is uncertain in it, and the carrier is left in peace."""
    broadcast = await world.made(1, second_delay=0)
    [lost] = await lose(world, broadcast)
    log.add("SM1", lost.attempt.to, FIRST, NOW)
    await world.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' WHERE is_second")
    await world.query("UPDATE broadcasts SET state = 'completed', completed_at = %s", world.clock.now)
    world.clock.forward(seconds=world.settings.settle_after)
    await plan(world, broadcast, 0)
    await handle(world, log, *await take(world))
    assert log.asked == []
    await watchdog.look(world.worker, world.clock.forward(hours=1), {})
    assert await take(world) == []
