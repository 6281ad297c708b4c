"""Messages that are of no broadcast: in the pace, once, and to nobody who said no."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from libs.common import database
from libs.common.broadcasts import erasure, opt_outs, replies, single_attempts
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.keyword_answers import Answers
from libs.common.broadcasts.single_attempts import TOO_LATE
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.domain.states import ConsentSource
from libs.common.errors import Conflict
from services.sender.single_sender import SingleSender
from tests.support.scripted import ScriptedCarrier
from tests.support.singles import TO, WORDS, answer, ask, row
from tests.support.world import FROM, World, make_settings

#: Eleven at night in Detroit.
NIGHT = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)


async def send(world: World, carrier: ScriptedCarrier) -> None:
    """Send what is due."""
    sender = SingleSender(world.settings, carrier)
    while await sender.send_next(world.worker):
        pass


async def test_a_message_is_asked_for_once_byte_for_byte(world: World) -> None:
    request = uuid4()
    first = await ask(world, request_id=request)
    assert await ask(world, request_id=request) == first
    carrier = ScriptedCarrier([Accepted(twilio_id="SM1", twilio_status="queued")])
    await send(world, carrier)
    await send(world, carrier)
    assert [(item.to, item.from_number, item.body) for item in carrier.requests] == [(TO, FROM, WORDS)]
    found = await row(world, first)
    assert (found["state"], found["twilio_id"], found["twilio_sent_status"]) == ("accepted", "SM1", "queued")


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Refused(code="21211", reason="not valid"), "refused", "21211"),
        (Unknown(reason="timeout"), "uncertain", None),
        (Deferred(code="http_408", reason="again"), "pending", None),
        (Deferred(code="http_401", reason="who are you"), "refused", "http_401"),
    ],
)
async def test_each_answer_moves_its_message(world: World, outcome: Outcome, state: str, code: str | None) -> None:
    message = await ask(world)
    carrier = ScriptedCarrier([outcome])
    await send(world, carrier)
    found = await row(world, message)
    assert (found["state"], found["twilio_error_code"], len(carrier.requests)) == (state, code, 1)


async def test_a_message_whose_worker_died_is_not_sent_again_by_itself(world: World) -> None:
    message = await ask(world)
    async with database.transaction(world.engine) as connection:
        due = await single_attempts.due(connection, world.clock.now)
        assert due is not None
        assert await single_attempts.start(connection, due, quiet_until=None, now=world.clock.now) is not None
    carrier = ScriptedCarrier()
    await send(world, carrier)
    assert (await row(world, message))["state"] == "started"
    world.clock.forward(seconds=world.settings.request_timeout + world.settings.lease + 1)
    await send(world, carrier)
    assert (await row(world, message))["state"] == "uncertain"
    assert carrier.requests == []


async def test_several_senders_send_it_once_and_keep_the_pace(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, send_rate=20))
    for number in range(4):
        await ask(world, to=f"+1313555070{number}")
    carrier = ScriptedCarrier()
    await asyncio.gather(*(send(world, carrier) for _ in range(3)))
    assert sorted(item.to for item in carrier.requests) == [f"+1313555070{number}" for number in range(4)]
    times = sorted(item.at for item in carrier.requests)
    assert times[-1] - times[0] >= 3 / 20


async def test_who_opted_out_after_it_was_asked_for_gets_nothing(world: World) -> None:
    message = await ask(world)
    async with database.transaction(world.engine) as connection:
        await opt_outs.opt_out(connection, TO, ConsentSource.SMS, world.clock.now)
    carrier = ScriptedCarrier()
    await send(world, carrier)
    assert carrier.requests == []
    assert (await row(world, message))["skip_reason"] == "opted_out"
    with pytest.raises(Conflict):
        await ask(world)


async def test_a_message_waits_for_an_opt_out_that_is_just_being_recorded(world: World) -> None:
    message = await ask(world)
    carrier = ScriptedCarrier()
    async with database.transaction(world.engine) as connection:
        await opt_outs.opt_out(connection, TO, ConsentSource.SMS, world.clock.now)
        sending = asyncio.create_task(send(world, carrier))
        await world.until_somebody_waits()
    await sending
    assert carrier.requests == []
    assert (await row(world, message))["state"] == "skipped"


async def test_quiet_hours_hold_back_an_answer_and_no_test(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00", send_rate=50))
    world.clock.now = NIGHT
    late, test = await answer(world), await ask(world, to="+13135550778")
    carrier = ScriptedCarrier()
    await send(world, carrier)
    assert [item.to for item in carrier.requests] == ["+13135550778"]
    assert (await row(world, test))["state"] == "accepted"
    world.clock.now = NIGHT + timedelta(hours=9)
    await send(world, carrier)
    assert (await row(world, late))["state"] == "accepted"


@pytest.mark.parametrize("carrier", ["missive", "twilio"])
async def test_what_answers_a_keyword_leaves_at_once_over_either_carrier(world: World, carrier: str) -> None:
    """Whoever writes HELP at night is awake."""
    settings = make_settings(world.settings.database_url, quiet_hours="21:00-08:00", send_rate=50, carrier=carrier)
    world = replace(world, settings=settings)
    world.clock.now = NIGHT
    inbound = Inbound(provider_id="SM1", phone_number=TO, body="HELP", received_at=NIGHT, to=FROM)
    answers = Answers(help=WORDS, own_numbers=(FROM,))
    async with database.transaction(world.engine) as connection:
        assert await replies.receive(connection, inbound, NIGHT, answers=answers)
    scripted = ScriptedCarrier(name=carrier)
    await send(world, scripted)
    assert [(item.to, item.from_number, item.body) for item in scripted.requests] == [(TO, FROM, WORDS)]


async def test_what_could_not_leave_for_a_day_is_given_up(world: World) -> None:
    message = await ask(world)
    world.clock.now += TOO_LATE
    carrier = ScriptedCarrier()
    await send(world, carrier)
    assert carrier.requests == []
    assert (await row(world, message))["skip_reason"] == "quiet_hours"


async def test_erasing_takes_out_what_was_not_sent_and_forgets_what_was(world: World) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    sent = await ask(world, to=number)
    await send(world, ScriptedCarrier())
    waiting = await ask(world, to=number)
    async with database.transaction(world.engine) as connection:
        await erasure.erase(connection, contact, world.clock.now)
    assert {(row_["id"], row_["state"], row_["phone_number"], row_["body"]) for row_ in
            [await row(world, sent), await row(world, waiting)]} == {
        (sent, "accepted", None, ""), (waiting, "skipped", None, "")}  # fmt: skip


async def test_history_says_who_asked_and_what_came_of_it(world: World) -> None:
    message = await ask(world)
    await send(world, ScriptedCarrier([Refused(code="21610", reason="stopped")]))
    [asked] = await world.happened("SingleMessageAsked")
    [ended] = await world.happened("SingleMessageEnded")
    assert (asked["single_id"], asked["purpose"]) == (message, "test")
    assert (ended["state"], ended["code"]) == ("refused", "21610")
    assert await world.column("SELECT phone_number FROM opt_outs") == [TO]
