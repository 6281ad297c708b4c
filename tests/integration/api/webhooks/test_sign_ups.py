"""Sign-up by keyword: the word, the yes where one is asked for, and what is on record then."""

from datetime import timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.broadcasts.keyword_answers import Answers
from tests.integration.api.support import FROM, Api, incoming

NUMBER = "+13135550142"
WELCOME = "Welcome to The Daily. Reply STOP to end"
QUESTION = "Texts from The Daily? Reply YES"


async def keyword(api: Api, *, question: str | None = None, word: str = "NEWS", tag: str = "news") -> int:
    body = {"word": word, "tag": tag, "welcome": WELCOME, "question": question}
    answer = await api.post("/keywords", body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def say(api: Api, body: str, *, sid: str, number: str = NUMBER) -> Any:
    answer = await api.missive(incoming(number, body, api.clock.now, sid=sid))
    api.clock.forward(seconds=5)
    return answer.json()


async def say_by_twilio(api: Api, body: str, *, sid: str) -> None:
    form = {"From": NUMBER, "To": FROM, "Body": body, "MessageSid": sid}
    assert (await api.twilio("/webhooks/twilio/sms", form)).status_code == 200
    api.clock.forward(seconds=5)


async def answers(api: Api) -> list[tuple[str, str]]:
    rows = await api.query("SELECT purpose, body FROM single_messages ORDER BY id")
    return [(row["purpose"], row["body"]) for row in rows]


async def records(api: Api) -> list[tuple[str, str, str, str]]:
    rows = await api.query("SELECT wish, source, words, note FROM consent_records ORDER BY at")
    return [(row["wish"], row["source"], row["words"], row["note"]) for row in rows]


async def tags(api: Api, number: str = NUMBER) -> list[str] | None:
    found: list[str] | None = await api.value("SELECT tags FROM contacts WHERE phone_number = %s", number)
    return found


async def drawn(api: Api, tag: str = "news") -> int:
    """Return how many a segment of a tag may draw."""
    return int((await api.post("/segments/preview", {"filter": {"tag": tag}})).json()["count"])


@pytest.mark.parametrize("body", ["NEWS", "news", " News! ", "news please", "“NEWS”"])
async def test_who_texts_the_word_is_a_contact_with_its_tag_consent_and_welcome(api: Api, body: str) -> None:
    await keyword(api)
    assert await say(api, body, sid="SM1") == {"recorded": True}
    assert await tags(api) == ["news"]
    assert await records(api) == [("start", "keyword", body.strip(), "keyword NEWS")]
    assert await answers(api) == [("welcome", WELCOME)]
    assert await drawn(api) == 1
    assert await api.value("SELECT actor FROM consent_records") == "carrier:missive"
    assert await api.column("SELECT type FROM events WHERE stream LIKE 'contact-%%' ORDER BY position") == [
        "SignedUp", "ContactChanged"
    ]  # fmt: skip


async def test_both_carriers_tell_of_one_text_and_it_is_one_sign_up(api: Api) -> None:
    await keyword(api)
    await say(api, "NEWS", sid="SM1")
    await say_by_twilio(api, "NEWS", sid="SM1")
    assert len(await records(api)) == len(await answers(api)) == 1


async def test_by_twilio_it_is_the_same(api: Api) -> None:
    await keyword(api)
    await say_by_twilio(api, "NEWS", sid="SM1")
    assert (await tags(api), await answers(api)) == (["news"], [("welcome", WELCOME)])
    assert await api.value("SELECT actor FROM consent_records") == "carrier:twilio"


async def test_who_is_known_keeps_their_tags_and_gets_one_more(api: Api) -> None:
    await keyword(api)
    number = await api.contact("east", name="Ana")
    await say(api, "NEWS", sid="SM1", number=number)
    assert await tags(api, number) == ["east", "news"]
    assert await api.value("SELECT name FROM contacts") == "Ana"


async def test_a_machine_that_texts_it_for_ever_is_welcomed_once_a_day(api: Api) -> None:
    await keyword(api)
    for turn in range(10):
        await say(api, "NEWS", sid=f"SM{turn}")
    assert len(await answers(api)) == 1
    assert await tags(api) == ["news"]


@pytest.mark.parametrize(
    "body", ["Any news?", "I have news for you", "👍 to “NEWS”", "newsletter", "Auto-reply: NEWS", "no news"]
)
async def test_what_only_has_the_word_in_it_is_a_reply(api: Api, body: str) -> None:
    await keyword(api)
    await say(api, body, sid="SM1")
    assert (await tags(api), await answers(api), await records(api)) == (None, [], [])
    assert await api.value("SELECT count(*) FROM replies") == 1


@pytest.mark.parametrize("yes", ["YES", "yes!", "Y", "Sí", "oui", "Yes please"])
async def test_with_a_question_only_a_yes_signs_up(api: Api, yes: str) -> None:
    await keyword(api, question=QUESTION)
    await say(api, "NEWS", sid="SM1")
    # Nobody is known, tagged or drawn yet, and nothing is said about consent.
    assert (await tags(api), await records(api), await drawn(api)) == (None, [], 0)
    assert await answers(api) == [("question", QUESTION)]
    await say(api, yes, sid="SM2")
    assert (await tags(api), await drawn(api)) == (["news"], 1)
    assert await records(api) == [("start", "keyword", yes, "keyword NEWS, confirmed")]
    assert await answers(api) == [("question", QUESTION), ("welcome", WELCOME)]
    assert await api.value("SELECT count(*) FROM sign_ups") == 0


@pytest.mark.parametrize("body", ["no", "yes but who are you?", "maybe", "👍 to “Reply YES”", "ok", "NEWS"])
async def test_anything_else_does_not(api: Api, body: str) -> None:
    await keyword(api, question=QUESTION)
    await say(api, "NEWS", sid="SM1")
    await say(api, body, sid="SM2")
    assert (await tags(api), await records(api)) == (None, [])
    assert await answers(api) == [("question", QUESTION)]


async def test_a_yes_after_a_day_comes_too_late(api: Api) -> None:
    await keyword(api, question=QUESTION)
    began = api.clock.now
    await say(api, "NEWS", sid="SM1")
    api.clock.now = began + timedelta(hours=24, seconds=5)
    await say(api, "YES", sid="SM2")
    assert (await tags(api), await records(api)) == (None, [])
    await say(api, "NEWS", sid="SM3")  # but they may begin again
    await say(api, "YES", sid="SM4")
    assert await tags(api) == ["news"]


async def test_a_yes_without_a_question_is_a_reply_like_any_other(api: Api) -> None:
    await keyword(api, question=QUESTION)
    await say(api, "YES", sid="SM1")
    assert (await tags(api), await records(api), await answers(api)) == (None, [], [])


async def test_a_yes_answers_once(api: Api) -> None:
    await keyword(api, question=QUESTION)
    await say(api, "NEWS", sid="SM1")
    await say(api, "YES", sid="SM2")
    await say_by_twilio(api, "YES", sid="SM2")
    await say(api, "YES", sid="SM3")
    assert len(await records(api)) == 1
    assert len(await answers(api)) == 2


async def test_a_stop_makes_the_question_void(api: Api) -> None:
    await keyword(api, question=QUESTION)
    await say(api, "NEWS", sid="SM1")
    await say(api, "STOP", sid="SM2")
    await say(api, "YES", sid="SM3")
    assert [record[0] for record in await records(api)] == ["stop"]
    assert await api.value("SELECT count(*) FROM opt_outs") == 1
    assert await api.column("SELECT state FROM single_messages") == ["skipped"] or await drawn(api) == 0


async def test_who_opted_out_and_texts_the_word_is_in_again_by_their_own_words(api: Api) -> None:
    await keyword(api)
    await say(api, "STOP", sid="SM1")
    await say(api, "NEWS", sid="SM2")
    assert [(record[0], record[1]) for record in await records(api)] == [("stop", "sms"), ("start", "keyword")]
    assert await api.value("SELECT count(*) FROM opt_outs") == 0
    assert await answers(api) == [("welcome", WELCOME)]


async def test_who_opted_out_is_asked_nothing(api: Api) -> None:
    """Invariant 3: nothing leaves for a number after an opt-out, not even a question."""
    await keyword(api, question=QUESTION)
    await say(api, "STOP", sid="SM1")
    await say(api, "NEWS", sid="SM2")
    assert await answers(api) == []
    assert await api.value("SELECT count(*) FROM sign_ups") == 0


async def test_a_word_that_is_told_late_brings_nobody_in_who_said_stop_after_it(api: Api) -> None:
    await keyword(api)
    word = Inbound(provider_id="SM1", phone_number=NUMBER, body="NEWS", received_at=api.clock.now)
    api.clock.forward(seconds=30)
    await say(api, "STOP", sid="SM2")
    async with database.transaction(api.engine) as connection:
        assert await replies.receive(connection, word, api.clock.now, answers=Answers(own_numbers=(FROM,)))
    assert [record[0] for record in await records(api)] == ["start", "stop"]
    assert await api.value("SELECT count(*) FROM opt_outs") == 1
    assert await answers(api) == []
    assert await tags(api) == []  # a contact by their STOP


async def test_the_last_question_is_what_a_yes_answers(api: Api) -> None:
    await keyword(api, question=QUESTION)
    await keyword(api, question=f"Elections? {QUESTION}", word="VOTE", tag="elections")
    await say(api, "NEWS", sid="SM1")
    await say(api, "VOTE", sid="SM2")
    await say(api, "YES", sid="SM3")
    assert await tags(api) == ["elections"]


async def test_a_person_who_is_erased_is_forgotten_with_the_question(api: Api) -> None:
    await keyword(api, question=QUESTION)
    number = await api.contact("east")
    await say(api, "NEWS", sid="SM1", number=number)
    assert await api.value("SELECT count(*) FROM sign_ups") == 1
    assert (await api.client.delete(f"/contacts/{await api.contact_id(number)}")).status_code == 204
    assert await api.value("SELECT count(*) FROM sign_ups") == 0


async def test_the_export_of_consent_has_source_words_and_time(api: Api) -> None:
    await keyword(api)
    await say(api, "News please", sid="SM1")
    [line] = (await api.get("/consent/export.jsonl")).text.splitlines()
    for part in ('"source":"keyword"', '"words":"News please"', '"said":"opt_in"', '"note":"keyword NEWS"'):
        assert part in line.replace(": ", ":")
