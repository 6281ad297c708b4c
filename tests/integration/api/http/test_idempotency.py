"""`Idempotency-Key`: sent twice, done once."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.integration.api.support import Api, wish


async def keyed(api: Api, key: str, path: str, body: Any = None) -> httpx.Response:
    return await api.post(path, body, headers={"Idempotency-Key": key})


async def test_the_same_key_at_once_gives_the_same_answer_and_one_effect(api: Api) -> None:
    """Fault 8: two callers both ran."""
    answers = await asyncio.gather(*(keyed(api, "one", "/broadcasts", wish()) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({str(answer.json()) for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await api.value("SELECT count(*) FROM broadcasts") == 1


async def test_make_under_the_same_key_makes_one_and_answers_both(api: Api) -> None:
    await api.contact("a")
    await api.broadcast(await api.segment("a"))
    answers = await asyncio.gather(*(keyed(api, "make", "/make") for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert await api.value("SELECT count(*) FROM broadcasts") == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/broadcasts", wish(max_recipients=2)),
        ("/segments", {"name": "a", "filter": {"all": []}}),
        ("/broadcasts/1/pause", None),
    ],
)
async def test_the_same_key_for_another_request_is_refused(api: Api, path: str, body: Any) -> None:
    assert (await keyed(api, "key", "/broadcasts", wish())).status_code == 201
    before = await api.counts()
    answer = await keyed(api, "key", path, body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:broadsheet:problem:idempotency-key-reused")
    assert await api.counts() == before


async def test_the_two_phases_of_a_batch_are_two_requests(api: Api) -> None:
    broadcast = await api.made()
    await keyed(api, "batch", f"/broadcasts/draft/{broadcast}?isSecond=false")
    assert (await keyed(api, "batch", f"/broadcasts/draft/{broadcast}?isSecond=true")).status_code == 422


async def test_a_failure_is_not_kept(api: Api) -> None:
    assert (await keyed(api, "key", "/make")).status_code == 404
    await api.contact("a")
    await api.broadcast(await api.segment("a"))
    assert (await keyed(api, "key", "/make")).status_code == 201


async def test_every_starting_call_honours_a_key(api: Api) -> None:
    broadcast = await api.made()
    for number, path in enumerate(
        (f"/broadcasts/draft/{broadcast}", f"/broadcasts/twilio/{broadcast}", f"/broadcasts/{broadcast}/pause",
         f"/broadcasts/{broadcast}/resume", f"/broadcasts/{broadcast}/send-now", f"/broadcasts/{broadcast}/cancel")
    ):  # fmt: skip
        first = await keyed(api, f"key {number}", path)
        counts = await api.counts()
        again = await keyed(api, f"key {number}", path)
        assert (again.status_code, again.json()) == (first.status_code, first.json()), path
        assert first.is_success
        assert await api.counts() == counts


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ü"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = await api.client.post("/broadcasts", json=wish(), headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
