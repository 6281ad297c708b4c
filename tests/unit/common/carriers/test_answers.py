"""Whose word an answer is: the carrier's own, or that of somebody in between."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.carriers import answers, missive, twilio
from libs.common.carriers.error_codes import ErrorAction, classify
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from tests.support.carrier_samples import missive_error, twilio_error

HTML = b"<html><head><title>400 Bad Request</title></head><body><center>nginx</center></body></html>"
JSON = {"Content-Type": "application/json"}

#: What proxies, gateways and firewalls are known to answer.
IN_BETWEEN: dict[str, tuple[bytes, Mapping[str, str]]] = {
    "nothing": (b"", {}),
    "nginx": (HTML, {"Content-Type": "text/html"}),
    "a page that is declared as JSON": (HTML, JSON),
    "AWS API Gateway": (b'{"message":"Forbidden"}', JSON),
    "Kong": (b'{"message":"no Route matched with those values"}', JSON),
    "Tyk": (b'{"error":"Authorization field missing"}', JSON),
    "Azure": (b'{"statusCode":401,"message":"Access denied due to invalid subscription key."}', JSON),
    "Spring": (b'{"timestamp":"2026-01-01T00:00:00Z","status":400,"error":"Bad Request","path":"/v1/drafts"}', JSON),
    "Google": (b'{"code":400,"message":"Method does not exist","status":400}', JSON),
    "a string": (b'"Bad Request"', JSON),
    "an array": (b'[{"error":{"message":"no"},"code":21211,"message":"no","status":400}]', JSON),
    "half an error": (b'{"error":{"message":"no"},"code":21211,"message":"n', JSON),
    "an error declared as a page": (
        b'{"error":{"message":"no"},"code":21211,"message":"no","status":400}', {"Content-Type": "text/html"}
    ),
    "an error with nothing declared": (b'{"error":{"message":"no"},"code":21211,"message":"no","status":400}', {}),
}  # fmt: skip


def response(status: int, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(status, content=body, headers=dict(headers))


def outcomes(of: httpx.Response) -> list[Outcome]:
    """Return what either carrier's client makes of an answer."""
    return [missive._outcome(of), twilio._outcome(of)]


@pytest.mark.parametrize("name", IN_BETWEEN)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 408, 409, 413, 414, 418, 422, 429, 451, 499])
def test_a_gateways_answer_is_never_taken_for_the_carriers_final_refusal(name: str, status: int) -> None:
    """Fault 42: a gateway's HTML 400 refused 8 of 60 people for good."""
    for outcome in outcomes(response(status, *IN_BETWEEN[name])):
        assert not isinstance(outcome, Refused | Accepted)
        code = outcome.code if isinstance(outcome, Deferred) else outcome.reason
        assert code == f"gateway_{status}"
        # Nobody is paused for it, and no message loses an attempt: everybody waits.
        assert classify(code).kind is ErrorAction.WAIT


@pytest.mark.parametrize("name", IN_BETWEEN)
@pytest.mark.parametrize(
    ("status", "kind"), [(407, Deferred), (404, Deferred), (429, Deferred), (400, Unknown), (403, Unknown)]
)
def test_what_a_gateway_may_have_passed_on_is_unknown_and_what_it_has_not_is_deferred(
    name: str, status: int, kind: type[Deferred | Unknown]
) -> None:
    assert {type(outcome) for outcome in outcomes(response(status, *IN_BETWEEN[name]))} == {kind}


@pytest.mark.parametrize("name", IN_BETWEEN)
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_that_is_not_the_carriers_is_unknown(name: str, status: int) -> None:
    empty_201 = Accepted() if (name, status) == ("nothing", 201) else Unknown(reason="unreadable_answer")
    assert outcomes(response(status, *IN_BETWEEN[name])) == [empty_201, Unknown(reason="unreadable_answer")]


def test_the_wait_that_a_gateway_asks_for_is_kept() -> None:
    for status in (429, 503):
        for outcome in outcomes(response(status, HTML, {"Retry-After": "17"})):
            assert isinstance(outcome, Deferred | Unknown)
            assert outcome.retry_after == 17


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (422, Refused), (401, Deferred), (404, Deferred)])
def test_an_error_of_missives_own_goes_by_its_status(status: int, kind: type[Refused | Deferred]) -> None:
    outcome = missive._outcome(response(status, json.dumps(missive_error(status)).encode(), JSON))
    assert isinstance(outcome, kind)
    assert outcome.code == f"http_{status}"


@pytest.mark.parametrize(
    "change",
    [{"code": 400}, {"code": "21211"}, {"code": None}, {"code": 13135550111}, {"status": 200}, {"message": 7}],
    ids=str,
)
def test_an_error_that_differs_from_twilios_is_not_twilios(change: dict[str, Any]) -> None:
    body = json.dumps({**twilio_error(400), **change}).encode()
    assert twilio.own_code(response(400, json.dumps(twilio_error(400)).encode(), JSON)) == "21211"
    assert twilio.own_code(response(400, body, JSON)) is None


def test_twilios_newer_form_of_an_error_is_twilios_too() -> None:
    body = {"type": "https://www.twilio.com/docs/api/errors/21211", "title": "Invalid", "status": 400, "code": 21211}
    assert twilio.own_code(response(400, json.dumps(body).encode(), {"Content-Type": "application/problem+json"}))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([21211, 21610, 400, "no"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "status", "sid", "drafts", "id"]), inner)
    ),
    max_leaves=8,
)
_BODIES = st.binary(max_size=40) | _VALUES.map(lambda value: json.dumps(value).encode())
_TYPES = st.sampled_from(["application/json", "application/json; charset=utf-8", "text/html", "", "APPLICATION/JSON"])


@settings(max_examples=600)
@given(status=st.integers(200, 599), body=_BODIES, declared=_TYPES)
def test_nobody_is_refused_for_good_unless_the_carriers_own_error_says_so(
    status: int, body: bytes, declared: str
) -> None:
    given_ = response(status, body, {"Content-Type": declared} if declared else {})
    content = answers.json_object(given_) or {}
    by_missive, by_twilio = outcomes(given_)
    if isinstance(by_missive, Refused):
        assert isinstance(content["error"]["message"], str)
        assert 400 <= status < 500
    if isinstance(by_twilio, Refused):
        assert by_twilio.code == str(content["code"])
        assert content["message"]
        assert content.get("status", status) == status
    if isinstance(by_missive, Accepted):
        assert 200 <= status < 300
    if isinstance(by_twilio, Accepted):
        assert by_twilio.twilio_id == content["sid"]
