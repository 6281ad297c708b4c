"""Trying a broadcast on a few phones: who may be texted, how often, and that no figure knows of it."""

from datetime import UTC, datetime
from typing import Any

import httpx

from services.api.broadcasts.asking_tests import MOST_A_MINUTE
from tests.integration.api.support import Api

PHONE, OTHER = "+13135550177", "+13135550178"


async def ask(api: Api, broadcast: int, *to: str, **headers: Any) -> httpx.Response:
    return await api.post(f"/broadcasts/{broadcast}/test", {"to": list(to)}, **headers)


def faults(answer: httpx.Response) -> list[str]:
    return [each["field"] for each in answer.json()["errors"]]


async def test_both_messages_go_to_the_named_phones_marked_as_tests_and_nothing_else_changes(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))
    before = (
        (await api.get(f"/broadcasts/{broadcast}")).json(),
        (await api.get(f"/broadcasts/{broadcast}/report")).json(),
    )
    answer = await ask(api, broadcast, "(313) 555-0177", PHONE)
    assert answer.status_code == 202, answer.text
    found = [(each["phone_number"], each["body"], each["state"]) for each in reversed(answer.json()["items"])]
    assert found == [
        (PHONE, f"Test: {before[0]['first_message']}", "pending"),
        (PHONE, f"Test: {before[0]['second_message']}", "pending"),
    ]
    assert (await api.get(f"/broadcasts/{broadcast}/tests")).json() == answer.json()
    after = (
        (await api.get(f"/broadcasts/{broadcast}")).json(),
        (await api.get(f"/broadcasts/{broadcast}/report")).json(),
    )
    assert after == before
    actors = await api.query("SELECT DISTINCT actor FROM events WHERE type = 'SingleMessageAsked'")
    assert [row["actor"].partition(":")[0] for row in actors] == ["key"]


async def test_a_request_that_is_sent_again_sends_nothing_again(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"), second_message=None)
    answers = [await ask(api, broadcast, PHONE, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await api.value("SELECT count(*) FROM single_messages") == 1


async def test_numbers_that_must_not_be_texted_are_refused_and_then_nothing_goes_to_the_others(api: Api) -> None:
    out = await api.contact("a")
    await api.patch(f"/contacts/{await api.contact_id(out)}", {"opted_out": True})
    broadcast = await api.broadcast(await api.segment("a"))
    assert faults(await ask(api, broadcast, OTHER, out)) == ["to[1]"]
    assert faults(await ask(api, broadcast, "+13135550100", "nobody")) == ["to[0]", "to[1]"]
    assert await api.value("SELECT count(*) FROM single_messages") == 0


async def test_a_minute_takes_no_more_than_its_limit(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))
    five = [f"+1313555018{n}" for n in range(5)]
    answers = [(await ask(api, broadcast, *five)).status_code for _ in range(MOST_A_MINUTE // 10 + 1)]
    assert answers == [202] * (MOST_A_MINUTE // 10) + [429]
    api.clock.forward(seconds=61)
    assert (await ask(api, broadcast, PHONE)).status_code == 202


async def test_in_the_quiet_hours_a_test_goes_to_users_own_phones_alone(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))
    await api.query(
        "INSERT INTO users (email, name, role, phone_number) VALUES ('a@example.org', 'Ana', 'editor', %s)", PHONE
    )
    api.clock.now = datetime(2026, 3, 5, 4, tzinfo=UTC)  # eleven at night in Detroit
    assert faults(await ask(api, broadcast, OTHER)) == ["to[0]"]
    assert (await ask(api, broadcast, PHONE)).status_code == 202
