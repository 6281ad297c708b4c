"""A database that was restored to a point in the past: nothing starts in it until it is settled."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import restore_hold
from libs.common.carriers.outcomes import Accepted, Unknown
from libs.common.domain.commands import SettleUncertain, SyncStatuses
from libs.common.errors import NotReconciled
from libs.console import doctor
from services.planner.gauges import measure
from services.twilio_sync.settling import Settle
from services.twilio_sync.status_sync import Sync
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World


async def hold(world: World, since: timedelta = timedelta(hours=1)) -> None:
    async with database.transaction(world.engine) as connection:
        await restore_hold.hold(connection, world.clock.now - since, world.clock.now)


async def lift(world: World) -> None:
    async with database.transaction(world.engine) as connection:
        mark = await restore_hold.read(connection)
        assert mark is not None
        await restore_hold.lift(connection, mark, world.clock.now)


async def test_the_statement_that_starts_attempts_starts_none(world: World) -> None:
    batch = await world.claimed(await world.made(3))
    await hold(world)
    assert await world.start(batch) == []
    await lift(world)
    assert len(await world.start(batch)) == 3


async def test_no_broadcast_is_made_by_hand(world: World) -> None:
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"))
    await hold(world)
    with pytest.raises(NotReconciled):
        await world.make(broadcast)
    await lift(world)
    assert (await world.make(broadcast)).recipients == 1


async def test_the_planner_plans_nothing_and_misses_nothing(world: World) -> None:
    sending = await world.made(3)
    await world.contacts(1, "all")
    scheduled = await world.scheduled(await world.segment("all"))
    yesterday = await world.scheduled(await world.segment("all"), run_at=NOW - timedelta(days=1))
    await hold(world)
    before = await world.dump()
    for broadcast in (sending, scheduled, yesterday):
        await world.advance(broadcast)
    assert await world.dump() == before
    await lift(world)
    assert [await world.advance(each) for each in (sending, scheduled, yesterday)] == [
        "sending_first", "sending_first", "missed",
    ]  # fmt: skip
    assert len(await world.opens(sending)) == 1


async def test_no_step_takes_entries_of_the_log_that_may_belong_to_messages_nobody_knows_of(world: World) -> None:
    log = TwilioLog()
    broadcast = await world.made(2)
    uncertain, accepted = await world.start(await world.claimed(broadcast))
    await world.answer(accepted, Accepted(missive_id="M1"))
    await world.answer(uncertain, Unknown(reason="timeout"))
    world.clock.forward(minutes=10)
    for number in [message["recipient_phone_number"] for message in await world.messages(broadcast)]:
        log.add(f"SM{number}", number, FIRST, NOW + timedelta(minutes=5))
    await hold(world)
    before = await world.dump()
    sync = Sync(world.worker, world.settings, log.twilio(), None)
    settle = Settle(world.worker, world.settings, log.twilio())
    await sync.sync_statuses(SyncStatuses(broadcast_id=broadcast), delivery())
    await settle.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
    assert await world.dump() == before
    assert log.asked == []
    await lift(world)
    await settle.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
    assert await world.states(broadcast) == ["accepted", "accepted"]


async def test_a_mark_that_stands_is_only_moved_back_and_what_left_until_now_is_waited_for(world: World) -> None:
    await hold(world, timedelta(hours=2))
    world.clock.forward(minutes=1)
    await hold(world, timedelta(hours=1))
    async with database.transaction(world.engine) as connection:
        assert await restore_hold.read(connection) == restore_hold.Mark(
            since=NOW - timedelta(hours=2), held_at=world.clock.now, reconciled_at=None
        )


async def test_a_database_that_is_restored_anew_after_it_was_settled_is_held_again(world: World) -> None:
    await hold(world)
    await lift(world)
    world.clock.forward(hours=5)
    await hold(world)
    async with database.transaction(world.engine) as connection:
        assert await restore_hold.held(connection)
        mark = await restore_hold.read(connection)
    assert mark is not None
    assert mark.since == world.clock.now - timedelta(hours=1)


async def test_a_mark_that_was_set_anew_meanwhile_is_not_lifted(world: World) -> None:
    await hold(world)
    async with database.transaction(world.engine) as connection:
        mark = await restore_hold.read(connection)
        assert mark is not None
        await restore_hold.hold(connection, world.clock.now - timedelta(hours=9), world.clock.now)
        await restore_hold.lift(connection, mark, world.clock.now)
        assert await restore_hold.held(connection)


async def test_who_looks_is_told(world: World) -> None:
    assert (await measure(world.worker, NOW))["broadsheet_restore_unsettled"] == 0
    await hold(world)
    assert (await measure(world.worker, NOW))["broadsheet_restore_unsettled"] == 1
    _, well, words = await doctor.database_check(world.settings)
    assert not well
    assert "broadsheet reconcile --since" in words
    await lift(world)
    assert (await doctor.database_check(world.settings))[1]


async def test_history_says_when_a_restore_was_marked_and_when_it_was_settled(world: World) -> None:
    await hold(world)
    await lift(world)
    await lift(world)  # it stands no more: nothing happens
    assert await world.column("SELECT type FROM events WHERE stream = 'restore' ORDER BY version") == [
        "RestoreMarked", "RestoreSettled"
    ]  # fmt: skip
