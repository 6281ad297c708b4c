"""HELP, and START after a STOP: who answers, and that nobody gets two answers."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api import support
from tests.integration.api.support import FROM, Api, incoming

NUMBER = "+13135550142"
HELP = "The Daily: desk@example.org. Reply STOP to end"
START = "The Daily: welcome back. Reply STOP to end"


@pytest.fixture
async def answering(emptied: str) -> AsyncIterator[Api]:
    """An API that answers HELP and START itself."""
    settings = support.settings(emptied, keyword_answers="broadsheet", help_answer=HELP, start_answer=START)
    async with support.running(settings) as running:
        yield running


async def say(api: Api, body: str, *, sid: str, number: str = NUMBER, to: str = FROM) -> None:
    payload: dict[str, Any] = incoming(number, body, api.clock.now, sid=sid)
    payload["message"]["to_fields"] = [{"phone_number": to}]
    assert (await api.missive(payload)).status_code == 200
    api.clock.forward(seconds=5)


async def say_by_twilio(api: Api, body: str, *, sid: str, took_for: str = "") -> None:
    form = {"From": NUMBER, "To": FROM, "Body": body, "MessageSid": sid}
    answer = await api.twilio("/webhooks/twilio/sms", {**form, **({"OptOutType": took_for} if took_for else {})})
    assert answer.status_code == 200
    assert answer.text.endswith("<Response/>")
    api.clock.forward(seconds=5)


async def answers(api: Api) -> list[tuple[str, str]]:
    rows = await api.query("SELECT purpose, body, phone_number FROM single_messages ORDER BY id")
    assert all(row["phone_number"] == NUMBER for row in rows)
    return [(row["purpose"], row["body"]) for row in rows]


async def test_unless_it_is_set_the_carrier_answers_and_nobody_else(api: Api) -> None:
    await say(api, "HELP", sid="SM1")
    await say_by_twilio(api, "info", sid="SM2")
    await say(api, "STOP", sid="SM3")
    await say(api, "START", sid="SM4")
    assert await answers(api) == []
    assert await api.value("SELECT count(*) FROM replies") == 4
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


@pytest.mark.parametrize("word", ["HELP", "help!", "Info", "Help please", "AYUDA", "aide"])
async def test_help_gets_the_organisations_answer_over_either_carrier(answering: Api, word: str) -> None:
    await say(answering, word, sid="SM1")
    assert await answers(answering) == [("help", HELP)]
    await answering.query("DELETE FROM single_messages")
    await say_by_twilio(answering, word, sid="SM2")
    assert await answers(answering) == [("help", HELP)]


@pytest.mark.parametrize("body", ["Help me find a lawyer", "I need info on my rent", "Liked “HELP”", "helpful"])
async def test_what_only_has_the_word_in_it_is_for_a_person(answering: Api, body: str) -> None:
    await say(answering, body, sid="SM1")
    assert await answers(answering) == []


async def test_two_machines_do_not_talk_to_each_other_for_ever(answering: Api) -> None:
    began = answering.clock.now
    for turn in range(20):
        await say(answering, "HELP" if turn % 2 else "INFO", sid=f"SM{turn}")
    assert await answers(answering) == [("help", HELP)]
    answering.clock.now = began + timedelta(hours=24, seconds=1)
    await say(answering, "HELP", sid="SM-next-day")
    assert len(await answers(answering)) == 2
    assert await answering.value("SELECT count(*) FROM replies") == 21


async def test_where_twilio_says_that_it_took_the_word_it_has_answered(answering: Api) -> None:
    await say_by_twilio(answering, "HELP", sid="SM1", took_for="HELP")
    await say_by_twilio(answering, "STOP", sid="SM2", took_for="STOP")
    await say_by_twilio(answering, "START", sid="SM3", took_for="START")
    assert await answers(answering) == []
    assert await answering.value("SELECT count(*) FROM opt_outs") == 0


async def test_who_says_start_after_stop_is_in_again_and_told_so_once(answering: Api) -> None:
    await say(answering, "STOP", sid="SM1")
    await say(answering, "UNSTOP", sid="SM2")
    await say_by_twilio(answering, "UNSTOP", sid="SM2")  # the same message, by the other carrier
    await say(answering, "START", sid="SM3")  # and again
    assert await answers(answering) == [("start", START)]
    said = await answering.query("SELECT wish, source, words FROM consent_records ORDER BY at")
    assert [tuple(row.values()) for row in said] == [
        ("stop", "sms", "STOP"), ("start", "sms", "UNSTOP"), ("start", "sms", "START")
    ]  # fmt: skip
    assert await answering.value("SELECT count(*) FROM opt_outs") == 0


async def test_who_was_never_out_is_not_told_that_they_are_in(answering: Api) -> None:
    await say(answering, "START", sid="SM1")
    assert await answers(answering) == []


async def test_who_opted_out_gets_no_answer_to_help(answering: Api) -> None:
    """Invariant 3: nothing leaves for a number after an opt-out."""
    await say(answering, "STOP", sid="SM1")
    await say(answering, "HELP", sid="SM2")
    assert await answers(answering) == []


async def test_an_answer_leaves_from_the_number_that_was_written_to(answering: Api) -> None:
    await say(answering, "HELP", sid="SM1", to="+13135550111")
    assert await answering.column(
        "SELECT n.phone_number FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id"
    ) == ["+13135550111"]
    await answering.query("DELETE FROM single_messages")
    await say(answering, "HELP", sid="SM2", to="+13135559999")  # none of ours
    assert await answering.column(
        "SELECT n.phone_number FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id"
    ) == [FROM]


async def test_an_answer_leaves_from_the_number_that_they_had_the_broadcast_from_where_none_is_told(
    answering: Api,
) -> None:
    broadcast = await answering.made(1)
    other = await answering.value("INSERT INTO sending_numbers (phone_number) VALUES ('+13135550111') RETURNING id")
    await answering.query("UPDATE broadcasts SET pool = ARRAY[%s::bigint] WHERE id = %s", other, broadcast)
    await answering.query(
        "UPDATE outgoing_messages SET pool_index = 1, state = 'accepted', attempts = 1, attempt_started_at = %s"
        " WHERE NOT is_second", answering.clock.now,
    )  # fmt: skip
    person = str(await answering.value("SELECT phone_number FROM contacts"))
    answering.clock.forward(minutes=1)
    await say(answering, "HELP", sid="SM1", number=person, to="+13135559999")
    assert await answering.column("SELECT sending_number_id FROM single_messages") == [other]


async def test_an_answer_to_a_messaging_service_leaves_from_it(answering: Api) -> None:
    service = "MG" + "5" * 32
    other = await answering.value("INSERT INTO sending_numbers (phone_number) VALUES ('+13135550111') RETURNING id")
    await answering.query("INSERT INTO messaging_services VALUES (%s, %s)", service, other)
    form = {"From": NUMBER, "To": "+13135550031", "Body": "HELP", "MessageSid": "SM1", "MessagingServiceSid": service}
    assert (await answering.twilio("/webhooks/twilio/sms", form)).status_code == 200
    assert await answering.column("SELECT sending_number_id FROM single_messages") == [other]


async def test_somebody_unknown_is_kept_and_answered(answering: Api) -> None:
    """Nobody of this number is a contact: nothing is lost, and nobody is added."""
    payload = incoming(NUMBER, "Who are you?", answering.clock.now, sid="SM1")
    assert (await answering.missive(payload)).json() == {"recorded": True}
    assert await answering.query("SELECT phone_number, contact_id, broadcast_id, body FROM replies") == [
        {"phone_number": NUMBER, "contact_id": None, "broadcast_id": None, "body": "Who are you?"}
    ]
    await say(answering, "HELP", sid="SM2")
    assert await answers(answering) == [("help", HELP)]
    assert await answering.value("SELECT count(*) FROM contacts") == 0


async def test_what_was_answered_stands_under_the_reply(answering: Api) -> None:
    await say(answering, "HELP", sid="SM1")
    reply = await answering.value("SELECT id FROM replies")
    [shown] = (await answering.get(f"/replies/{reply}/answers")).json()
    assert (shown["body"], shown["state"]) == (HELP, "pending")
