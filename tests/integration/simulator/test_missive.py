import asyncio
import hmac

import pytest

from libs.common.carriers.missive import Missive
from libs.common.carriers.outcomes import Accepted, Refused
from tests.integration.simulator.running import (
    ALICE,
    BOB,
    CAROL,
    FROM,
    SECRET,
    TOKEN,
    application,
    eventually,
    simulator,
)


async def test_a_message_is_accepted_with_an_id_and_its_conversation() -> None:
    async with simulator() as sim:
        first, second = await sim.missive(body="one"), await sim.missive(body="two")
    assert first.status_code == 201
    assert first.json()["drafts"]["id"] != second.json()["drafts"]["id"]
    assert first.json()["drafts"]["conversation"] == second.json()["drafts"]["conversation"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
async def test_a_wrong_token_is_401(header: dict[str, str]) -> None:
    async with simulator() as sim:
        response = await sim.http.post("/v1/drafts", json={}, headers=header)
        assert response.status_code == 401
        assert (await sim.control("GET", "/ledger"))["totals"]["accepted"] == 0


async def test_a_token_tells_its_organizations() -> None:
    async with simulator() as sim:
        answer = await sim.http.get("/v1/organizations", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.json()["organizations"][0]["name"]
        assert (await sim.http.get("/v1/organizations")).status_code == 401


@pytest.mark.parametrize(
    "draft",
    [
        {},
        {"body": "x", "from_field": {"phone_number": FROM}, "to_fields": []},
        {"body": "x", "from_field": {"phone_number": "x"}, "to_fields": [{"phone_number": ALICE}]},
        {"body": "x", "from_field": {"phone_number": FROM}, "to_fields": [{"phone_number": "3135550101"}]},
        {"body": " ", "from_field": {"phone_number": FROM}, "to_fields": [{"phone_number": ALICE}]},
    ],
)
async def test_a_draft_that_makes_no_sense_is_400(draft: object) -> None:
    async with simulator() as sim:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = await sim.http.post("/v1/drafts", json={"drafts": draft}, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["message"]


async def test_a_number_that_is_none_is_refused_at_once() -> None:
    async with simulator(plan={"numbers": {ALICE: "invalid"}}) as sim:
        assert (await sim.missive()).status_code == 400
        assert (await sim.control("GET", "/ledger"))["totals"]["refused"] == {"missive_400": 1}


async def test_the_sid_of_a_message_is_null_until_twilio_has_it() -> None:
    async with simulator(plan={"hand_over_delay": [0.2, 0.2]}) as sim:
        missive_id = (await sim.missive()).json()["drafts"]["id"]
        before = (await sim.message(missive_id)).json()["messages"]
        assert await sim.logged_bodies() == []
        await eventually(lambda: sim.network.ledger.messages[0].sid is not None)
        after = (await sim.message(missive_id)).json()["messages"]
        logged = (await sim.log()).json()["messages"]
    assert before["external_id"] is None
    assert after["external_id"] == logged[0]["sid"]
    assert after["id"] == missive_id


async def test_several_messages_are_read_at_once_and_an_unknown_one_is_404() -> None:
    async with simulator() as sim:
        ids = [(await sim.missive(to)).json()["drafts"]["id"] for to in (ALICE, BOB)]
        several = (await sim.message(",".join([*ids, "unknown"]))).json()["messages"]
        assert [message["id"] for message in several] == ids
        assert (await sim.message("unknown")).status_code == 404


async def test_a_lost_message_is_accepted_and_never_handed_over() -> None:
    async with simulator(plan={"never_handed_over": 1.0}) as sim:
        missive_id = (await sim.missive()).json()["drafts"]["id"]
        assert (await sim.message(missive_id)).json()["messages"]["external_id"] is None
        assert await sim.logged_bodies() == []
        totals = (await sim.control("GET", "/ledger"))["totals"]
    assert totals["accepted"] == totals["never_handed_over"] == 1


async def test_more_requests_than_a_window_allows_are_429_with_the_wait_and_are_counted() -> None:
    async with simulator(limits={"windows": [[2, 3.0], [10, 900.0]]}) as sim:
        passed = [await sim.missive(), await sim.message("unknown")]
        refused = await sim.missive()
        totals = (await sim.control("GET", "/requests"))["totals"]
        await asyncio.sleep(3.05)
        later = await sim.missive()
    assert [response.headers["X-RateLimit-Remaining"] for response in passed] == ["1", "0"]
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] in ("1", "2", "3")
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert int(refused.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert totals["violations"] == 1
    assert later.status_code == 201


async def test_a_sixth_request_at_once_is_429() -> None:
    async with simulator() as sim:
        await sim.control("POST", "/faults", {"kind": "slow", "seconds": 2.0})
        responses = await asyncio.gather(*(sim.missive(f"+1313555020{n}") for n in range(6)))
        report = await sim.control("GET", "/requests?kind=missive_send")
    assert sorted(response.status_code for response in responses) == [201] * 5 + [429]
    assert report["totals"]["peak"]["concurrent"] == 6
    assert report["totals"]["violations"] == 1


async def test_a_reply_comes_with_missives_rule_and_its_signature() -> None:
    async with application() as app, simulator(plan={"numbers": {ALICE: "reply"}, "reply_via": "missive"}) as sim:
        await sim.control("PUT", "/config", {"missive_webhook_url": app.url + "/webhooks/missive"})
        await sim.missive()
        await eventually(lambda: len(app.received) == 1)
        webhook = app.received[0]
        reply = (await sim.control("GET", "/ledger"))["inbound"][0]
    assert webhook.headers["x-hook-signature"] == (
        "sha256=" + hmac.new(SECRET.encode(), webhook.body, "sha256").hexdigest()
    )
    assert webhook.content["rule"]["type"] == "incoming_sms_message"
    message = webhook.content["message"]
    assert message["type"] == "sms"
    assert (message["from_field"]["phone_number"], message["to_fields"][0]["phone_number"]) == (ALICE, FROM)
    assert (message["preview"], message["external_id"]) == (" ".join(reply["body"].split()), reply["sid"])


async def test_a_rule_tells_the_beginning_of_a_reply_alone_and_the_message_has_all_of_it() -> None:
    words = "I have a question.\nMy landlord " + "won't fix the heating, and " * 10 + "what now?"
    async with application() as app, simulator(plan={"reply_via": "missive"}, missive_preview=40) as sim:
        await sim.control("PUT", "/config", {"missive_webhook_url": app.url + "/webhooks/missive"})
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": words})
        await eventually(lambda: len(app.received) == 1)
        told = app.received[0].content["message"]
        message = (await sim.message(told["id"])).json()["messages"]
    assert "body" not in told
    assert told["preview"] == "I have a question. My landlord won't fi…"
    assert (message["body"], message["preview"], message["type"]) == (words, told["preview"], "sms")


async def test_a_handset_answers_the_first_message_of_a_conversation_only() -> None:
    async with simulator(plan={"numbers": {ALICE: "reply"}}) as sim:
        await sim.missive(body="one")
        await sim.missive(body="two")
        await sim.missive(CAROL)
        inbound = (await sim.control("GET", "/ledger"))["inbound"]
    assert [reply["from"] for reply in inbound] == [ALICE]


async def test_a_message_to_somebody_who_said_stop_is_taken_and_there_is_no_word_of_it_afterwards() -> None:
    async with simulator() as sim:
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": " stop "})
        sent = await sim.missive(ALICE)
        assert sent.status_code == 201
        message = (await sim.message(sent.json()["drafts"]["id"])).json()["messages"]
        ledger = await sim.control("GET", "/ledger")
        assert await sim.logged_bodies(To=ALICE) == []
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "START"})
        await sim.missive(ALICE, "again")
        assert await sim.logged_bodies(To=ALICE) == ["again"]
    assert message["external_id"] is None
    [message] = ledger["messages"]
    assert (message["sid"], message["status"], message["error_code"]) == (None, "never_handed_over", 21610)
    assert message["after_stop"]
    assert ledger["totals"]["after_stop"] == ledger["totals"]["never_handed_over"] == 1


async def test_a_draft_may_have_labels_of_its_organization_alone() -> None:
    async with simulator(missive_labels={"l-1": "campaign"}) as sim:
        for organization, label, expected in (("o", "l-1", Accepted), ("", "l-1", Refused), ("o", "x", Refused)):
            carrier = Missive(base_url=sim.url, token=TOKEN, organization=organization, labels=(label,))
            outcome = await carrier.send(to=ALICE, from_number=FROM, body="Hello", may_still_send=lambda: True)
            await carrier.aclose()
            assert isinstance(outcome, expected)
        listed = await sim.http.get("/v1/conversations?shared_label=l-1", headers={"Authorization": f"Bearer {TOKEN}"})
    [conversation] = listed.json()["conversations"]
    assert conversation["shared_labels"] == [{"id": "l-1", "name": "campaign"}]


async def test_labels_that_staff_put_on_are_told_by_the_rule() -> None:
    async with application() as app, simulator(missive_labels={"l-1": "vip"}) as sim:
        await sim.control("PUT", "/config", {"missive_webhook_url": app.url + "/webhooks/missive"})
        await sim.control("PUT", "/labels", {"from": ALICE, "to": FROM, "labels": ["l-1"]})
        await eventually(lambda: len(app.received) == 1)
    payload = app.received[0].content
    assert payload["rule"]["type"] == "label_change"
    assert [label["name"] for label in payload["conversation"]["shared_labels"]] == ["vip"]
