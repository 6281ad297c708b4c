"""Missive's side of the wire."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.outcomes import Accepted, Unknown
from tests.support import loopback
from tests.support.carrier_samples import FROM, TO, create_missive, failing, missive_error, send
from tests.support.loopback import Loopback, answer

ACCEPTED = answer(201, {"drafts": {"id": "d1", "conversation": "c1"}})


async def test_a_message_is_a_draft_that_is_sent_at_once() -> None:
    """Fault 22: an empty list of labels threw before every send. Nothing is sent that is not needed."""
    async with Loopback(ACCEPTED) as server:
        await send(create_missive(server.url))
    request = server.received[0]
    assert (request.method, request.target, request.headers["authorization"], request.json) == (
        "POST",
        "/v1/drafts",
        "Bearer secret-token",
        {
            "drafts": {
                "body": "Hello",
                "from_field": {"phone_number": FROM, "type": "twilio"},
                "to_fields": [{"phone_number": TO}],
                "send": True,
            }
        },
    )


@pytest.mark.parametrize("body", ['it\'s "x" \\ 100 % {} $$ <b>&amp;', "line\nline\r\n\ttab", "👩‍👩‍👧 é é \u202e", "�"])
async def test_a_message_arrives_byte_for_byte(body: str) -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_missive(server.url), body=body)
    assert server.received[0].json["drafts"]["body"] == body


@settings(max_examples=30)
@given(body=st.text())
async def test_any_message_arrives_byte_for_byte(body: str) -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_missive(server.url), body=body)
    assert server.received[0].json["drafts"]["body"] == body


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        ({"drafts": {"id": "d1", "conversation": "c1"}}, Accepted(missive_id="d1", missive_conversation_id="c1")),
        (
            {"drafts": {"id": "d1", "conversation": {"id": "c1"}}},
            Accepted(missive_id="d1", missive_conversation_id="c1"),
        ),
        ({"drafts": {"id": "d1"}}, Accepted(missive_id="d1")),
        ({"drafts": {"id": "d1", "conversation": 7}}, Accepted(missive_id="d1")),
        ({"drafts": {"id": 7}}, Unknown(reason="unreadable_answer")),
        ({"drafts": []}, Unknown(reason="unreadable_answer")),
        ([], Unknown(reason="unreadable_answer")),
    ],
)
async def test_the_ids_in_the_answer_are_kept(content: object, outcome: object) -> None:
    async with Loopback(answer(201, content)) as server:
        assert await send(create_missive(server.url)) == outcome


async def test_an_empty_201_is_a_success_without_ids() -> None:
    async with Loopback(answer(201)) as server:
        assert await send(create_missive(server.url)) == Accepted()


async def test_the_external_id_of_a_message_is_twilios_sid() -> None:
    async with Loopback(answer(200, {"messages": {"id": "m1", "external_id": "SM1"}})) as server:
        missive = create_missive(server.url)
        assert await missive.external_id("m1") == "SM1"
        await missive.aclose()


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(200, {"messages": {"id": "m1"}}),
        answer(200, {"messages": {"id": "m1", "external_id": None}}),
        answer(200, {"messages": {"id": "another", "external_id": "SM2"}}),
        answer(404, missive_error(404)),
    ],
)
async def test_a_message_without_an_external_id_has_none(behaviour: loopback.Behaviour) -> None:
    async with Loopback(behaviour) as server:
        missive = create_missive(server.url)
        assert await missive.external_id("m1") is None
        await missive.aclose()


async def test_several_messages_are_read_in_one_request() -> None:
    messages = [{"id": "m2", "external_id": "SM2"}, {"id": "m1", "external_id": "SM1"}]
    async with Loopback(answer(200, {"messages": messages})) as server:
        missive = create_missive(server.url)
        found = await missive.external_ids(["m1", "m2", "m3"])
        await missive.aclose()
    assert (server.received[0].target, found) == ("/v1/messages/m1,m2,m3", {"m1": "SM1", "m2": "SM2"})


async def test_no_messages_are_read_without_a_request() -> None:
    missive = create_missive("http://127.0.0.1:9")
    assert await missive.external_ids([]) == {}
    await missive.aclose()


async def test_an_id_cannot_lead_to_another_address() -> None:
    async with Loopback(answer(200, {"messages": []})) as server:
        missive = create_missive(server.url)
        await missive.external_id("../drafts?send=1")
        await missive.aclose()
    assert server.received[0].target == "/v1/messages/..%2Fdrafts%3Fsend%3D1"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer(500, missive_error(500)), "http_500"),
        (answer(401, missive_error(401)), "http_401"),
        (answer(429, missive_error(429)), "http_429"),
        (answer(404), "gateway_404"),
        (answer(404, b"<html>", {"Content-Type": "text/html"}), "gateway_404"),
        (answer(404, {"message": "no Route matched"}), "gateway_404"),
        (answer(502, b"<html>"), "gateway_502"),
        (answer(200, b"<html>"), "unreadable"),
        (answer(200, b'{"messages": {"id": "m1"}}', {"Content-Type": "text/html"}), "unreadable"),
        (answer(200, b'{"messages": {"id": "m1"', {"Content-Type": "application/json"}), "unreadable"),
        (answer(200, {"error": "?"}), "unreadable"),
        (answer(200, {"messages": "none"}), "unreadable"),
        (loopback.never_answer, "no_answer"),
        (loopback.drip, "no_answer"),
        (loopback.cut_after_reading, "no_answer"),
    ],
)
async def test_an_answer_that_cannot_be_read_raises(behaviour: loopback.Behaviour, code: str) -> None:
    async with Loopback(behaviour) as server:
        missive = create_missive(server.url, timeout=1.0 if code == "no_answer" else 30.0)
        with pytest.raises(CarrierUnreadable) as caught:
            await missive.external_id("m1")
        await missive.aclose()
    assert caught.value.code == code


async def test_a_provider_error_stays_behind_as_the_cause() -> None:
    async with failing(OSError("no route")) as client:
        with pytest.raises(CarrierUnreadable) as caught:
            await create_missive("http://carrier", client=client).external_id("m1")
    assert isinstance(caught.value.__cause__, OSError)


async def test_too_many_reads_tell_for_how_long_to_wait() -> None:
    async with Loopback(answer(429, json.dumps({}).encode(), {"Retry-After": "9"})) as server:
        missive = create_missive(server.url)
        with pytest.raises(CarrierUnreadable) as caught:
            await missive.external_id("m1")
        await missive.aclose()
    assert caught.value.retry_after == 9


async def test_a_read_without_a_slot_is_not_made() -> None:
    async def ready() -> bool:
        return False

    async with Loopback(answer(200, {"messages": []})) as server:
        missive = create_missive(server.url)
        with pytest.raises(CarrierUnreadable) as caught:
            await missive.external_ids(["m1"], ready=ready)
        await missive.aclose()
        assert (caught.value.code, server.bytes_received) == ("not_started", 0)
