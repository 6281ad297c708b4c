"""The pages of replies: what people wrote, and what is decided about it."""

import re
from datetime import timedelta

from tests.integration.api.broadcasts.test_reports import halfway
from tests.integration.api.desk.browser import Browser, signed_in
from tests.integration.api.support import Api, incoming

LIKELY = "who is this, take me off"


async def likely(api: Api) -> tuple[int, str]:
    """Have somebody write what is likely an opt-out; return the reply's id and the number."""
    await api.made(1)
    number = str(await api.value("SELECT recipient_phone_number FROM outgoing_messages LIMIT 1"))
    await api.missive(incoming(number, LIKELY, api.clock.now, sid="SM-likely"))
    return int(await api.value("SELECT id FROM replies WHERE body = %s", LIKELY)), number


async def test_replies_are_listed_the_newest_first_and_each_leads_to_its_conversation(
    api: Api, editor: Browser
) -> None:
    await halfway(api)
    page = (await editor.get("/desk/replies")).text
    assert page.index(">STOP<") < page.index(">again<") < page.index(">hi<")
    reply = await api.value("SELECT id FROM replies WHERE body = 'again'")
    conversation = (await editor.get(f"/desk/replies/{reply}")).text
    assert conversation.index("It&#39;s") < conversation.index(">hi<") < conversation.index(">again<")


async def test_a_likely_opt_out_stands_on_top_and_is_decided_with_one_button(api: Api, editor: Browser) -> None:
    reply, number = await likely(api)
    page = "/desk/replies"
    text = (await editor.get(page)).text
    assert "May have asked to be left alone" in text
    assert f'action="/desk/replies/{reply}/opt-out"' in text
    answer = await editor.submit(f"{page}/{reply}/opt-out", page)
    assert answer.status_code == 303
    assert await api.value("SELECT count(*) FROM opt_outs WHERE phone_number = %s", number) == 1
    assert await api.value("SELECT reviewed_by FROM replies WHERE id = %s", reply) == "Ana Diaz"
    assert "May have asked to be left alone" not in (await editor.get(page)).text


async def test_each_reply_of_the_list_stands_under_the_text_that_it_answers(api: Api, editor: Browser) -> None:
    await halfway(api)
    await api.query("UPDATE broadcasts SET second_message = 'The follow-up'")
    to_number = "WHERE contact_id = (SELECT contact_id FROM replies WHERE body = 'again')"
    assert "To “It&#39;s" in (await editor.get("/desk/replies?find=again")).text
    await api.query(
        "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s, skip_reason = NULL"
        f" {to_number} AND is_second", api.clock.now - timedelta(hours=1),
    )  # fmt: skip
    assert "To “The follow-up”" in (await editor.get("/desk/replies?find=again")).text
    assert (await api.get("/replies?search=again")).json()["items"][0]["answers"] == "The follow-up"


async def test_who_decides_is_back_in_the_list_from_which_they_came(api: Api, editor: Browser) -> None:
    reply, _ = await likely(api)
    here = "/desk/replies?only=likely-opt-outs&find=take"
    assert f'href="/desk/replies/{reply}?only=likely-opt-outs&amp;find=take"' in (await editor.get(here)).text
    shown = (await editor.get(f"/desk/replies/{reply}?only=likely-opt-outs&find=take")).text
    assert 'href="/desk/replies?only=likely-opt-outs&amp;find=take"' in shown
    action = f"/desk/replies/{reply}/no-opt-out?only=likely-opt-outs&find=take"
    assert action.replace("&", "&amp;") in shown
    assert (await editor.submit(action, here)).headers["location"] == here
    astray = f"/desk/replies/{reply}/done?only=https://example.org&find=%00"
    assert (await editor.submit(astray, f"/desk/replies/{reply}")).headers["location"] == "/desk/replies"


async def test_the_consent_says_why_somebody_was_opted_out_or_in_by_a_reply(api: Api, editor: Browser) -> None:
    reply, _ = await likely(api)
    page = f"/desk/replies/{reply}"
    notes = "SELECT string_agg(wish || ': ' || note, ', ' ORDER BY at, wish DESC) FROM consent_records"
    await editor.submit(f"{page}/opt-out", page)
    assert await api.value(notes) == f"stop: reply {reply}"
    api.clock.now += timedelta(minutes=1)
    await editor.submit(f"{page}/opt-in", page, reason=" They called,\nand asked. ")
    assert await api.value(notes) == f"stop: reply {reply}, start: They called, and asked."
    api.clock.now += timedelta(minutes=1)
    await api.post(f"/replies/{reply}/opt-in", {"by": "Cy", "reason": "Asked again"})
    assert await api.value(notes) == f"stop: reply {reply}, start: Asked again"


async def test_deciding_that_it_was_none_lets_texts_go_again(api: Api, editor: Browser) -> None:
    reply, number = await likely(api)
    await editor.submit(f"/desk/replies/{reply}/no-opt-out", f"/desk/replies/{reply}")
    assert await api.value("SELECT count(*) FROM opt_outs WHERE phone_number = %s", number) == 0
    assert "decided that this was no opt-out" in (await editor.get(f"/desk/replies/{reply}")).text


async def test_what_is_read_is_not_among_the_unread(api: Api, editor: Browser) -> None:
    await halfway(api)
    reply = await api.value("SELECT id FROM replies WHERE body = 'hi'")
    await editor.submit(f"/desk/replies/{reply}/read", f"/desk/replies/{reply}")
    unread = (await editor.get("/desk/replies?only=unread")).text
    assert ">again<" in unread
    assert ">hi<" not in unread


async def test_a_broadcast_s_replies_can_be_seen_alone(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    other = await api.made(1)
    assert ">hi<" in (await editor.get(f"/desk/replies?broadcast={broadcast}")).text
    assert ">hi<" not in (await editor.get(f"/desk/replies?broadcast={other}")).text


async def test_who_may_only_look_has_no_buttons(api: Api, editor: Browser) -> None:
    reply, _ = await likely(api)
    await api.query("UPDATE users SET role = 'viewer' WHERE id = %s", editor.user_id)
    assert "<form" not in (await editor.get(f"/desk/replies/{reply}")).text


async def test_the_list_is_searched_and_narrowed_down_by_forms_alone(api: Api, editor: Browser) -> None:
    broadcast = await halfway(api)
    page = (await editor.get("/desk/replies", params={"find": "hi", "broadcast": broadcast, "phase": "first"})).text
    assert ">hi<" in page
    assert ">again<" not in page
    assert f"/desk/replies/export.csv?broadcast={broadcast}&amp;phase=first&amp;find=hi" in page
    assert ">hi<" not in (await editor.get("/desk/replies", params={"segment": "999"})).text
    assert (await editor.get("/desk/replies", params={"find": "hi\0"})).status_code == 422


async def test_a_reply_is_taken_handed_over_done_and_opened_again(api: Api, editor: Browser) -> None:
    await halfway(api)
    reply = await api.value("SELECT id FROM replies WHERE body = 'hi'")
    page = f"/desk/replies/{reply}"
    await editor.submit(f"{page}/take", page)
    assert ">hi<" in (await editor.get("/desk/replies?only=mine")).text
    ben = await api.value(
        "INSERT INTO users (email, name, role) VALUES ('ben@example.org', 'Ben Ode', 'editor') RETURNING id"
    )
    await api.query("INSERT INTO users (email, name, role) VALUES ('vi@example.org', 'Vi Ng', 'viewer')")
    assert "Vi Ng" not in (await editor.get(page)).text  # who may only look can do nothing about it
    await editor.submit(f"{page}/assign", page, user_id=str(ben))
    assert ">hi<" not in (await editor.get("/desk/replies?only=mine")).text
    assert "Ben Ode (handed over by Ana Diaz)" in (await editor.get(page)).text
    await editor.submit(f"{page}/done", page)
    assert ">hi<" in (await editor.get("/desk/replies?only=done")).text
    await editor.submit(f"{page}/reopen", page)
    assert ">hi<" in (await editor.get("/desk/replies?only=open")).text
    assert await api.column("SELECT DISTINCT actor FROM events WHERE stream = %s", f"reply-{reply}") == [
        f"user:{editor.user_id}"
    ]


async def test_an_answer_is_sent_once_and_stands_in_the_conversation(by_twilio: Api) -> None:
    await halfway(by_twilio)
    reply = await by_twilio.value("SELECT id FROM replies WHERE body = 'hi'")
    page = f"/desk/replies/{reply}"
    async with signed_in(by_twilio) as editor:
        text = (await editor.get(page)).text
        request = re.search(r'name="request_id" value="([^"]+)"', text)
        assert request is not None
        for _twice in range(2):
            answer = await editor.submit(f"{page}/answer", page, request_id=request[1], body="We <b>will</b>")
            assert (answer.status_code, answer.headers["location"]) == (303, page)
        shown = (await editor.get(page)).text
        assert shown.count("We &lt;b&gt;will&lt;/b&gt;") == 1
        assert "Ana Diaz, " in shown
        await by_twilio.query(
            "UPDATE single_messages SET state = 'uncertain', attempts = 1, attempt_started_at = %s", by_twilio.clock.now
        )
        assert "We do not know yet" in (await editor.get(page)).text
        empty = await editor.submit(f"{page}/answer", page, request_id=request[1], body=" ")
        assert empty.status_code == 422
    assert await by_twilio.value("SELECT count(*) FROM single_messages") == 1


async def test_where_missive_carries_the_texts_the_desk_leads_there(api: Api, editor: Browser) -> None:
    told = incoming("+13135550142", "Hello", api.clock.now, sid="SM-told")
    told["conversation"] = {"id": "c-1"}
    await api.missive(told)
    page = (await editor.get(f"/desk/replies/{await api.value('SELECT id FROM replies')}")).text
    assert 'href="https://mail.missiveapp.com/#inbox/conversations/c-1"' in page
    assert "Answer in Missive" in page
    assert "/answer" not in page


async def test_what_no_person_wrote_is_named_and_can_be_left_out(api: Api, editor: Browser) -> None:
    broadcast = await api.made(2)
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    one, two = await api.column("SELECT phone_number FROM contacts ORDER BY id")
    await api.missive(incoming(one, "Yes, I was there", api.clock.now, sid="SM-1"))
    await api.missive(incoming(two, "Auto-reply: away until Monday", api.clock.now, sid="SM-2"))
    everything = await editor.get("/desk/replies")
    assert '<span class="quiet">An automatic answer</span>' in everything.text
    only = await editor.get("/desk/replies?kind=own_words")
    assert "Yes, I was there" in only.text
    assert "away until Monday" not in only.text
    reply = await api.value("SELECT id FROM replies WHERE kind = 'automatic'")
    shown = await editor.get(f"/desk/replies/{reply}")
    assert "An automatic answer: the follow-up is sent nevertheless" in " ".join(shown.text.split())
    beside = await editor.get(f"/desk/broadcasts/{broadcast}")
    assert "An automatic answer: 1" in " ".join(beside.text.split())
