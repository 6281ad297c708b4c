"""HTTP itself: methods, kinds of bodies, ids in paths, slashes at their end."""

import asyncio

import httpx
import pytest
from twilio.request_validator import RequestValidator

from tests.integration.api import support
from tests.integration.api.support import Api, incoming, wish

JSON = {"Content-Type": "application/json"}
GETS = ("/health/live", "/health/ready", "/metrics", "/schema/openapi.json", "/broadcasts", "/segments", "/contacts")


async def test_head_answers_wherever_get_does_without_a_body(api: Api) -> None:
    broadcast = await api.made(contacts=1)
    paths = [f"/broadcasts/{broadcast}{part}" for part in ("", "/messages", "/events", "/report", "/report.csv")]
    for path in (*GETS, *paths, "/nothing", "/broadcasts/0"):
        got, head = await api.get(path), await api.client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.get("content-type") == got.headers.get("content-type"), path


async def test_head_of_a_stream_ends(api: Api) -> None:
    broadcast = await api.broadcast()
    head = await asyncio.wait_for(api.client.head(f"/broadcasts/{broadcast}/stream"), 90)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_head_needs_the_key_that_get_needs(api: Api) -> None:
    assert (await api.client.head("/contacts", headers={"Authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/broadcasts", "GET, HEAD, OPTIONS, POST"),
        ("/broadcasts/1", "GET, HEAD, OPTIONS, PATCH"),
        ("/make", "OPTIONS, POST"),
        ("/contacts", "DELETE, GET, HEAD, OPTIONS"),
        ("/webhooks/missive", "OPTIONS, POST"),
    ],
)
async def test_allow_names_every_method_and_options_needs_no_key(api: Api, path: str, methods: str) -> None:
    options = await api.client.options(path, headers={"Authorization": ""})
    assert (options.status_code, options.headers["allow"]) == (204, methods)
    put = await api.client.put(path)
    assert (put.status_code, put.headers["allow"]) == (405, methods)
    assert put.json()["detail"] == f"the methods are {methods}"


async def test_every_method_that_allow_names_is_one(api: Api) -> None:
    for path in ("/broadcasts", "/broadcasts/1", "/make", "/contacts", "/contacts/1", "/segments", "/contacts/import"):
        allowed = (await api.client.options(path)).headers["allow"].split(", ")
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE", "PUT"):
            answer = await api.client.request(method, path, content=b"", headers={"Content-Encoding": "x"})
            assert (answer.status_code != 405) is (method in allowed), (path, method)


@pytest.mark.parametrize("given", ["1_0", "+1", "%2B1", "１", "%20", "01", "-1", "1.0", "0x1", "1e1", "x", "9" * 5000])
@pytest.mark.parametrize("path", ["/broadcasts/{}", "/broadcasts/{}/report", "/contacts/{}", "/segments/{}/preview"])
async def test_an_id_that_is_no_plain_decimal_number_is_found_nowhere(api: Api, path: str, given: str) -> None:
    await api.query("ALTER SEQUENCE broadcast_ids RESTART 10")
    await api.contact()
    assert await api.broadcast() == 10
    answer = await api.get(path.format(given))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:broadsheet:problem:not-found")


async def test_an_id_that_is_none_is_found_nowhere_behind_another_that_is_one(api: Api) -> None:
    """1_0 was taken for 10 where 10 stood elsewhere in the path."""
    for ids in (("10", "1_0"), ("1_0", "10"), ("10", "+10"), ("010", "10")):
        answer = await api.post("/broadcasts/{}/messages/{}/send-again".format(*ids), {"by": "Ann"})
        assert answer.json()["detail"] == "an id is a plain decimal number, such as 7", ids
    answer = await api.post("/broadcasts/10/messages/10/send-again", {"by": "Ann"})
    assert answer.json()["detail"] == "there is no broadcast 10"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "json", "", None]
)
async def test_a_body_of_another_kind_than_json_is_not_read(api: Api, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    for method, path in (("POST", "/broadcasts"), ("POST", "/segments"), ("PATCH", "/contacts/1")):
        answer = await api.client.request(method, path, content=b"{}", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (415, "urn:broadsheet:problem:unsupported-media-type")
        assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'])
async def test_json_by_any_spelling_is_read(api: Api, kind: str) -> None:
    answer = await api.client.post(
        "/segments", content=b'{"name": "a", "filter": {"all": []}}', headers={"Content-Type": kind}
    )
    assert answer.status_code == 201


@pytest.mark.parametrize("path", ["/broadcasts", "/contacts/import", "/webhooks/missive", "/webhooks/twilio/sms"])
async def test_a_body_with_a_coding_is_refused(api: Api, path: str) -> None:
    answer = await api.client.post(path, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_pattern_is_told_in_words(api: Api) -> None:
    for answer in (
        await api.post("/segments", {"name": "a", "filter": {"any": ["a;b"]}}),
        await api.get("/contacts", params={"tag": ";"}),
        await api.get("/contacts", params={"cursor": "x"}),
        await api.post("/broadcasts", wish(1, segments=[{"segment_id": 1, "ratio": 1, "x": 1}])),
    ):
        assert answer.status_code == 422
        assert "regex" not in answer.text
        assert "\\\\" not in answer.text


@pytest.mark.parametrize("path", ["/webhooks/twilio/sms/", "/webhooks/twilio/sms", "/webhooks/twilio/sms/?x=%41&y"])
async def test_a_webhook_is_heard_by_whatever_url_twilio_signed(api: Api, path: str) -> None:
    given = {"MessageSid": "SM" + "0" * 32, "From": "+13135550142", "To": support.FROM, "Body": "hello"}
    form = support.always_sent("/webhooks/twilio/sms", given)
    validator = RequestValidator(support.TWILIO_TOKEN)  # type: ignore[no-untyped-call]
    signature = validator.compute_signature(support.PUBLIC_URL + path, form)  # type: ignore[no-untyped-call]
    answer = await api.client.post(path, data=form, headers={"X-Twilio-Signature": signature, "Authorization": ""})
    assert answer.status_code == 200
    assert await api.value("SELECT count(*) FROM replies") == 1


async def test_missives_webhook_is_heard_with_a_slash_at_the_end(api: Api) -> None:
    answer = await api.missive(incoming("+13135550142", "hello", api.clock.now), path="/")
    assert answer.json() == {"recorded": True}


async def test_the_schemas_description_is_the_same_with_head(api: Api) -> None:
    answer: httpx.Response = await api.client.head("/schema/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
