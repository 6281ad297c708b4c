"""Our numbers over HTTP: how each sends, who may change it, and that no request says which numbers are ours."""

from datetime import datetime
from typing import Any

import pytest

from libs.common import database
from libs.common.domain.roles import Role
from libs.common.rate_limits import daily
from services.api.numbers import register
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import FROM, OTHER_FROM, Api

OURS = [FROM, OTHER_FROM, "+13135550111"]
PAGE = "/desk/settings/numbers"


async def numbers(api: Api) -> list[dict[str, Any]]:
    answer = await api.get("/numbers")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_all_numbers_of_the_settings_are_listed_and_send_as_the_settings_say(api: Api) -> None:
    found = await numbers(api)
    assert [each["phone_number"] for each in found] == OURS
    first = found[0]
    assert (first["is_usual"], first["carrier"], first["carrier_in_use"]) == (True, None, "missive")
    assert (first["rate"], first["rate_in_use"], first["enabled"]) == (None, 1.0, True)
    assert first["health"] == {
        "failing_since": None, "held_until": None, "last_accepted_at": None, "last_refused_at": None,
        "last_refused_code": None, "failed_lately": 0, "started_today": None,
    }  # fmt: skip
    assert [each["id"] for each in await numbers(api)] == [each["id"] for each in found]


async def test_how_a_number_sends_is_changed_with_who_did_it_on_record(api: Api) -> None:
    number = (await numbers(api))[1]["id"]
    wish = {"carrier": "twilio", "rate": 3, "minute_limit": 75, "daily_cap": 2000, "hours": "09:00-20:00"}
    changed = (await api.patch(f"/numbers/{number}", wish)).json()
    assert {name: changed[name] for name in wish} == wish
    assert (changed["carrier_in_use"], changed["rate_in_use"]) == ("twilio", 3.0)
    await api.patch(f"/numbers/{number}", {"rate": 3})  # nothing changes: nothing is on record
    back = (await api.patch(f"/numbers/{number}", {"carrier": None, "daily_cap": None, "enabled": False})).json()
    assert (back["carrier"], back["carrier_in_use"], back["daily_cap"], back["hours"], back["enabled"]) == (
        None, "missive", None, "09:00-20:00", False
    )  # fmt: skip
    rows = await api.query(
        "SELECT stream, data -> 'fields' AS fields, actor FROM events WHERE type = 'NumberChanged' ORDER BY position"
    )
    assert [(row["stream"], row["fields"], row["actor"]) for row in rows] == [
        (f"number-{number}", ["carrier", "rate", "minute_limit", "daily_cap", "hours"], "key:settings"),
        (f"number-{number}", ["carrier", "daily_cap", "enabled"], "key:settings"),
    ]


async def test_a_version_that_is_no_more_is_not_changed(api: Api) -> None:
    number = (await numbers(api))[0]["id"]
    headers = {"If-Match": (await api.get(f"/numbers/{number}")).headers["ETag"]}
    assert (await api.client.patch(f"/numbers/{number}", json={"rate": 2}, headers=headers)).status_code == 200
    assert (await api.client.patch(f"/numbers/{number}", json={"rate": 4}, headers=headers)).status_code == 412
    assert (await api.get(f"/numbers/{number}")).json()["rate"] == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", 0), ("rate", 1001), ("minute_limit", 0), ("daily_cap", -1), ("hours", "9-20"),
        ("hours", "09:00-09:00"), ("carrier", "pigeon"), ("phone_number", "+13135550142"),
    ],
)  # fmt: skip
async def test_what_a_number_cannot_be_is_refused_by_its_field(api: Api, field: str, value: object) -> None:
    number = (await numbers(api))[0]["id"]
    answer = await api.patch(f"/numbers/{number}", {field: value})
    assert answer.status_code in (400, 422)
    assert field in answer.text


async def test_a_number_that_the_settings_do_not_name_is_none_of_ours(api: Api) -> None:
    """Fault 37: which numbers are ours came from requests."""
    strange = await api.value("INSERT INTO sending_numbers (phone_number) VALUES ('+13135550142') RETURNING id")
    assert (await api.get(f"/numbers/{strange}")).status_code == 404
    assert (await api.patch(f"/numbers/{strange}", {"enabled": True})).status_code == 404
    assert [each["phone_number"] for each in await numbers(api)] == OURS


async def test_the_health_of_a_number_tells_what_was_taken_and_what_was_not(api: Api) -> None:
    broadcast = await api.made(3)
    await api.sent(broadcast)
    await api.query(
        "UPDATE broadcast_sent_message_status SET twilio_error_code = '30003' WHERE outgoing_message_id ="
        " (SELECT min(outgoing_message_id) FROM broadcast_sent_message_status)"
    )
    first, other, _third = await numbers(api)
    assert first["health"]["failed_lately"] == 1
    assert datetime.fromisoformat(first["health"]["last_accepted_at"]) <= api.clock.now
    assert other["health"]["last_accepted_at"] is None


async def test_a_broadcast_says_that_its_number_has_used_up_its_day(api: Api) -> None:
    broadcast = await api.made(3)
    number = (await numbers(api))[0]["id"]
    await api.patch(f"/numbers/{number}", {"daily_cap": 2})
    going = (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]
    assert (going["waits_for"], going["left_today"], going["expected_end"]) == (None, 2, None)
    async with database.transaction(api.engine) as connection:
        day = daily.today(await register.of(connection, FROM), api.clock.now, api.settings.zone)
        assert day is not None
        await daily.prepare(connection, day)
    assert await day.take(api.engine, 5) == 2
    going = (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]
    assert (going["waits_for"], going["until"]) == ("daily_cap", "2026-03-05T05:00:00Z")
    assert (await numbers(api))[0]["health"]["started_today"] == 2
    await api.patch(f"/numbers/{number}", {"daily_cap": None, "hours": "11:00-12:00"})
    going = (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]
    assert (going["waits_for"], going["until"]) == ("number_hours", "2026-03-04T16:00:00Z")
    await api.patch(f"/numbers/{number}", {"enabled": False})
    assert (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]["waits_for"] == "number_off"


async def test_at_the_desk_an_admin_changes_how_a_number_sends(api: Api) -> None:
    number = (await numbers(api))[0]["id"]
    async with signed_in(api, Role.ADMIN, "Ada Admin") as admin:
        wish = {
            "carrier": "twilio",
            "rate": "2.5",
            "minute_limit": "75",
            "daily_cap": "2,000",
            "hours": "09:00 – 20:00",
        }
        answer = await admin.submit(f"{PAGE}/{number}", PAGE, **wish, enabled="1")
        assert answer.status_code == 303
        page = (await admin.get(PAGE)).text
        for value in ("2.5", "75", "2000", "09:00-20:00"):
            assert f'value="{value}"' in page
        found = (await api.get(f"/numbers/{number}")).json()
        assert (found["carrier"], found["daily_cap"], found["enabled"]) == ("twilio", 2000, True)
        wrong = await admin.submit(f"{PAGE}/{number}", PAGE, rate="much", daily_cap="0", hours="9 to 5")
        assert wrong.status_code == 422
        assert wrong.text.count('aria-invalid="true"') == 3
        assert (await api.get(f"/numbers/{number}")).json() == found
        overview = (await admin.get("/desk/settings")).text
        assert "2.5 a second, 75 a minute, 0 of 2,000 today" in overview
        assert PAGE in overview
