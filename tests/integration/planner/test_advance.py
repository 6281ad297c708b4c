"""A broadcast's whole life by `advance` alone, with a clock that tests set."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.carriers.outcomes import Accepted, Refused, Unknown
from libs.common.errors import NotFound
from libs.common.rate_limits import rate
from services.planner import queries, watchdog_queries
from services.planner.phase import PATIENCE
from tests.support.passes import delivered
from tests.support.world import HERE, NOW, World, make_settings


def with_settings(world: World, **fields: Any) -> World:
    return replace(world, settings=make_settings(world.settings.database_url, **fields))


async def test_a_broadcast_goes_from_its_schedule_to_its_report(world: World) -> None:
    await world.contacts(3, "all")
    segment = await world.segment("all")
    broadcast = await world.scheduled(segment, run_at=NOW + timedelta(hours=1), recurring=True)
    assert await world.advance(broadcast) == "scheduled"
    world.clock.forward(hours=1)
    assert await world.advance(broadcast) == "sending_first"
    await world.send(broadcast)
    assert await world.advance(broadcast) == "sending_first"  # the batch that was planned is still open
    [planned] = await world.opens(broadcast)
    taken = await world.take(planned)
    assert taken is not None
    await world.close(taken)
    assert await world.advance(broadcast) == "waiting"
    [step] = await world.planned("StartSecondPhase")
    assert step["deliver_at"] == world.clock.now + timedelta(seconds=600)
    world.clock.forward(seconds=600)
    assert await world.advance(broadcast) == "sending_second"
    [planned] = await world.opens(broadcast)
    taken = await world.take(planned)
    assert taken is not None
    await world.claim(taken)
    for started in await world.start(taken):
        await world.answer(started, Accepted(missive_id=f"M{started.attempt.message_id}"))
    await world.close(taken)
    assert await world.advance(broadcast) == "syncing"
    assert (await world.planned("SyncStatuses"))[-1]["deliver_at"] == world.clock.now
    await delivered(world, broadcast)
    assert await world.advance(broadcast) == "completed"
    [completed] = await world.happened("BroadcastCompleted")
    assert completed["ledger"] == {"planned": 6, "accepted": 6, "refused": {}, "skipped": {}, "uncertain": 0,
                                   "not_handed_over": 0}  # fmt: skip
    assert completed["unsettled"] == 0


async def test_advancing_again_finds_nothing_to_do(world: World) -> None:
    broadcast = await world.made(3)
    await world.advance(broadcast)
    before = await world.dump()
    await world.advance(broadcast)
    assert await world.dump() == before


async def test_two_who_advance_at_once_plan_one_step(world: World) -> None:
    broadcast = await world.made(3)
    await asyncio.gather(*(world.advance(broadcast) for _ in range(5)))
    assert len(await world.opens(broadcast)) == 1
    assert len(await world.planned("SendBatch")) == 1


async def test_two_who_make_at_once_make_one(world: World) -> None:
    """Fault 8: two callers of make both ran."""
    await world.contacts(3, "all")
    broadcast = await world.scheduled(await world.segment("all"), recurring=True)
    await asyncio.gather(*(world.advance(broadcast) for _ in range(5)))
    assert len(await world.happened("BroadcastMade")) == 1
    assert await world.value("SELECT count(*) FROM broadcasts") == 2


async def test_an_unknown_broadcast_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(NotFound):
        await world.advance(99)


async def test_a_run_that_comes_late_is_made_late(world: World) -> None:
    """Fault 11: the run was found by "equals this minute", so that a late tick skipped it for ever."""
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"))
    world.clock.forward(hours=3, minutes=7)
    assert await world.advance(broadcast) == "sending_first"


@pytest.mark.parametrize("recurring", [True, False])
async def test_a_broadcast_whose_day_went_by_is_missed_and_the_days_go_on(world: World, recurring: bool) -> None:
    """Fault 11: a past `run_at` blocked the whole schedule."""
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"), recurring=recurring)
    world.clock.forward(days=1)
    assert await world.advance(broadcast) == "missed"
    assert await world.value("SELECT missed_reason FROM broadcasts WHERE id = %s", broadcast) == "day_over"
    assert await world.value("SELECT count(*) FROM outgoing_messages") == 0
    following = await world.column("SELECT run_at FROM broadcasts WHERE previous_id = %s", broadcast)
    assert following == ([NOW + timedelta(days=2)] if recurring else [])


async def test_a_day_ends_at_the_organisations_midnight(world: World) -> None:
    """Fault 10: UTC and local dates were mixed."""
    await world.contacts(1, "all")
    evening = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)  # 18:30 in Detroit
    broadcast = await world.scheduled(await world.segment("all"), run_at=evening)
    world.clock.now = datetime(2026, 3, 5, 4, 30, tzinfo=UTC)  # 23:30 in Detroit, the next day in UTC
    assert await world.advance(broadcast) == "sending_first"


async def test_a_broadcast_that_cannot_be_made_is_missed_with_the_reason(world: World) -> None:
    broadcast = await world.scheduled(await world.segment("nobody"), recurring=True)
    assert await world.advance(broadcast) == "missed"
    assert await world.value("SELECT missed_reason FROM broadcasts WHERE id = %s", broadcast) == "empty_draw"
    assert await world.value("SELECT count(*) FROM broadcasts WHERE previous_id = %s", broadcast) == 1


@pytest.mark.parametrize("has_audience", [True, False])
async def test_a_draft_is_left_alone_also_when_its_time_and_its_day_are_over(
    world: World, *, has_audience: bool
) -> None:
    await world.contacts(1, "all")
    segments = [await world.segment("all")] if has_audience else []
    broadcast = await world.scheduled(*segments, recurring=True, draft=has_audience)
    for _ in range(2):
        assert await world.advance(broadcast) == "scheduled"
        async with database.transaction(world.engine) as connection:
            assert await watchdog_queries.under_way(connection, world.clock.now) == []
        world.clock.forward(days=1)
    assert await world.value("SELECT count(*) FROM broadcasts") == 1


async def test_the_follow_ups_are_due_after_the_last_first_message_that_left(world: World) -> None:
    """Fault 14: the delay of the second message was a constant."""
    broadcast = await world.made(3, second_delay=77)
    await world.send(broadcast, size=1)
    world.clock.forward(seconds=50)
    await world.send(broadcast, size=1)
    last = world.clock.now
    world.clock.forward(seconds=40)
    batch = await world.claimed(broadcast)
    [refused] = await world.start(batch)
    await world.answer(refused, Refused(code="21211", reason="not valid"))
    await world.close(batch)
    world.clock.forward(seconds=10)
    assert await world.advance(broadcast) == "waiting"
    assert (await world.load(broadcast)).second_due_at == last + timedelta(seconds=77)


async def test_follow_ups_that_are_due_when_the_last_first_message_is_known_begin_at_once(world: World) -> None:
    broadcast = await world.made(1, second_delay=0)
    await world.send(broadcast)
    assert await world.advance(broadcast) == "sending_second"


async def test_the_follow_ups_of_those_who_replied_or_opted_out_are_taken_out_before_they_begin(world: World) -> None:
    """Faults 23, 24, 26."""
    broadcast = await world.made(3)
    started = await world.send(broadcast)
    await world.query(
        "INSERT INTO replies (provider_id, phone_number, contact_id, broadcast_id, body, received_at)"
        " SELECT 'r', phone_number, id, %s, 'yes', now() FROM contacts WHERE phone_number = %s",
        broadcast, started[0].attempt.to,
    )  # fmt: skip
    await world.query(
        "INSERT INTO opt_outs SELECT phone_number, id, 'sms', now(), NULL, 'user:1' FROM contacts"
        " WHERE phone_number = %s",
        started[1].attempt.to,
    )
    await world.advance(broadcast)
    world.clock.forward(seconds=600)
    assert await world.advance(broadcast) == "sending_second"
    assert sorted(str(row["skip_reason"]) for row in await world.messages(broadcast, is_second=True)) == [
        "None", "opted_out", "replied"
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["sending_first", "waiting", "sending_second"])
async def test_a_paused_broadcast_does_not_move(world: World, state: str) -> None:
    """Fault 33: pause and resume sent again."""
    broadcast = await world.made(2)
    if state != "sending_first":
        await world.send(broadcast)
        await world.advance(broadcast)
    if state == "sending_second":
        world.clock.forward(seconds=600)
        await world.advance(broadcast)
    assert await world.state(broadcast) == state
    await world.pause(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(hours=1)
    assert await world.advance(broadcast) == "paused"
    assert await world.planned("SendBatch") == []
    await world.resume(broadcast)
    assert await world.advance(broadcast) in (state, "sending_second")


async def test_nothing_is_due_before_the_quiet_hours_end(world: World) -> None:
    """Fault 33: texting hours were enforced in UTC."""
    world = with_settings(world, quiet_hours="21:00-08:00")
    world.clock.now = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)  # 21:30 in Detroit
    broadcast = await world.made(2)
    await world.advance(broadcast)
    [step] = await world.planned("SendBatch")
    assert step["deliver_at"] == datetime(2026, 3, 5, 13, 0, tzinfo=UTC)


async def test_what_quiet_hours_keep_past_the_day_is_skipped_and_the_broadcast_ends(world: World) -> None:
    world = with_settings(world, quiet_hours="21:00-08:00")
    broadcast = await world.made(2)
    await world.pause(broadcast)
    world.clock.now = datetime(2026, 3, 6, 3, 0, tzinfo=UTC)
    await world.resume(broadcast)
    await world.advance(broadcast)
    assert {row["skip_reason"] for row in await world.messages(broadcast)} == {"quiet_hours"}
    world.clock.forward(hours=24)
    assert await world.advance(broadcast) == "syncing"


async def test_nothing_is_due_before_the_carrier_wants_more(world: World) -> None:
    broadcast = await world.made(2)
    async with database.transaction(world.engine) as connection:
        await rate.prepare(connection, ["missive"])
        await rate.back_off(connection, "missive", 30)
    await world.advance(broadcast)
    [step] = await world.planned("SendBatch")
    assert timedelta(seconds=25) < step["deliver_at"] - world.clock.now <= timedelta(seconds=30)


async def test_a_message_that_has_to_wait_gets_a_batch_when_its_time_comes(world: World) -> None:
    broadcast = await world.made(1)
    await world.query("UPDATE outgoing_messages SET not_before = %s", NOW + timedelta(seconds=40))
    await world.advance(broadcast)
    [step] = await world.planned("SendBatch")
    assert step["deliver_at"] == NOW + timedelta(seconds=40)


async def test_a_message_given_back_between_two_looks_may_go_now(world: World) -> None:
    """The batch that gives back does not wait for the planner, which counts first and then asks for the earliest."""
    broadcast = await world.made(1)
    async with database.transaction(world.engine) as connection:
        assert await queries.first_not_before(connection, broadcast, [HERE], NOW, is_second=False, pool_index=0) == NOW


async def test_a_phase_does_not_end_while_a_message_is_under_way(world: World) -> None:
    """Fault 16: a crash left claimed rows claimed for ever, and the phase "finished" without them."""
    broadcast = await world.made(1)
    await world.start(await world.claimed(broadcast))
    world.clock.forward(hours=1)
    assert await world.advance(broadcast) == "sending_first"


async def test_a_phase_waits_for_an_uncertain_message_but_not_for_ever(world: World) -> None:
    """Fault 18: a phase never ended."""
    broadcast = await world.made(1, second_delay=7200)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    await world.answer(started, Unknown(reason="timeout"))
    await world.close(batch, started=1)
    world.clock.now = NOW + PATIENCE - timedelta(seconds=1)
    assert await world.advance(broadcast) == "sending_first"
    world.clock.forward(seconds=1)
    assert await world.advance(broadcast) == "waiting"
    [finished] = await world.happened("PhaseFinished")
    assert finished["uncertain"] == 1


async def test_the_log_is_looked_at_while_messages_leave_and_at_once_when_all_have_left(world: World) -> None:
    """Missive says nothing of what the networks do with a text: nobody would hear that they turn a broadcast away."""
    interval = timedelta(seconds=world.settings.sync_interval)
    broadcast = await world.made(1)
    planned = []
    for _ in range(2):  # the second look finds one planned
        assert await world.advance(broadcast) == "sending_first"
        planned.append([step["deliver_at"] for step in await world.planned("SyncStatuses")])
    assert planned == [[NOW + interval]] * 2
    await world.query("UPDATE syncs SET due_at = NULL")  # that pass was made
    await world.send(broadcast)
    await close_all(world, broadcast)
    assert await world.advance(broadcast) == "waiting"
    assert [step["data"]["number"] for step in await world.planned("SyncStatuses")] == [1, 2]
    world.clock.forward(seconds=600)
    await world.advance(broadcast)
    await world.send(broadcast, is_second=True)
    await close_all(world, broadcast)
    assert await world.advance(broadcast) == "syncing"
    assert (await world.planned("SyncStatuses"))[-1]["deliver_at"] == world.clock.now


async def close_all(world: World, broadcast_id: int) -> None:
    for batch_id in await world.opens(broadcast_id):
        batch = await world.take(batch_id)
        assert batch is not None
        await world.close(batch)


async def test_a_second_phase_under_way_goes_on_beside_the_next_broadcast(world: World) -> None:
    """Fault 12: sending now ignored a second phase that was still under way."""
    broadcast = await world.made(2, second_delay=0)
    await world.send(broadcast)
    await close_all(world, broadcast)
    assert await world.advance(broadcast) == "sending_second"
    following = await world.scheduled(await world.segment("tag0"))
    await world.make(following)
    assert await world.advance(following) == "sending_first"
    assert await world.advance(broadcast) == "sending_second"
    assert len(await world.send(broadcast, is_second=True)) == 2
    assert len(await world.send(following)) == 2


async def test_a_step_that_comes_a_year_later_does_nothing(world: World) -> None:
    """Fault 13: one-shot jobs fired again a year later."""
    broadcast = await world.made(1)
    await world.send(broadcast)
    await close_all(world, broadcast)
    await world.advance(broadcast)
    await world.cancel(broadcast)
    await world.advance(broadcast)
    await delivered(world, broadcast)
    await world.advance(broadcast)
    before = await world.dump()
    world.clock.forward(days=365)
    assert await world.advance(broadcast) == "cancelled"
    assert await world.dump() == before


async def test_a_broadcast_that_nobody_approved_is_missed_when_its_time_comes_and_the_next_day_stays(
    world: World,
) -> None:
    world = with_settings(world, approval_required=True)
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"), recurring=True)
    assert await world.advance(broadcast) == "missed"
    row = (await world.query("SELECT missed_reason, next_broadcast_id FROM broadcasts WHERE id = %s", broadcast))[0]
    assert row["missed_reason"] == "not_approved"
    assert row["next_broadcast_id"] is not None
