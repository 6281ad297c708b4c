"""Keywords by which people sign up, over HTTP."""

from typing import Any

import pytest

from tests.integration.api.support import Api

NEWS: dict[str, Any] = {"word": "NEWS", "tag": "news", "welcome": "Welcome. Reply STOP to end", "question": None}


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/keywords", {**NEWS, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_keyword_is_made_listed_changed_and_deleted(api: Api) -> None:
    first = await made(api)
    assert (first["word"], first["tag"], first["question"]) == ("news", "news", None)
    second = await made(api, word="Vote", tag="elections", question="Reply YES")
    assert [each["id"] for each in (await api.get("/keywords")).json()["items"]] == [first["id"], second["id"]]
    path = f"/keywords/{first['id']}"
    changed = await api.patch(path, {"question": "Do you? Reply YES"})
    assert (changed.status_code, changed.json()["question"]) == (200, "Do you? Reply YES")
    assert (await api.patch(path, {"question": None})).json()["question"] is None
    assert (await api.client.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    events = await api.column("SELECT type FROM events WHERE stream = %s ORDER BY version", f"keyword-{first['id']}")
    assert events == ["KeywordCreated", "KeywordChanged", "KeywordChanged", "KeywordDeleted"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("word", "STOP"), ("word", "help"), ("word", "Start"), ("word", "YES"), ("word", "two words"),
        ("tag", ";"), ("welcome", "Hello"), ("welcome", "Hi {{ first_name }}. STOP ends it"), ("question", "Really?"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_named_by_its_field(api: Api, field: str, value: str) -> None:
    answer = await api.post("/keywords", {**NEWS, field: value})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    keyword = await made(api)
    assert (await api.patch(f"/keywords/{keyword['id']}", {field: value})).status_code == 422


async def test_two_keywords_are_two_words(api: Api) -> None:
    keyword = await made(api)
    assert (await api.post("/keywords", {**NEWS, "word": "Néws"})).status_code == 409
    other = await made(api, word="VOTE")
    assert (await api.patch(f"/keywords/{other['id']}", {"word": "news"})).status_code == 409
    assert (await api.patch(f"/keywords/{keyword['id']}", {"word": "News"})).status_code == 200


async def test_a_change_of_what_was_changed_meanwhile_is_refused(api: Api) -> None:
    keyword = await made(api)
    path = f"/keywords/{keyword['id']}"
    seen = (await api.get(path)).headers["ETag"]
    await api.patch(path, {"tag": "other"})
    late = await api.client.patch(path, json={"tag": "third"}, headers={"If-Match": seen})
    assert late.status_code == 412
    now = (await api.get(path)).headers["ETag"]
    assert (await api.client.patch(path, json={"tag": "third"}, headers={"If-Match": now})).status_code == 200


async def test_the_same_request_makes_one(api: Api) -> None:
    key = {"Idempotency-Key": "8e7b3f0a-0000-4000-8000-000000000001"}
    first = await api.post("/keywords", NEWS, headers=key)
    again = await api.post("/keywords", NEWS, headers=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert await api.value("SELECT count(*) FROM sign_up_keywords") == 1
