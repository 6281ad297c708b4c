"""What becomes of messages whose answer was lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import messages
from libs.common.carriers.outcomes import Accepted, Deferred
from libs.common.domain.commands import SettleUncertain
from services.twilio_sync.settling import MORE, OUTAGE, Settle
from tests.integration.twilio_sync.lost import LOST, lose, prove, settle, uncertain
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, SECOND, World, make_settings


async def test_a_message_that_the_log_has_was_accepted(world: World, log: TwilioLog) -> None:
    """Fault 33: a rollback around the provider call returned sent rows to the queue."""
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, FIRST, NOW, status="sent")
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted"]
    rows = await world.query("SELECT twilio_id, twilio_sent_status, settled FROM broadcast_sent_message_status")
    assert rows == [{"twilio_id": "SM1", "twilio_sent_status": "sent", "settled": False}]
    assert (await world.happened("MessageAccepted"))[0]["settled"] is True


async def lose_one_of_two(world: World, log: TwilioLog, broadcast_id: int) -> None:
    """Lose the answer to the first message that is pending, have the carrier take the next, and look them up."""
    [lost] = await world.start(await world.claimed(broadcast_id, size=1))
    await world.answer(lost, LOST)
    world.clock.forward(seconds=1)
    [taken] = await world.send(broadcast_id, size=1)
    log.add(f"SM{taken.attempt.message_id}", taken.attempt.to, FIRST, world.clock.now)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast_id)


async def test_a_message_that_the_log_does_not_have_goes_back_and_counts_an_attempt(
    world: World, log: TwilioLog
) -> None:
    broadcast = await world.made(2)
    await lose_one_of_two(world, log, broadcast)
    [message, _] = await world.messages(broadcast)
    assert (message["state"], message["failures"]) == ("pending", 1)


async def test_an_outage_of_the_carrier_uses_up_no_message(world: World, log: TwilioLog) -> None:
    """503 for half an hour: the first messages would be given up, one after the other, for what is not their fault."""
    broadcast = await world.made(1)
    for _ in range(3 * world.settings.max_attempts):
        await lose(world, broadcast)
        world.clock.forward(seconds=world.settings.settle_after)
        await settle(world, log, broadcast)
    [message] = await world.messages(broadcast)
    assert (message["state"], message["failures"]) == ("pending", 0)


async def test_an_outage_that_outlasts_the_day_ends_nevertheless(world: World, log: TwilioLog) -> None:
    """Fault 18: failed messages were given back for ever, so a phase never ended."""
    broadcast = await world.made(1)
    world.clock.now += OUTAGE
    for _ in range(MORE * world.settings.max_attempts):
        await lose(world, broadcast)
        world.clock.forward(seconds=world.settings.settle_after)
        await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["refused"]


async def test_what_was_settled_is_told_to_the_planner(world: World, log: TwilioLog) -> None:
    broadcast, started = await uncertain(world, 2)
    log.add("SM1", started[0].attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    [told] = await world.planned("UncertainSettled")
    assert (told["data"]["found"], told["data"]["not_found"]) == (1, 1)


async def test_a_message_is_not_looked_up_before_its_time(world: World, log: TwilioLog) -> None:
    """It may still be on its way into the log."""
    broadcast = await world.made(1)
    await lose(world, broadcast)
    world.clock.forward(seconds=world.settings.settle_after - 0.1)
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == ["uncertain"]
    assert log.asked == []
    [again] = await world.planned("SettleUncertain")
    assert again["deliver_at"] >= NOW + timedelta(seconds=world.settings.settle_after)


async def test_the_same_message_twice_to_one_number_does_not_share_an_entry(world: World, log: TwilioLog) -> None:
    """Fault 29: matching gave every log entry to the newest row."""
    broadcast = await world.made(1, first_message="hi", second_message="hi", second_delay=0)
    [first] = await world.send(broadcast, sids=False)
    assert await world.advance(broadcast) == "sending_second"
    world.clock.forward(seconds=600)
    await lose(world, broadcast, is_second=True)
    log.add("SM1", first.attempt.to, "hi", NOW)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast, is_second=True) == ["pending"]


async def test_an_entry_that_is_another_messages_already_settles_nothing(world: World, log: TwilioLog) -> None:
    """Fault 29."""
    one = await world.made(1)
    [sent] = await world.send(one)
    await world.query("UPDATE broadcast_sent_message_status SET twilio_id = 'SM1'")
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    await lose(world, other)
    log.add("SM1", sent.attempt.to, FIRST, NOW)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, other)
    assert await world.states(other) == ["pending"]


async def test_what_staff_typed_by_hand_settles_nothing(world: World, log: TwilioLog) -> None:
    """Fault 29: messages that staff typed by hand were taken for broadcast messages."""
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, "Are you coming?", NOW + timedelta(seconds=5))
    log.add("SM2", started.attempt.to, FIRST, NOW - timedelta(minutes=5))
    log.add("SM3", started.attempt.to, FIRST, NOW, direction="inbound")
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


async def test_the_entry_may_be_on_any_page(world: World, log: TwilioLog) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, sync_page_size=2))
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, FIRST, NOW)
    for n in range(5):
        log.add(f"SX{n}", started.attempt.to, "by hand", NOW + timedelta(seconds=n + 1))
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted"]


async def test_a_message_that_nobody_finds_is_given_up_after_three_times_the_attempts_of_any(
    world: World, log: TwilioLog
) -> None:
    """Fault 18: failed messages were given back for ever, so a phase never ended."""
    most = MORE * world.settings.max_attempts
    broadcast = await world.made(1 + most)
    for _ in range(most):
        assert (await world.states(broadcast))[0] == "pending"
        await lose_one_of_two(world, log, broadcast)
    message, *_ = await world.messages(broadcast)
    assert (message["state"], message["attempts"]) == ("refused", 9)
    assert await world.column(
        "SELECT twilio_error_code FROM broadcast_sent_message_status WHERE outcome = 'refused'"
    ) == ["no_answer"]


@pytest.mark.parametrize(("action", "reason"), [("cancel", "cancelled"), (None, "phase_over")])
async def test_what_is_not_found_once_its_phase_is_over_is_not_sent(
    world: World, log: TwilioLog, action: str | None, reason: str
) -> None:
    broadcast = await world.made(1, second_delay=7200)
    await lose(world, broadcast)
    world.clock.forward(seconds=world.settings.settle_after)
    if action == "cancel":
        await world.cancel(broadcast)
    else:
        world.clock.forward(minutes=16)
        assert await world.advance(broadcast) == "waiting"
    await settle(world, log, broadcast)
    [message] = await world.messages(broadcast)
    assert (message["state"], message["skip_reason"]) == ("skipped", reason)


async def test_what_is_not_found_in_a_paused_phase_waits_for_its_going_on(world: World, log: TwilioLog) -> None:
    """Fault 33: pause and resume skipped messages."""
    broadcast, _ = await uncertain(world)
    await world.pause(broadcast)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


async def test_an_answer_that_comes_while_the_log_is_read_stands(world: World, log: TwilioLog) -> None:
    """Fault 17: results were handled after others had moved the message on."""
    broadcast, [started] = await uncertain(world)
    prove(world, log)
    handler = Settle(world.worker, world.settings, log.twilio())
    original = handler._log

    async def answered_meanwhile(*args: object) -> object:
        entries = await original(*args)  # type: ignore[arg-type]
        await world.answer(started, Accepted(missive_id="M1"))
        return entries

    handler._log = answered_meanwhile  # type: ignore[assignment, method-assign]
    await handler.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
    assert await world.states(broadcast) == ["accepted"]
    assert await world.happened("MessageReturned") == []


async def test_what_was_read_about_one_attempt_says_nothing_of_the_next(world: World, log: TwilioLog) -> None:
    """Invariant 1: the log was read before the newer attempt began."""
    broadcast, _ = await uncertain(world)
    prove(world, log)
    handler = Settle(world.worker, world.settings, log.twilio())
    original = handler._log

    async def overtaken(*args: object) -> object:
        entries = await original(*args)  # type: ignore[arg-type]
        await settle(world, log, broadcast)
        await lose(world, broadcast)
        return entries

    handler._log = overtaken  # type: ignore[assignment, method-assign]
    await handler.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
    [message] = await world.messages(broadcast)
    assert (message["state"], message["attempts"], message["failures"]) == ("uncertain", 2, 0)


async def test_a_settling_that_comes_again_finds_nothing_to_do(world: World, log: TwilioLog) -> None:
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    before = await world.dump()
    await settle(world, log, broadcast)
    after = await world.dump()
    assert {name for name in after if after[name] != before[name]} == {"settlings"}


async def test_a_late_acceptance_after_giving_back_is_worth_more_than_the_log(world: World, log: TwilioLog) -> None:
    """Fault 17: sent messages were given back and sent again."""
    broadcast, [started] = await uncertain(world)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]
    await world.answer(started, Accepted(missive_id="M1"))
    assert await world.states(broadcast) == ["accepted"]


async def test_a_second_message_that_is_uncertain_is_known_by_its_own_words(world: World, log: TwilioLog) -> None:
    broadcast = await world.made(1, second_delay=0)
    [first] = await world.send(broadcast, sids=True)
    assert await world.advance(broadcast) == "sending_second"
    world.clock.forward(seconds=10)
    await lose(world, broadcast, is_second=True)
    log.add(f"SM{first.attempt.message_id}", first.attempt.to, FIRST, NOW)
    log.add("SM-second", first.attempt.to, SECOND, world.clock.now)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast, is_second=True) == ["accepted"]


async def test_a_refusal_for_now_after_the_answer_was_lost_changes_nothing(world: World, log: TwilioLog) -> None:
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    await world.answer(started, Deferred(code="http_408", reason="again"))
    assert await world.states(broadcast) == ["accepted"]


async def test_more_than_one_step_looks_up_are_left_to_the_next(
    world: World, log: TwilioLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 7: memory does not grow with the audience."""
    monkeypatch.setattr("services.twilio_sync.settling.AT_ONCE", 2)
    broadcast, _ = await uncertain(world, 3)
    await settle(world, log, broadcast)
    assert sorted(await world.states(broadcast)) == ["pending", "pending", "uncertain"]
    assert len(await world.planned("SettleUncertain")) == 1


async def test_messages_of_a_lost_worker_are_settled_like_any(world: World, log: TwilioLog) -> None:
    """Fault 16."""
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    world.clock.forward(seconds=world.settings.settle_after)
    async with database.transaction(world.engine) as connection:
        assert await messages.give_up_waiting(connection, world.clock.now, world.clock.now) == 1
    log.add("SM1", started.attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted"]


async def test_a_message_that_is_found_brings_its_code_and_time_along(world: World, log: TwilioLog) -> None:
    """A later pass would find the status known, and take neither from it."""
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, FIRST, NOW, status="failed", error_code=21610)
    await settle(world, log, broadcast)
    [row] = await world.query(
        "SELECT twilio_sent_status, twilio_error_code, twilio_sent_at FROM broadcast_sent_message_status"
    )
    assert (row["twilio_sent_status"], row["twilio_error_code"], row["twilio_sent_at"]) == ("failed", "21610", NOW)
    assert await world.column("SELECT phone_number FROM opt_outs") == [started.attempt.to]
