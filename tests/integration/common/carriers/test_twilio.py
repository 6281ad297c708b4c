"""Twilio's side of the wire, as far as sending goes."""

import base64
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.carriers import error_codes
from libs.common.carriers.outcomes import Accepted, Deferred, Refused, Unknown
from tests.support.carrier_samples import FROM, SID, TO, create_twilio, send, twilio_error
from tests.support.loopback import Loopback, Received, answer

ACCEPTED = answer(201, {"sid": "SM1", "status": "queued"})


def form_of(request: Received) -> dict[str, list[str]]:
    return parse_qs(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


async def test_a_message_is_a_form() -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url))
    request = server.received[0]
    assert (request.method, request.target, form_of(request)) == (
        "POST",
        f"/2010-04-01/Accounts/{SID}/Messages.json",
        {"To": [TO], "From": [FROM], "Body": ["Hello"]},
    )


async def test_the_account_signs_in_with_its_token() -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url))
    scheme, _, credentials = server.received[0].headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials)) == ("Basic", f"{SID}:secret-token".encode())


async def test_status_reports_are_asked_for_where_there_is_an_address_for_them() -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url, status_callback="https://us.example/webhooks/twilio/status"))
    assert form_of(server.received[0])["StatusCallback"] == ["https://us.example/webhooks/twilio/status"]


@pytest.mark.parametrize(("valid_for", "sent"), [(None, None), (90, ["90"]), (0, ["1"]), (90_000, ["36000"])])
async def test_how_long_it_may_wait_in_the_queue_is_said_where_it_matters(
    valid_for: int | None, sent: list[str] | None
) -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url), valid_for=valid_for)
    assert form_of(server.received[0]).get("ValidityPeriod") == sent


@pytest.mark.parametrize("body", ['it\'s "x" \\ 100 % {} $$ a+b=c&d', "line\nline\r\n\ttab", "👩‍👩‍👧 é é \u202e", "�"])
async def test_a_message_arrives_byte_for_byte(body: str) -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url), body=body)
    assert form_of(server.received[0])["Body"] == [body]


@settings(max_examples=30)
@given(body=st.text())
async def test_any_message_arrives_byte_for_byte(body: str) -> None:
    async with Loopback(ACCEPTED) as server:
        await send(create_twilio(server.url), body=body)
    assert form_of(server.received[0])["Body"] == [body]


async def test_a_status_is_kept_in_small_letters() -> None:
    async with Loopback(answer(201, {"sid": "SM1", "status": "Queued"})) as server:
        assert await send(create_twilio(server.url)) == Accepted(twilio_id="SM1", twilio_status="queued")


async def test_the_sid_and_the_status_are_kept() -> None:
    async with Loopback(ACCEPTED) as server:
        assert await send(create_twilio(server.url)) == Accepted(twilio_id="SM1", twilio_status="queued")


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, 21211, Refused),
        (400, 21214, Refused),
        (403, 21408, Refused),
        (400, 21608, Refused),
        (400, 21610, Refused),
        (400, 21612, Refused),
        (400, 21614, Refused),
        (400, 99999, Refused),
        (400, 21606, Deferred),
        (400, 21617, Deferred),
        (401, 20003, Deferred),
        (429, 20429, Deferred),
        (429, 21611, Deferred),
        (429, 63038, Deferred),
        (400, 21611, Deferred),
        (429, 99999, Deferred),
        (401, 99999, Deferred),
        (503, 20429, Deferred),
    ],
)
async def test_a_refusal_goes_by_its_code_and_then_by_its_status(
    status: int, code: int, outcome: type[Refused | Deferred]
) -> None:
    async with Loopback(answer(status, {"code": code, "message": f"not to {TO}", "status": status})) as server:
        result = await send(create_twilio(server.url))
    assert isinstance(result, outcome)
    assert result.code == str(code)


@pytest.mark.parametrize("code", [20500, 99999, None, True, "21211", -1])
async def test_an_error_of_twilios_own_is_unknown(code: object) -> None:
    async with Loopback(answer(500, {**twilio_error(500), "code": code})) as server:
        assert isinstance(await send(create_twilio(server.url)), Unknown)


async def test_an_opt_out_at_the_carrier_can_be_told_from_the_outcome() -> None:
    async with Loopback(answer(400, twilio_error(400, 21610))) as server:
        result = await send(create_twilio(server.url))
    assert isinstance(result, Refused)
    assert error_codes.classify(result.code).kind is error_codes.ErrorAction.OPT_OUT
