"""Bad input: every field of every call answers a problem that names the field, and nothing has changed."""

import json
from typing import Any

import pytest

from services.api import app
from tests.integration.api.support import KEY, OTHER_KEY, Api, wish

LONG = "x" * 1601
GONE: Any = object()
JSON = {"Content-Type": "application/json"}

#: What is sent for one field of a broadcast, and the field that the problem names.
BROADCAST_FIELDS: list[tuple[str, Any, str]] = [
    ("run_at", "2026-03-04T15:00:00Z", "run_at"),
    ("run_at", "2026-03-04T10:00:00", "run_at"),
    ("run_at", "2030-01-01T00:00:00Z", "run_at"),
    ("run_at", "9999-12-31T23:59:59-23:59", "run_at"),
    ("run_at", "0001-01-01T00:00:00+14:00", "run_at"),
    ("run_at", "tomorrow", "run_at"),
    ("run_at", 1772640000, "run_at"),
    ("run_at", None, "run_at"),
    ("run_at", GONE, "run_at"),
    ("first_message", "", "first_message"),
    ("first_message", " \n\t", "first_message"),
    ("first_message", LONG, "first_message"),
    ("first_message", "a\x00b", "first_message"),
    ("first_message", 5, "first_message"),
    ("first_message", None, "first_message"),
    ("first_message", GONE, "first_message"),
    ("second_message", "", "second_message"),
    ("second_message", LONG, "second_message"),
    ("second_message", "\x00", "second_message"),
    ("second_message", ["x"], "second_message"),
    ("second_message", " \n", "second_message"),
    ("second_delay", -1, "second_delay"),
    ("second_delay", 86_401, "second_delay"),
    ("second_delay", 1.5, "second_delay"),
    ("second_delay", "600", "second_delay"),
    ("second_delay", True, "second_delay"),
    ("second_delay", None, "second_delay"),
    ("segments", None, "segments"),
    ("segments", {}, "segments"),
    ("segments", [7], "segments[0]"),
    ("segments", [{"segment_id": 1}], "segments[0].ratio"),
    ("segments", [{"ratio": 10}], "segments[0].segment_id"),
    ("segments", [{"segment_id": 1, "ratio": 0}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "ratio": -5}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "ratio": 100.5}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "ratio": "50"}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "ratio": True}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "ratio": 50}, {"segment_id": 99, "ratio": 50}], "segments[1].segment_id"),
    ("segments", [{"segment_id": 1, "ratio": 50}, {"segment_id": 1, "ratio": 50}], "segments[1].segment_id"),
    ("segments", [{"segment_id": 10**30, "ratio": 50}], "segments[0].segment_id"),
    ("segments", [{"segment_id": 0, "ratio": 50}], "segments[0].segment_id"),
    ("segments", [{"segment_id": True, "ratio": 50}], "segments[0].segment_id"),
    ("segments", [{"segment_id": 1, "ratio": 50, "name": "x"}], "segments[0].name"),
    ("segments", [{"segment_id": 1, "ratio": 60}, {"segment_id": 2, "ratio": 60}], "segments"),
    ("segments", [{"segment_id": 1, "ratio": 50, "count": 5}], "segments[0].count"),
    ("segments", [{"segment_id": 1, "count": 5, "all": True}], "segments[0].all"),
    ("segments", [{"segment_id": 1, "all": False}], "segments[0].ratio"),
    ("segments", [{"segment_id": 1, "count": 0}], "segments[0].count"),
    ("segments", [{"segment_id": 1, "count": 1.5}], "segments[0].count"),
    ("segments", [{"segment_id": 1, "all": "yes"}], "segments[0].all"),
    ("segments", [{"segment_id": 1, "count": 600}, {"segment_id": 2, "count": 401}], "segments[1].count"),
    ("segments", [{"segment_id": 1, "count": 1000}, {"segment_id": 2, "ratio": 1}], "segments[1].ratio"),
    ("exclude", [{"segment_id": 99}], "exclude[0].segment_id"),
    ("exclude", [{"segment_id": 1}], "exclude[0].segment_id"),
    ("exclude", [{"segment_id": 2}, {"segment_id": 2}], "exclude[1].segment_id"),
    ("exclude", [2], "exclude[0]"),
    ("exclude", None, "exclude"),
    ("fallback", {"segment_id": 99}, "fallback.segment_id"),
    ("fallback", {"segment_id": 1}, "fallback.segment_id"),
    ("fallback", 2, "fallback"),
    ("frequency_cap", {"texts": 0, "days": 7}, "frequency_cap.texts"),
    ("frequency_cap", {"texts": 3, "days": 367}, "frequency_cap.days"),
    ("frequency_cap", {"texts": 3}, "frequency_cap.days"),
    ("frequency_cap", {"texts": 1, "days": 7}, "frequency_cap.texts"),
    ("frequency_cap", "3/7", "frequency_cap"),
    ("max_recipients", 0, "max_recipients"),
    ("max_recipients", 5_000_001, "max_recipients"),
    ("max_recipients", "10", "max_recipients"),
    ("max_recipients", True, "max_recipients"),
    ("max_recipients", 10**30, "max_recipients"),
    ("max_recipients", None, "max_recipients"),
    ("max_recipients", GONE, "max_recipients"),
    ("from_number", "not a number", "from_number"),
    ("from_number", "911", "from_number"),
    ("from_number", "555-0123", "from_number"),
    ("from_number", "", "from_number"),
    ("from_number", 13135550100, "from_number"),
    ("from_number", None, "from_number"),
    ("recurring", "yes", "recurring"),
    ("recurring", 1, "recurring"),
    ("recurring", None, "recurring"),
    ("state", "completed", "state"),
    ("id", 7, "id"),
]


def sent(field: str, value: Any, *, changes: bool) -> dict[str, Any]:
    body = {} if changes else wish(1)
    body[field] = value
    return {name: each for name, each in body.items() if each is not GONE}


def names(answer: Any) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == answer.status_code
    return [error["field"] for error in problem.get("errors", [])]


async def test_every_bad_field_of_a_new_broadcast_is_named_and_nothing_changes(api: Api) -> None:
    await api.segment("a")
    await api.segment("b")
    before = await api.counts()
    wrong = []
    for field, value, named in BROADCAST_FIELDS:
        answer = await api.post("/broadcasts", sent(field, value, changes=False))
        if answer.status_code != 422 or names(answer) != [named] or "\\u0000" in answer.text:
            wrong.append((field, value, answer.status_code, answer.text))
    assert wrong == []
    assert await api.counts() == before


async def test_every_bad_field_of_a_change_is_named_and_nothing_changes(api: Api) -> None:
    await api.segment("a")
    await api.segment("b")
    broadcast = await api.broadcast(1)
    before, counts = (await api.get(f"/broadcasts/{broadcast}")).json(), await api.counts()
    wrong = []
    for field, value, named in BROADCAST_FIELDS:
        if value is GONE:
            continue
        answer = await api.patch(f"/broadcasts/{broadcast}", sent(field, value, changes=True))
        if answer.status_code != 422 or names(answer) != [named]:
            wrong.append((field, value, answer.status_code, answer.text))
    assert wrong == []
    assert (await api.get(f"/broadcasts/{broadcast}")).json() == before
    assert await api.counts() == counts


async def test_all_faults_of_a_broadcast_are_named_at_once(api: Api) -> None:
    answer = await api.post(
        "/broadcasts",
        wish(run_at="2020-01-01T00:00:00Z", first_message=" ", from_number="x", segments=[
            {"segment_id": 5, "ratio": 1}]),
    )  # fmt: skip
    assert names(answer) == ["run_at", "first_message", "from_number", "segments[0].segment_id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/segments", {}, "name"),
        ("POST", "/segments", {"name": "a"}, "filter"),
        ("POST", "/segments", {"name": "", "filter": {"all": []}}, "name"),
        ("POST", "/segments", {"name": " ", "filter": {"all": []}}, "name"),
        ("POST", "/segments", {"name": "x" * 201, "filter": {"all": []}}, "name"),
        ("POST", "/segments", {"name": "a\x00", "filter": {"all": []}}, "name"),
        ("POST", "/segments", {"name": "a", "filter": ["true"]}, "filter"),
        ("POST", "/segments", {"name": "a", "filter": {"any": "a"}}, "filter/any"),
        ("POST", "/segments", {"name": "a", "filter": {"any": [1]}}, "filter/any/0"),
        ("POST", "/segments", {"name": "a", "filter": {"all": [""]}}, "filter/all/0"),
        ("POST", "/segments", {"name": "a", "filter": {"not": "a;b"}}, "filter/not"),
        ("POST", "/segments", {"name": "a", "filter": {"not": "a'); DROP TABLE contacts; --"}}, "filter/not"),
        ("POST", "/segments", {"name": "a", "filter": {"any": ["a\n"]}}, "filter/any/0"),
        ("POST", "/segments", {"name": "a", "filter": {"sql": ["a"]}}, "filter/sql"),
        ("PATCH", "/contacts/1", {"name": None}, "name"),
        ("PATCH", "/contacts/1", {"tags": "a"}, "tags"),
        ("PATCH", "/contacts/1", {"tags": ["a,b"]}, "tags[0]"),
        ("PATCH", "/contacts/1", {"opted_out": "no"}, "opted_out"),
        ("PATCH", "/contacts/1", {"phone_number": "+13135550123"}, "phone_number"),
        ("GET", "/contacts?phone_number=x", None, "phone_number"),
        ("GET", "/contacts?phone_number=%00", None, "phone_number"),
        ("GET", "/contacts?tag=%00", None, "tag"),
        ("GET", "/contacts?limit=0", None, "limit"),
        ("GET", "/contacts?limit=201", None, "limit"),
        ("GET", "/contacts?limit=many", None, "limit"),
        ("GET", "/broadcasts?state=odd", None, "state"),
        ("GET", "/broadcasts?state=null", None, "state"),
        ("GET", "/broadcasts/1/messages?isSecond=NULL", None, "isSecond"),
        ("GET", "/contacts?limit=null", None, "limit"),
        ("DELETE", "/contacts", None, "phone_number"),
        ("GET", "/broadcasts?cursor=x", None, "cursor"),
        ("GET", "/broadcasts?cursor=1.1", None, "cursor"),
        ("GET", f"/broadcasts?cursor={'9' * 30}", None, "cursor"),
        ("GET", "/broadcasts/1/messages?cursor=1", None, "cursor"),
        ("GET", "/broadcasts/1/messages?isSecond=maybe", None, "isSecond"),
        ("GET", f"/broadcasts/{2**63}", None, "broadcast_id"),
        ("GET", "/broadcasts/0", None, "broadcast_id"),
        ("POST", f"/broadcasts/{2**70}/pause", None, "broadcast_id"),
        ("DELETE", f"/contacts/{2**63}", None, "contact_id"),
        ("POST", "/broadcasts/draft/1?isSecond=x", None, "isSecond"),
    ],
)
async def test_a_bad_field_of_any_other_call_is_named_and_nothing_changes(
    api: Api, method: str, path: str, body: Any, named: str
) -> None:
    await api.contact("a")
    before = await api.counts()
    answer = await api.client.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert names(answer) == [named]
    assert await api.counts() == before


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"run_at": NaN}', b"first_message=x"])
async def test_a_body_that_is_no_json_is_malformed(api: Api, raw: bytes) -> None:
    answer = await api.client.post("/broadcasts", content=raw, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:broadsheet:problem:malformed-body")


@pytest.mark.parametrize("raw", [b"null", b"[]", b"5", b'"x"'])
async def test_a_body_that_is_no_object_is_refused(api: Api, raw: bytes) -> None:
    answer = await api.client.post("/broadcasts", content=raw, headers=JSON)
    assert answer.status_code == 422
    assert names(answer) == [""]


async def test_a_half_surrogate_in_a_message_is_refused(api: Api) -> None:
    raw = json.dumps(wish(first_message="HALF")).replace("HALF", "\\ud800").encode()
    assert (await api.client.post("/broadcasts", content=raw, headers=JSON)).status_code in (400, 422)


async def test_a_body_over_the_limit_is_too_large(api: Api) -> None:
    answer = await api.client.post("/broadcasts", content=b" " * (app.LARGEST_BODY + 1), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:broadsheet:problem:too-large"


async def test_an_unknown_route_and_an_unknown_method_answer_problems(api: Api) -> None:
    unknown, method = await api.get("/nothing/here"), await api.client.put("/broadcasts")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:broadsheet:problem:not-found")
    assert (method.status_code, method.json()["type"]) == (405, "urn:broadsheet:problem:method-not-allowed")
    assert unknown.headers["content-type"] == method.headers["content-type"] == "application/problem+json"


async def test_without_a_key_nothing_is_told_or_done(api: Api) -> None:
    broadcast = await api.broadcast()
    before = await api.counts()
    for route in api_routes():
        for given in ("", "Bearer ", f"Basic {KEY}", "Bearer wrong-key-of-some-length", f"Bearer {KEY}x", "Bearer ü"):
            path = route[1].replace("{id}", str(broadcast))
            answer = await api.client.request(route[0], path, headers=[(b"Authorization", given.encode())])
            assert answer.status_code == 401, (route, given)
            assert answer.json()["type"] == "urn:broadsheet:problem:unauthorized"
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await api.counts() == before


def api_routes() -> list[tuple[str, str]]:
    paths = "/make /stop /broadcasts /broadcasts/draft/{id} /broadcasts/twilio/{id} /segments /contacts/import"
    actions = [f"/broadcasts/{{id}}/{action}" for action in ("pause", "resume", "cancel", "send-now")]
    parts = ("", "/messages", "/events", "/report", "/report.csv", "/outcomes", "/stream")
    reads = ["/broadcasts", "/segments", "/segments/1/preview", "/contacts", "/contacts/1"]
    return [
        *(("POST", path) for path in (*paths.split(), *actions)),
        *(("GET", path) for path in (*reads, *(f"/broadcasts/{{id}}{part}" for part in parts))),
        ("PATCH", "/broadcasts/{id}"),
        ("PATCH", "/contacts/1"),
        ("DELETE", "/contacts/1"),
    ]


async def test_every_configured_key_opens_the_api(api: Api) -> None:
    for key in (KEY, OTHER_KEY):
        answer = await api.get("/broadcasts", headers={"Authorization": f"bearer {key}"})
        assert answer.status_code == 200
