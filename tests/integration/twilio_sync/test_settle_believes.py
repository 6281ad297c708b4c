"""When what the log says, or does not say, is believed: not in it counts as never left only where it proves that."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from libs.common.carriers.log_evidence import arrives_within
from libs.common.carriers.outcomes import Accepted
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.commands import SettleUncertain
from services.twilio_sync.settling import Settle
from tests.integration.twilio_sync.lost import LATER, LOST, lose, prove, settle, uncertain
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, FROM, NOW, World, make_settings

GARBLED = httpx.Response(200, json={"messages": [{"sid": "SM1", "to": 7}]})


@pytest.mark.parametrize(
    "failures",
    [
        [httpx.Response(503)],
        [httpx.Response(200, content=b"<html>")],
        [None, GARBLED],
        [httpx.Response(429, headers={"Retry-After": "300"})],
        [None, None, httpx.Response(503)],
    ],
    ids=["away", "no JSON", "an entry that cannot be read", "too many requests", "away afterwards"],
)
async def test_a_log_that_cannot_be_read_says_nothing(
    world: World, log: TwilioLog, failures: list[httpx.Response | None]
) -> None:
    broadcast, _ = await uncertain(world)
    log.failures = list(failures)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"]
    assert log.failures == []
    [again] = await world.planned("SettleUncertain")
    wait = again["deliver_at"] - world.clock.now
    is_asked_for = failures[0] is not None and failures[0].status_code == 429
    assert wait >= timedelta(seconds=300 if is_asked_for else 5)


async def test_who_reads_the_log_leaves_it_alone_for_as_long_as_it_asks(world: World, log: TwilioLog) -> None:
    """Whoever asks for a look, and however often."""
    broadcast, _ = await uncertain(world)
    log.failures = [httpx.Response(429, headers={"Retry-After": "300"})]
    for _ in range(3):
        await settle(world, log, broadcast)
    assert len(log.asked) == 1
    assert (await world.planned("SettleUncertain"))[-1]["deliver_at"] > world.clock.now + timedelta(seconds=290)
    await world.query("UPDATE pace SET held_until = now()")
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


async def test_a_log_that_lags_says_nothing(world: World, log: TwilioLog) -> None:
    """The carrier took a message after this one, and the log has neither yet."""
    broadcast = await world.made(2)
    lost, taken = await world.start(await world.claimed(broadcast))
    await world.answer(lost, LOST)
    await world.answer(taken, Accepted(missive_id="M1"))
    world.clock.forward(seconds=world.settings.settle_after)
    log.add("SM2", taken.attempt.to, FIRST, NOW)  # of the same second: the other may be on its way
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == ["uncertain", "accepted"]
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending", "accepted"]


@pytest.mark.parametrize("where", ["at the start", "in the middle", "after a pause", "in the second phase"])
async def test_a_log_that_stands_still_is_not_believed_wherever_it_does(
    world: World, log: TwilioLog, where: str
) -> None:
    """Fault 34: 13 of 20 got the first message twice, since no later message of the same broadcast was known."""
    is_second = where == "in the second phase"
    broadcast = await world.made(6, second_delay=0)
    if where != "at the start":
        for item in await world.send(broadcast, size=6 if is_second else 3):
            log.add(f"SM{item.attempt.message_id}", item.attempt.to, FIRST, world.clock.now)
        world.clock.forward(seconds=30)
    if is_second:
        assert await world.advance(broadcast) == "sending_second"
    log.stands_still_since = world.clock.now
    if where == "after a pause":
        await world.pause(broadcast)
        world.clock.forward(minutes=20)
        await world.resume(broadcast)
    for item in await lose(world, broadcast, is_second=is_second):  # the carrier has taken every one
        log.add(f"SM{item.attempt.message_id}", item.attempt.to, FIRST, world.clock.now)
    for _ in range(10):
        world.clock.forward(seconds=world.settings.settle_after)
        await settle(world, log, broadcast)  # strangers write, and the log does not show that either
        states = await world.states(broadcast, is_second=is_second)
        assert "pending" not in states
        assert "skipped" not in states
    assert states.count("uncertain") == (3 if where in ("in the middle", "after a pause") else 6)


async def test_a_log_that_stands_still_is_asked_for_one_page_a_look(world: World, log: TwilioLog) -> None:
    """Fault 34: and what waits for it must not wear the carrier out."""
    broadcast, _ = await uncertain(world, 40)
    log.stands_still_since = NOW
    for _ in range(5):
        await settle(world, log, broadcast)
    assert len(log.asked) == 5


async def test_when_the_log_catches_up_everything_is_found(world: World, log: TwilioLog) -> None:
    broadcast, started = await uncertain(world, 40)
    log.stands_still_since = NOW
    for item in started:
        log.add(f"SM{item.attempt.message_id}", item.attempt.to, FIRST, NOW + timedelta(seconds=1))
    await settle(world, log, broadcast)
    log.stands_still_since, log.asked = None, []
    await settle(world, log, broadcast)
    assert set(await world.states(broadcast)) == {"accepted"}
    assert len(log.asked) == 1


@pytest.mark.parametrize("who", ["a stranger to another number", "a reply", "another program", "another broadcast"])
async def test_whoevers_entry_it_is_it_proves_that_the_log_has_got_there(
    world: World, log: TwilioLog, who: str
) -> None:
    """The account as a whole, in either direction: the last messages of a quiet evening have no other witness."""
    broadcast, [started] = await uncertain(world)
    world.clock.forward(seconds=LATER)
    match who:
        case "a stranger to another number":
            log.stranger()
        case "a reply":
            log.reply("SM1", started.attempt.to, "hello", world.clock.now)
        case "another program":
            log.add("SM1", "+12485550001", "Your code is 1234", world.clock.now, from_number="+12485550100")
        case _:
            log.add("SM1", "+13135559999", FIRST, world.clock.now, from_number=FROM)
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == ["pending"]


@pytest.mark.parametrize(
    ("carrier", "after", "state"),
    [
        ("missive", 119, "uncertain"),
        ("missive", 121, "uncertain"),  # by a clock that is known to a few seconds
        ("missive", 130, "pending"),
        ("twilio", 44, "uncertain"),
        ("twilio", 46, "uncertain"),
        ("twilio", 55, "pending"),
    ],
)
async def test_an_entry_proves_nothing_of_a_message_that_may_have_arrived_after_it(
    world: World, log: TwilioLog, carrier: str, after: int, state: str
) -> None:
    """A stopped worker writes as late as two leases after the attempt; Missive hands over later still."""
    # Where nothing can go through Missive, nothing is waited for that Missive might hand over.
    token = "token" if carrier == "missive" else ""
    settings = make_settings(world.settings.database_url, carrier=carrier, missive_token=token)
    world = replace(world, settings=settings)
    assert arrives_within(world.settings) == timedelta(seconds=120 if carrier == "missive" else 45)
    broadcast, _ = await uncertain(world)
    world.clock.forward(minutes=3)
    log.stranger(NOW + timedelta(seconds=after))
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == [state]


async def test_an_entry_from_the_future_proves_nothing(world: World, log: TwilioLog) -> None:
    broadcast, _ = await uncertain(world)
    log.stranger(NOW + timedelta(days=365))
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == ["uncertain"]


async def test_a_log_that_falls_back_after_the_look_is_not_believed(world: World, log: TwilioLog) -> None:
    """One of several servers answers, and they are not equally far."""
    broadcast, _ = await uncertain(world)
    handler = Settle(world.worker, world.settings, log.twilio())
    original = handler._log

    async def then_fall_back(*args: object) -> list[LogEntry]:
        entries: list[LogEntry] = await original(*args)  # type: ignore[arg-type]
        log.stands_still_since = NOW
        return entries

    handler._log = then_fall_back  # type: ignore[assignment, method-assign]
    prove(world, log)
    await handler.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
    assert await world.states(broadcast) == ["uncertain"]
    log.stands_still_since = None
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


async def test_an_entry_that_may_be_either_of_two_messages_sends_neither_again(world: World, log: TwilioLog) -> None:
    """What is possible is never sent again: the same words left twice, a moment apart, and one entry is known."""
    broadcast = await world.made(1, first_message="hi", second_message="hi", second_delay=0)
    await lose(world, broadcast)
    await world.query("UPDATE outgoing_messages SET state = 'pending' WHERE is_second")
    world.clock.forward(seconds=20)
    await world.query("UPDATE broadcasts SET state = 'sending_second'")
    [second] = await world.send(broadcast, is_second=True)
    log.add("SM1", second.attempt.to, "hi", world.clock.now)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"]
    # Once it is known which of them the entry is, the other never left.
    await world.query("UPDATE broadcast_sent_message_status SET twilio_id = 'SM1'")
    await settle(world, log, broadcast)
    assert "uncertain" not in await world.states(broadcast)


async def test_messages_that_cannot_be_settled_do_not_keep_the_others(
    world: World, log: TwilioLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 5: the oldest came first in every look, for ever."""
    monkeypatch.setattr("services.twilio_sync.settling.AT_ONCE", 2)
    broadcast, started = await uncertain(world, 5)
    for item in started[:3]:
        log.add(f"SM{item.attempt.message_id}", item.attempt.to, "", NOW)  # without words
    for _ in range(5):
        await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"] * 3 + ["pending"] * 2


async def test_a_log_without_words_says_nothing(world: World, log: TwilioLog) -> None:
    """Where an account has bodies redacted, every message would look as if it had never left."""
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, "", NOW)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"]
