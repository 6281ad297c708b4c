"""Replies, STOP and START."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import making, opt_outs, repository
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.replies import receive
from libs.common.carriers.outcomes import Accepted, Deferred, Refused
from libs.common.domain.states import ConsentSource
from services.sender import batches
from tests.support.world import FROM, HERE, NOW, World


async def write(
    world: World,
    number: str,
    body: str = "Yes!",
    *,
    sid: str = "SM1",
    at: datetime | None = None,
    to: str | None = None,
) -> bool:
    """Have somebody write to us."""
    async with database.transaction(world.engine) as connection:
        inbound = Inbound(provider_id=sid, phone_number=number, body=body, received_at=at or world.clock.now, to=to)
        return await receive(connection, inbound, world.clock.now)


async def skipped(world: World, broadcast_id: int, *, is_second: bool = True) -> list[str | None]:
    return [row["skip_reason"] for row in await world.messages(broadcast_id, is_second=is_second)]


async def test_a_reply_while_the_first_phase_goes_on_stops_the_second_message(world: World) -> None:
    """Fault 24: replies during the first phase were not counted, only those after it."""
    broadcast = await world.made(3)
    [first] = await world.send(broadcast, size=1)
    assert await write(world, first.attempt.to)
    assert sorted(map(str, await skipped(world, broadcast))) == ["None", "None", "replied"]
    assert await world.state(broadcast) == "sending_first"


@pytest.mark.parametrize("state", ["started", "uncertain"])
async def test_a_reply_before_the_first_messages_answer_stops_the_second_message(world: World, state: str) -> None:
    """Fault 25: a reply that came before the sent message's row was written did not stop the second message."""
    broadcast = await world.made(1)
    [first] = await world.start(await world.claimed(broadcast))
    if state == "uncertain":
        await world.query("UPDATE outgoing_messages SET state = 'uncertain', claimed_by = NULL WHERE state = 'started'")
    assert await write(world, first.attempt.to)
    await world.answer(first, Accepted(missive_id="M"))
    assert await skipped(world, broadcast) == ["replied"]


async def test_a_reply_whose_time_the_provider_cut_to_the_second_still_counts(world: World) -> None:
    """Fault 25."""
    world.clock.now = NOW + timedelta(seconds=0.9)
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await write(world, first.attempt.to, at=NOW)
    assert await skipped(world, broadcast) == ["replied"]


async def test_a_reply_is_credited_to_the_broadcast_that_it_answers(world: World) -> None:
    """Fault 28: replies were credited to the wrong broadcast."""
    one = await world.made(1)
    [first] = await world.send(one)
    world.clock.forward(hours=1)
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    await write(world, first.attempt.to, sid="SM1")
    world.clock.forward(seconds=10)
    await world.send(other)
    world.clock.forward(seconds=10)
    await write(world, first.attempt.to, sid="SM2")
    await write(world, first.attempt.to, sid="SM3", at=NOW + timedelta(minutes=5))
    assert await world.column("SELECT broadcast_id FROM replies ORDER BY provider_id") == [one, other, one]


async def test_a_reply_answers_the_broadcast_that_was_sent_last_not_the_one_that_was_made_last(world: World) -> None:
    """Fault 28."""
    one = await world.made(1)
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    await world.send(other)
    world.clock.forward(hours=1)
    [last] = await world.send(one)
    world.clock.forward(seconds=10)
    await write(world, last.attempt.to)
    assert await world.column("SELECT broadcast_id FROM replies") == [one]


async def test_a_reply_answers_the_number_that_it_was_sent_to(world: World) -> None:
    """Fault 28: two broadcasts from two of our numbers, and somebody answers the older of the two conversations."""
    one = await world.made(1)
    [first] = await world.send(one)
    world.clock.forward(minutes=5)
    other = await world.scheduled(await world.segment("tag0"), from_number="+13135550101")
    await world.make(other)
    await world.send(other)
    world.clock.forward(minutes=1)
    await write(world, first.attempt.to, to=FROM)
    assert (await skipped(world, one), await skipped(world, other)) == (["replied"], [None])


async def test_a_reply_to_a_number_that_sent_nothing_answers_what_was_sent_last(world: World) -> None:
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await write(world, first.attempt.to, to="+13135550199")
    assert await skipped(world, broadcast) == ["replied"]


async def test_a_reply_right_before_the_next_message_answers_the_one_before(world: World) -> None:
    """Fault 28: a message that leaves within the time that clocks may differ by is not what was answered."""
    one = await world.made(1)
    [first] = await world.send(one)
    world.clock.forward(minutes=5)
    replied = world.clock.now
    world.clock.forward(seconds=2)
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    await world.send(other)
    await write(world, first.attempt.to, at=replied)
    assert await world.column("SELECT broadcast_id FROM replies") == [one]


async def test_a_message_from_somebody_who_got_nothing_answers_no_broadcast(world: World) -> None:
    """Fault 28."""
    broadcast = await world.made(2)
    [sent] = await world.send(broadcast, size=1)
    [other] = [row for row in await world.messages(broadcast) if row["recipient_phone_number"] != sent.attempt.to]
    await write(world, other["recipient_phone_number"])
    assert await world.column("SELECT broadcast_id FROM replies") == [None]
    assert set(await skipped(world, broadcast)) == {None}


async def test_who_was_refused_the_first_message_has_nothing_to_answer(world: World) -> None:
    broadcast = await world.made(1)
    [first] = await world.start(await world.claimed(broadcast))
    await world.answer(first, Refused(code="21211", reason="no"))
    await write(world, first.attempt.to)
    assert await world.column("SELECT broadcast_id FROM replies") == [None]


async def test_a_webhook_that_is_tried_again_is_one_reply(world: World) -> None:
    """Fault 27: retries of a webhook failed on the primary key."""
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    assert [await write(world, first.attempt.to) for _ in range(3)] == [True, False, False]
    assert await world.value("SELECT count(*) FROM replies") == 1
    assert len(await world.happened("ReplyReceived")) == 1


async def test_the_same_webhook_many_times_at_once_is_one_reply(world: World) -> None:
    """Fault 27: concurrent webhooks dead-locked on shared parent rows."""
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    results = await asyncio.gather(*(write(world, first.attempt.to, "STOP") for _ in range(8)))
    assert results.count(True) == 1
    assert len(await world.happened("OptedOut")) == 1


async def test_many_who_reply_at_once_are_all_heard(world: World) -> None:
    """Fault 27: concurrent webhooks dead-locked on shared parent rows."""
    broadcast = await world.made(15)
    started = await world.send(broadcast)
    replies = [write(world, item.attempt.to, "STOP" if n % 2 else "yes", sid=f"SM{n}")
               for n, item in enumerate(started)]  # fmt: skip
    assert await asyncio.gather(*replies) == [True] * 15
    assert await skipped(world, broadcast) == ["replied"] * 15


async def test_stop_takes_out_everything_that_has_not_left(world: World) -> None:
    """Fault 26: STOP did nothing for months."""
    one = await world.made(1)
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    number = await world.number_of(1)
    await write(world, number, " stop. ")
    for broadcast in (one, other):
        assert await skipped(world, broadcast, is_second=False) == ["opted_out"]
        assert await skipped(world, broadcast) == ["opted_out"]
    assert await world.column("SELECT phone_number FROM opt_outs") == [number]


async def test_who_has_stopped_is_not_drawn_until_they_start_again(world: World) -> None:
    """Faults 4, 26."""
    [contact] = await world.contacts(1, "all")
    number = await world.number_of(contact)
    segment = await world.segment("all")
    await world.contacts(1, "all")
    await write(world, number, "STOP", sid="SM1")
    assert (await world.make(await world.scheduled(segment))).recipients == 1
    world.clock.forward(seconds=1)
    await write(world, number, "Start", sid="SM2")
    assert (await world.make(await world.scheduled(segment))).recipients == 2
    assert [event["contact_id"] for event in await world.happened("OptedIn")] == [contact]


@pytest.mark.parametrize("body", ["don't stop", "restart", "Please start at 5", "yes"])
async def test_a_word_inside_a_sentence_is_no_wish(world: World, body: str) -> None:
    """Fault 26: "don't stop" unsubscribed and "restart" subscribed again."""
    [contact] = await world.contacts(1, "all")
    number = await world.number_of(contact)
    if body != "don't stop":
        await world.query("INSERT INTO opt_outs VALUES (%s, %s, 'sms', now(), NULL, 'user:1')", number, contact)
    before = await world.value("SELECT count(*) FROM opt_outs")
    await write(world, number, body)
    assert await world.value("SELECT count(*) FROM opt_outs") == before


async def test_somebody_unknown_who_says_stop_stays_out_when_they_are_imported_later(world: World) -> None:
    """Fault 4: a personal list from a file skipped the check."""
    number = "+13135551234"
    await write(world, number, "STOP")
    await world.query(
        "INSERT INTO contacts (phone_number, tags) VALUES (%s, '{all}')"
        " ON CONFLICT (phone_number) DO UPDATE SET tags = excluded.tags", number,
    )  # fmt: skip
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"))
    assert (await world.make(broadcast)).recipients == 1
    assert number not in {row["recipient_phone_number"] for row in await world.messages(broadcast)}


async def test_events_of_a_reply_hold_neither_its_words_nor_a_number(world: World) -> None:
    """Invariant 8."""
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await write(world, first.attempt.to, "STOP")
    await write(world, first.attempt.to, "something secret", sid="SM2")
    everything = " ".join(await world.column("SELECT data::text FROM events UNION ALL SELECT data::text FROM outbox"))
    assert first.attempt.to not in everything
    assert "secret" not in everything


async def test_an_opt_out_that_was_recorded_first_keeps_the_message_from_starting(world: World) -> None:
    """Fault 23: the start meets the opt-out before it is committed, waits for it, and starts nothing."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [message] = await world.messages(broadcast)
    async with database.transaction(world.engine) as connection:
        await opt_outs.opt_out(connection, message["recipient_phone_number"], ConsentSource.SMS, NOW)
        starting = asyncio.create_task(world.start(batch))
        await world.until_somebody_waits()
    assert await starting == []
    assert await world.states(broadcast) == ["skipped"]


async def test_an_opt_out_that_comes_while_a_message_starts_waits_for_it_and_finds_it_gone(world: World) -> None:
    """Fault 23: what started first has left; the opt-out is recorded after it and stops all that comes then."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [message] = await world.messages(broadcast)

    async def opt_out() -> bool:
        async with database.transaction(world.engine) as connection:
            return await opt_outs.opt_out(connection, message["recipient_phone_number"], ConsentSource.SMS, NOW)

    async with database.transaction(world.engine) as connection:
        [_] = await batches.start(connection, batch, count=1, open_=[HERE], now=NOW)
        stopping = asyncio.create_task(opt_out())
        await world.until_somebody_waits()
        assert await world.value("SELECT count(*) FROM opt_outs") == 0
    assert await stopping
    assert await world.states(broadcast) == ["started"]
    assert await world.states(broadcast, is_second=True) == ["skipped"]


async def test_an_opt_out_while_the_draw_is_under_way_still_stops_the_message(world: World) -> None:
    """Fault 23: the draw's rows cannot be seen yet when STOP comes; the claim and the start look again."""
    await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"))
    number = await world.number_of(1)
    async with database.transaction(world.engine) as connection:
        await making.make(connection, await repository.load(connection, broadcast), world.schedule, NOW, by_hand=True)
        assert await write(world, number, "STOP")
    assert await world.states(broadcast) == ["pending"]
    assert await world.start(await world.claimed(broadcast)) == []
    assert await skipped(world, broadcast, is_second=False) == ["opted_out"]


async def test_a_reply_that_was_recorded_first_keeps_the_second_message_from_starting(world: World) -> None:
    """Fault 25: replies that come while the second messages leave."""
    broadcast = await world.made(1, second_delay=0)
    [first] = await world.send(broadcast)
    await world.advance(broadcast)
    batch = await world.claimed(broadcast, is_second=True)
    async with database.transaction(world.engine) as connection:
        inbound = Inbound(provider_id="1", phone_number=first.attempt.to, body="yes", received_at=NOW)
        await receive(connection, inbound, NOW)
        starting = asyncio.create_task(world.start(batch))
        await world.until_somebody_waits()
    assert await starting == []


@pytest.mark.parametrize(("is_second", "word"), [(False, "STOP"), (True, "yes")])
async def test_a_message_that_comes_back_while_a_no_is_being_recorded_waits_for_it(
    world: World, is_second: bool, word: str
) -> None:
    """Else it could be started again by a statement that began before the no was committed, and does not see it."""
    broadcast = await world.made(1, second_delay=0)
    if is_second:
        await world.send(broadcast)
        await world.advance(broadcast)
    [started] = await world.start(await world.claimed(broadcast, is_second=is_second))
    async with database.transaction(world.engine) as connection:
        inbound = Inbound(provider_id="1", phone_number=started.attempt.to, body=word, received_at=NOW)
        await receive(connection, inbound, NOW)
        comes_back = asyncio.create_task(world.answer(started, Deferred(code="connect_failed", reason="away")))
        await world.until_somebody_waits()
    await comes_back
    assert await world.start(await world.claimed(broadcast, is_second=is_second)) == []


async def test_a_start_that_comes_late_does_not_undo_a_newer_stop(world: World) -> None:
    """A webhook that was answered 503 is tried again, minutes after what was said since."""
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    started = world.clock.now
    world.clock.forward(seconds=5)
    await write(world, number, "STOP", sid="SM2")
    world.clock.forward(minutes=5)
    await write(world, number, "START", sid="SM1", at=started)
    assert await world.column("SELECT phone_number FROM opt_outs") == [number]


async def test_who_says_stop_again_is_not_let_in_by_a_start_from_in_between(world: World) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    await write(world, number, "STOP", sid="SM1")
    between = world.clock.forward(seconds=5)
    world.clock.forward(seconds=5)
    await write(world, number, "STOP", sid="SM3")
    await write(world, number, "START", sid="SM2", at=between)
    assert await world.column("SELECT phone_number FROM opt_outs") == [number]
    assert len(await world.happened("OptedOut")) == 1


async def test_nothing_starts_while_nobody_can_tell_who_has_opted_out(world: World) -> None:
    """Fault 7: a check of excluded people at send time failed open when its source could not be reached."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    async with database.transaction(world.engine) as locking:
        await locking.execute(text("LOCK TABLE opt_outs IN ACCESS EXCLUSIVE MODE"))
        async with database.transaction(world.engine) as connection:
            await connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(database.Collision):
                await batches.start(connection, batch, count=1, open_=[HERE], now=NOW)
    assert await world.states(broadcast) == ["claimed"]
