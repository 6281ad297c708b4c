"""The list of replies, and what staff decide about them."""

from typing import Any

import pytest

from tests.integration.api.support import Api, incoming

LIKELY = "who is this, take me off"
BY = {"by": "Ana Diaz"}


async def wrote(api: Api, number: str, body: str) -> int:
    """Have somebody write; return the reply's id."""
    before = await api.value("SELECT count(*) FROM replies")
    await api.missive(incoming(number, body, api.clock.now, sid=f"SM-{before}"))
    api.clock.forward(seconds=5)
    return int(await api.value("SELECT max(id) FROM replies"))


async def listed(api: Api, **filters: Any) -> list[int]:
    answer = await api.get("/replies", params=filters)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def decide(api: Api, reply: int, what: str, by: Any = None) -> tuple[int, Any]:
    answer = await api.post(f"/replies/{reply}/{what}", by or BY)
    return answer.status_code, answer.json()


async def members(api: Api) -> int:
    segment = await api.value("SELECT id FROM audience_segments") or await api.segment()
    return int((await api.get(f"/segments/{segment}/preview")).json()["count"])


async def test_replies_are_listed_the_newest_first_page_by_page(api: Api) -> None:
    number = await api.contact(name="Ann")
    ids = [await wrote(api, number, f"reply {n}") for n in range(5)]
    assert await listed(api) == ids[::-1]
    seen, cursor = [], None
    while True:
        page = (await api.get("/replies", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    first = (await api.get(f"/replies/{ids[0]}")).json()
    assert (first["body"], first["name"], first["channel"], first["likely_opt_out"]) == ("reply 0", "Ann", "sms", False)


async def test_replies_are_filtered_by_broadcast_by_likely_opt_outs_and_by_what_nobody_has_read(api: Api) -> None:
    broadcast = await api.made(2)
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    one, two = (row["phone_number"] for row in await api.query("SELECT phone_number FROM contacts ORDER BY id"))
    answers, likely = await wrote(api, one, "Yes"), await wrote(api, two, LIKELY)
    stranger = await wrote(api, "+13135559876", "Hello")
    assert await listed(api, broadcast=broadcast) == [likely, answers]
    assert await listed(api, broadcast=broadcast + 1) == []
    assert await listed(api, likely_opt_out="true") == [likely]
    assert await listed(api, likely_opt_out="false") == [stranger, answers]
    await decide(api, stranger, "read")
    assert await listed(api, unread="true") == [likely, answers]
    assert await listed(api, unread="false") == [stranger]
    assert await listed(api, broadcast=broadcast, likely_opt_out="true", unread="true") == [likely]


async def test_a_likely_opt_out_says_why_and_nothing_leaves_until_a_person_has_looked(api: Api) -> None:
    number = await api.contact()
    reply = await wrote(api, number, LIKELY)
    found = (await api.get(f"/replies/{reply}")).json()
    assert (found["likely_opt_out"], found["review"], found["why"]) == (
        True, "waiting", "It asks to be taken off a list"
    )  # fmt: skip
    assert await members(api) == 0


async def test_who_was_no_opt_out_is_texted_again(api: Api) -> None:
    number = await api.contact()
    reply = await wrote(api, number, LIKELY)
    status, decided = await decide(api, reply, "no-opt-out")
    assert (status, decided["review"], decided["reviewed_by"], decided["read_by"]) == (
        200, "no_opt_out", "Ana Diaz", "Ana Diaz"
    )  # fmt: skip
    assert await members(api) == 1
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


async def test_who_was_an_opt_out_is_out_by_the_name_of_who_said_so(api: Api) -> None:
    number = await api.contact()
    reply, other = await wrote(api, number, LIKELY), await wrote(api, number, "wrong number")
    status, decided = await decide(api, reply, "opt-out")
    assert (status, decided["review"], decided["opted_out"], decided["reviewed_by"]) == (
        200, "opt_out", True, "Ana Diaz"
    )  # fmt: skip
    assert await api.column("SELECT source FROM opt_outs") == ["staff"]
    assert (await api.get(f"/replies/{other}")).json()["review"] == "superseded"
    events = await api.column("SELECT data FROM events WHERE type = 'OptOutReviewed'")
    assert events == [{"reply_id": reply, "contact_id": await api.contact_id(number), "opted_out": True}]
    assert "Ana" not in str(await api.column("SELECT data FROM events"))


async def test_a_number_stays_held_until_each_of_its_replies_was_looked_at(api: Api) -> None:
    number = await api.contact()
    one, two = await wrote(api, number, LIKELY), await wrote(api, number, "leave me alone")
    await decide(api, one, "no-opt-out")
    assert await members(api) == 0
    await decide(api, two, "no-opt-out")
    assert await members(api) == 1


async def test_a_no_that_no_pattern_knows_can_be_decided_from_the_list(api: Api) -> None:
    number = await api.contact()
    reply = await wrote(api, number, "Bitte nicht mehr schreiben")
    assert (await decide(api, reply, "opt-out"))[0] == 200
    assert await members(api) == 0


async def test_to_decide_twice_is_to_decide_once_and_the_first_name_stays(api: Api) -> None:
    reply = await wrote(api, await api.contact(), LIKELY)
    for by in ("Ana", "Ben"):
        status, decided = await decide(api, reply, "opt-out", {"by": by})
        assert (status, decided["reviewed_by"]) == (200, "Ana")
    for by in ("Ana", "Ben"):
        status, read = await decide(api, reply, "read", {"by": by})
        assert (status, read["read_by"]) == (200, "Ana")
    assert await api.value("SELECT count(*) FROM events WHERE type = 'OptOutReviewed'") == 1


async def test_what_does_not_wait_cannot_be_decided_to_be_none(api: Api) -> None:
    """Who is out is let in again by themselves, or as a contact: never by the way."""
    number = await api.contact()
    reply, stop = await wrote(api, number, "Yes"), await wrote(api, number, "STOP")
    for each in (reply, stop):
        assert (await decide(api, each, "no-opt-out"))[0] == 409
    assert await members(api) == 0


async def test_a_reply_without_a_number_opts_nobody_out(api: Api) -> None:
    email = {"id": "m1", "type": "email", "preview": "hello", "from_field": {"address": "ann@example.org"}}
    await api.missive({"rule": {"type": "incoming_email"}, "message": email})
    await api.missive({"rule": {"type": "incoming_email"}, "message": {**email, "id": "m2", "preview": "STOP"}})
    plain, stop = await api.column("SELECT id FROM replies ORDER BY id")
    assert (await decide(api, plain, "opt-out"))[0] == 409
    status, decided = await decide(api, stop, "opt-out")
    assert (status, decided["review"], decided["sender"]) == (200, "opt_out", "ann@example.org")


@pytest.mark.parametrize("what", ["read", "opt-out", "no-opt-out"])
async def test_a_decision_about_nothing_or_by_nobody_is_refused(api: Api, what: str) -> None:
    assert (await decide(api, 7, what))[0] == 404
    reply = await wrote(api, await api.contact(), LIKELY)
    for by in ({}, {"by": ""}, {"by": "  "}, {"by": 5}, {"by": "Ana", "opt_out": True}):
        assert (await api.post(f"/replies/{reply}/{what}", by)).status_code == 422
    assert await api.value("SELECT reviewed_by FROM replies") is None


@pytest.mark.parametrize(
    "query", ["broadcast=0", "broadcast=x", "likely_opt_out=2", "unread=maybe", "cursor=x", "newest=1"]
)
async def test_a_filter_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    assert (await api.get(f"/replies?{query}")).status_code == 422


async def test_who_is_erased_leaves_nothing_in_the_list(api: Api) -> None:
    number = await api.contact()
    reply = await wrote(api, number, LIKELY)
    await wrote(api, number, "START")
    assert (await api.client.delete("/contacts", params={"phone_number": number})).status_code == 204
    found = (await api.get(f"/replies/{reply}")).json()
    assert (found["phone_number"], found["body"], found["likely_opt_out"], found["name"]) == (None, "", False, "")
    assert await api.value("SELECT count(*) FROM consent_records") == 0


async def test_who_is_erased_and_was_out_is_on_record_as_that_alone(api: Api) -> None:
    number = await api.contact()
    await wrote(api, number, "STOP")
    await api.client.delete("/contacts", params={"phone_number": number})
    assert await api.value("SELECT count(*) FROM consent_records") == 0
    assert await api.query("SELECT phone_number, record FROM opt_outs") == [{"phone_number": number, "record": None}]
    await api.missive(incoming(number, "START", api.clock.now, sid="SM-late"))
    assert await api.value("SELECT count(*) FROM opt_outs") == 0
