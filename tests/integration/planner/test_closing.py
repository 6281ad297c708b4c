"""The end of a broadcast: passes over the log, the deadline, the ledger."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import ledger, messages
from libs.common.carriers.outcomes import Accepted, Outcome, Refused, Unknown
from libs.common.domain import events as e
from libs.common.domain.states import SkipReason
from tests.support.passes import passed, syncing
from tests.support.world import World


async def test_passes_go_on_at_their_interval_while_a_message_is_unsettled(world: World) -> None:
    """Fault 31: statuses were read too early."""
    broadcast = await syncing(world)
    await passed(world, broadcast)
    assert await world.advance(broadcast) == "syncing"
    *_, at_once, later = await world.planned("SyncStatuses")
    assert later["data"]["number"] == at_once["data"]["number"] + 1
    assert later["deliver_at"] == world.clock.now + timedelta(seconds=world.settings.sync_interval)


async def test_the_next_page_is_read_at_once(world: World) -> None:
    broadcast = await syncing(world)
    await passed(world, broadcast)
    await world.query("UPDATE broadcasts SET twilio_paging = '/next'")
    await world.advance(broadcast)
    assert (await world.planned("SyncStatuses"))[-1]["deliver_at"] == world.clock.now


async def test_the_report_is_final_at_the_deadline_and_says_what_is_open(world: World) -> None:
    broadcast = await syncing(world)
    await passed(world, broadcast)
    world.clock.forward(seconds=world.settings.sync_deadline)
    assert await world.advance(broadcast) == "completed"
    [completed] = await world.happened("BroadcastCompleted")
    assert completed["unsettled"] == 2


async def test_the_report_is_final_at_the_deadline_even_if_the_log_can_never_be_read(world: World) -> None:
    """Invariant 5: the pass is planned again and again, and none is ever over."""
    broadcast = await syncing(world)
    world.clock.forward(seconds=world.settings.sync_deadline)
    assert await world.value("SELECT due_at FROM syncs") is not None
    assert await world.advance(broadcast) == "completed"


async def test_the_ledger_adds_up_whatever_became_of_the_messages(world: World) -> None:
    broadcast = await world.made(4, second_delay=7200)
    batch = await world.claimed(broadcast)
    outcomes: list[Outcome] = [Accepted(missive_id="M"), Refused(code="21211", reason="no"), Unknown(reason="timeout")]
    for started, outcome in zip(await world.start(batch, count=3), outcomes, strict=True):
        await world.answer(started, outcome)
    await world.cancel(broadcast)
    await world.close(batch, started=3)
    await world.advance(broadcast)
    async with database.transaction(world.engine) as connection:
        counted = await ledger.count(connection, broadcast)
    assert counted == e.Ledger(planned=8, accepted=1, refused={"21211": 1}, skipped={"cancelled": 5}, uncertain=1)
    assert ledger.adds_up(counted)


async def test_all_that_has_not_left_is_skipped_claimed_or_not_first_or_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK", 2)
    broadcast, other = await world.made(7), await world.made(1)
    await world.start(await world.claimed(broadcast, size=3), count=1)
    async with database.transaction(world.engine) as connection:
        assert await messages.skip_unsent(connection, broadcast, SkipReason.CANCELLED, world.clock.now) == 13
    assert await world.states(broadcast) == ["started", *["skipped"] * 6]
    assert await world.states(broadcast, is_second=True) == ["skipped"] * 7
    assert await world.states(other) == ["pending"]


async def test_a_cancelled_broadcast_is_not_complete_while_a_request_is_out(world: World) -> None:
    """Invariant 2: each recipient ends in exactly one way."""
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.cancel(broadcast)
    await world.advance(broadcast)
    world.clock.forward(seconds=world.settings.sync_deadline + 1)
    await world.query("UPDATE syncs SET due_at = NULL")
    await world.advance(broadcast)
    assert await world.value("SELECT completed_at FROM broadcasts") is None
    await world.answer(started, Accepted(missive_id="M"))
    await world.query("UPDATE syncs SET due_at = NULL")
    assert await world.advance(broadcast) == "cancelled"
    [completed] = await world.happened("BroadcastCompleted")
    assert completed["ledger"] == {
        "planned": 2, "accepted": 1, "refused": {}, "skipped": {"cancelled": 1}, "uncertain": 0,
        "not_handed_over": 0,
    }  # fmt: skip


async def test_a_deadline_with_a_request_still_out_plans_no_flood_of_passes(world: World) -> None:
    broadcast = await world.made(1)
    await world.start(await world.claimed(broadcast))
    await world.cancel(broadcast)
    await world.advance(broadcast)
    world.clock.forward(seconds=world.settings.sync_deadline + 1)
    before = len(await world.planned("SyncStatuses"))
    for _ in range(3):
        await world.advance(broadcast)
    assert len(await world.planned("SyncStatuses")) == before
