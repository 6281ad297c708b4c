"""Finding replies, handing them to colleagues, exporting and answering them."""

from uuid import uuid4

import pytest

from services.api.replies import queries
from tests.integration.api.support import OTHER_FROM, Api, incoming
from tests.integration.api.test_replies import BY, decide, listed, wrote


async def user(api: Api, name: str = "Ben Ode") -> int:
    return int(
        await api.value(
            "INSERT INTO users (email, name, role) VALUES (%s, %s, 'editor') RETURNING id",
            f"{uuid4()}@example.org",
            name,
        )
    )


async def answered(api: Api) -> tuple[int, int, int]:
    """Have a reply to the first message, one after the follow-up, and one to nothing; return their ids."""
    broadcast = await api.made(2)
    await api.sent(broadcast)
    one, two = await api.column("SELECT phone_number FROM contacts ORDER BY id")
    api.clock.forward(seconds=30)
    first = await wrote(api, one, "Yes, I do: 100% sure")
    await api.sent(broadcast, is_second=True)
    api.clock.forward(seconds=30)
    second = await wrote(api, two, "Which bridge_house?")
    return first, second, await wrote(api, "+13135559876", "Hello")


async def test_replies_are_found_by_phase_and_by_segment(api: Api) -> None:
    first, second, _stranger = await answered(api)
    segment = await api.value("SELECT id FROM audience_segments")
    assert await listed(api, phase="first") == [first]
    assert await listed(api, phase="second") == [second]
    assert await listed(api, segment=segment) == [second, first]
    assert await listed(api, segment=segment + 1) == []
    shown = (await api.get(f"/replies/{second}")).json()
    assert (shown["is_second"], shown["segment_id"]) == (True, segment)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("BRIDGE", [1]), ("100%", [0]), ("bridge_h", [1]), ("bridgexh", []), ("+1 313 555 9876", [2]), ("5559876", [2]),
        ("Ann", [0]), ("le\u0301gare\u0301", [0]), ("\\", []), ("'", []),
    ],
)  # fmt: skip
async def test_replies_are_found_by_words_name_and_number(api: Api, search: str, found: list[int]) -> None:
    ids = await answered(api)
    await api.query("UPDATE contacts SET name = 'Ann Légaré' WHERE id = (SELECT min(id) FROM contacts)")
    assert await listed(api, search=search) == [ids[each] for each in found]


async def test_a_search_looks_at_some_replies_at_once_and_goes_on_behind_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKED_AT", 2)
    ids = [await wrote(api, "+13135550142", body) for body in ("needle", "a", "b", "c", "needle")]
    seen: list[int] = []
    sizes: list[int] = []
    cursor: str | None = "9" * 18
    while cursor is not None:
        page = (await api.get("/replies", params={"search": "needle", "cursor": cursor})).json()
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        cursor = page["next_cursor"]
    assert seen == [ids[4], ids[0]]
    assert sizes == [1, 0, 1]


async def test_a_reply_is_handed_to_a_colleague_done_and_opened_again(api: Api) -> None:
    reply, other = await wrote(api, "+13135550142", "Hello"), await wrote(api, "+13135550143", "Hi")
    ben = await user(api)
    status, shown = await decide(api, reply, "assign", {**BY, "user_id": ben})
    assert (status, shown["assigned_to"], shown["assigned_to_name"], shown["assigned_by"]) == (
        200, ben, "Ben Ode", "Ana Diaz",
    )  # fmt: skip
    assert await listed(api, assigned_to=ben) == [reply]
    status, shown = await decide(api, reply, "done")
    assert (status, shown["done_by"], shown["read_by"]) == (200, "Ana Diaz", "Ana Diaz")
    assert (await listed(api, done=True), await listed(api, done=False)) == ([reply], [other])
    assert (await decide(api, reply, "reopen"))[1]["done_at"] is None
    assert (await decide(api, reply, "assign", {**BY, "user_id": None}))[1]["assigned_to"] is None
    kinds = await api.column("SELECT type FROM events WHERE stream = %s ORDER BY version", f"reply-{reply}")
    assert kinds == ["ReplyAssigned", "ReplyDone", "ReplyReopened", "ReplyAssigned"]
    assert (await decide(api, reply, "assign", {**BY, "user_id": 10**6}))[0] == 409
    await api.query("UPDATE users SET role = 'viewer' WHERE id = %s", ben)
    assert (await decide(api, reply, "assign", {**BY, "user_id": ben}))[0] == 409  # who could do nothing about it


async def test_an_export_has_no_number_unless_it_is_asked_for_and_no_formula(api: Api) -> None:
    number = await api.contact(name="=cmd()")
    await wrote(api, number, "=HYPERLINK(1)")
    without = await api.get("/replies/export.csv")
    assert without.headers["content-disposition"] == 'attachment; filename="replies.csv"'
    assert "'=HYPERLINK(1)" in without.text
    assert number not in without.text
    assert "cmd" not in without.text
    with_numbers = (await api.get("/replies/export-with-numbers.csv")).text
    assert number in with_numbers
    assert "'=cmd()" in with_numbers
    assert len((await api.get("/replies/export.csv", params={"search": "nothing"})).text.splitlines()) == 1


async def test_who_may_only_read_exports_no_numbers(api: Api) -> None:
    made = (await api.post("/keys", {"name": "reader", "scopes": ["read"]})).json()
    headers = {"Authorization": f"Bearer {made['secret']}"}
    assert (await api.get("/replies/export.csv", headers=headers)).status_code == 200
    assert (await api.get("/replies/export-with-numbers.csv", headers=headers)).status_code == 403


async def test_the_conversation_in_missive_is_known_from_the_webhook_or_from_what_was_sent(api: Api) -> None:
    told = incoming("+13135550142", "Hello", api.clock.now, sid="SM-told")
    told["conversation"] = {"id": "c-1"}
    await api.missive(told)
    broadcast = await api.made(1)
    await api.sent(broadcast)
    await api.query("UPDATE broadcast_sent_message_status SET missive_conversation_id = 'c/2'")
    api.clock.forward(seconds=30)
    await wrote(
        api, str(await api.value("SELECT phone_number FROM contacts WHERE phone_number <> '+13135550142'")), "Hi"
    )
    urls = [item["missive_url"] for item in (await api.get("/replies")).json()["items"]]
    assert urls == [f"https://mail.missiveapp.com/#inbox/conversations/{each}" for each in ("c%2F2", "c-1")]


async def test_an_answer_is_put_on_record_once(by_twilio: Api) -> None:
    api = by_twilio
    first, _, _ = await answered(api)
    body = {**BY, "body": "Thank you"}
    answers = [await api.post(f"/replies/{first}/answer", body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    [row] = await api.query("SELECT body, state, reply_id, asked_by, purpose FROM single_messages")
    assert (row["body"], row["state"], row["reply_id"], row["purpose"]) == ("Thank you", "pending", first, "answer")
    assert row["asked_by"].startswith("key:")
    [shown] = (await api.get(f"/replies/{first}/answers")).json()
    assert (shown["body"], shown["outcome"]) == ("Thank you", "Not sent yet")
    assert await api.value("SELECT read_by FROM replies WHERE id = %s", first) == "Ana Diaz"


async def test_nobody_is_answered_who_opted_out_or_may_have(by_twilio: Api) -> None:
    api = by_twilio
    out = await wrote(api, "+13135550142", "STOP")
    likely = await wrote(api, "+13135550143", "who is this, take me off")
    for reply in (out, likely):
        assert (await decide(api, reply, "answer", {**BY, "body": "Hello"}))[0] == 409
    assert (await decide(api, out, "opt-in"))[1]["opted_out"] is False
    assert (await decide(api, out, "answer", {**BY, "body": "Hello"}))[0] == 202


async def test_where_missive_carries_the_texts_one_answers_there(api: Api) -> None:
    reply = await wrote(api, "+13135550142", "Hello")
    status, problem = await decide(api, reply, "answer", {**BY, "body": "Hello"})
    assert status == 409
    assert "Missive" in problem["detail"]


@pytest.mark.parametrize("by", ["missive", "twilio"])
async def test_an_answer_leaves_from_the_number_that_was_written_to_if_that_sends_by_twilio(api: Api, by: str) -> None:
    broadcast = await api.made(1)  # from our usual number, through Missive
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    person = await api.value("SELECT phone_number FROM contacts")
    if by == "twilio":
        told = {"From": person, "To": OTHER_FROM, "Body": "Hello", "MessageSid": "SM1"}
        assert (await api.twilio("/webhooks/twilio/sms", told)).status_code == 200
    else:
        payload = incoming(person, "Hello", api.clock.now)
        payload["message"]["to_fields"] = [{"phone_number": OTHER_FROM}]
        assert (await api.missive(payload)).status_code == 200
    [reply] = (await api.get("/replies")).json()["items"]
    assert (reply["broadcast_id"], reply["written_to"]) == (broadcast, OTHER_FROM)
    assert (await decide(api, reply["id"], "answer", {**BY, "body": "Hi"}))[0] == 409  # which sends by Missive, too
    await api.get("/numbers")
    await api.query("UPDATE sending_numbers SET carrier = 'twilio' WHERE phone_number = %s", OTHER_FROM)
    assert (await decide(api, reply["id"], "answer", {**BY, "body": "Hi"}))[0] == 202
    sent_from = "SELECT n.phone_number FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id"
    assert await api.column(sent_from) == [OTHER_FROM]


async def test_a_delivery_report_is_recorded_of_an_answer(by_twilio: Api) -> None:
    api = by_twilio
    reply = await wrote(api, "+13135550142", "Hello")
    await decide(api, reply, "answer", {**BY, "body": "Hello"})
    sid = "SM" + "a" * 32
    await api.query(
        "UPDATE single_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s, twilio_id = %s",
        api.clock.now, sid,
    )  # fmt: skip
    answer = await api.twilio("/webhooks/twilio/status", {"MessageSid": sid, "MessageStatus": "delivered"})
    assert answer.status_code == 204
    [shown] = (await api.get(f"/replies/{reply}/answers")).json()
    assert shown["outcome"] == "Delivered"
