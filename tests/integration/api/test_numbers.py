"""Our numbers over HTTP: how each sends, who may change it, and that no request says which numbers are ours."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.domain.roles import Role
from libs.common.rate_limits import daily
from services.api.numbers import register
from tests.integration.api.desk.browser import signed_in
from tests.integration.api.support import FROM, OTHER_FROM, Api, incoming

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
        ("hours", "09:00-09:00"), ("carrier", "pigeon"), ("messaging_service_sid", "MG1"),
        ("phone_number", "+13135550142"),
    ],
)  # fmt: skip
async def test_what_a_number_cannot_be_is_refused_by_its_field(api: Api, field: str, value: object) -> None:
    number = (await numbers(api))[0]["id"]
    answer = await api.patch(f"/numbers/{number}", {field: value})
    assert answer.status_code in (400, 422)
    assert field in answer.text


async def test_a_messaging_service_is_of_one_number_that_sends_through_twilio(api: Api) -> None:
    first, second = (each["id"] for each in (await numbers(api))[:2])
    service = {"messaging_service_sid": "MG" + "5" * 32}
    refused = await api.patch(f"/numbers/{first}", service)
    assert (refused.status_code, "through Twilio" in refused.text) == (422, True)
    assert (await api.patch(f"/numbers/{first}", {**service, "carrier": "twilio"})).status_code == 200
    # Also once it is another's no more: what it has sent is that one's.
    assert (await api.patch(f"/numbers/{first}", {"messaging_service_sid": None})).status_code == 200
    assert (await api.patch(f"/numbers/{second}", {**service, "carrier": "twilio"})).status_code == 422
    assert (await api.patch(f"/numbers/{first}", service)).json()["messaging_service_sid"] == "MG" + "5" * 32
    # Without Twilio nothing would send in its place.
    assert (await api.patch(f"/numbers/{first}", {"carrier": "missive"})).status_code == 422


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


async def test_a_broadcast_is_sent_from_several_of_our_numbers_and_nobody_elses(api: Api) -> None:
    third = OURS[2]
    segment = await api.segment("made")
    broadcast = await api.broadcast(segment, pool=[OTHER_FROM, third, OTHER_FROM, FROM])
    made = (await api.get(f"/broadcasts/{broadcast}")).json()
    assert (made["from_number"], made["pool"]) == (FROM, [OTHER_FROM, third])
    # A number is its own or of the pool, and not both.
    changed = (await api.patch(f"/broadcasts/{broadcast}", {"from_number": third})).json()
    assert (changed["from_number"], changed["pool"]) == (third, [OTHER_FROM])
    refused = await api.patch(f"/broadcasts/{broadcast}", {"pool": ["+13135550142"]})
    assert (refused.status_code, "pool[0]" in refused.text) == (422, True)
    assert (await api.patch(f"/broadcasts/{broadcast}", {"pool": []})).json()["pool"] == []


async def test_of_several_numbers_one_that_sends_says_how_it_goes_on_and_what_the_day_has_no_room_for(api: Api) -> None:
    first, second = (each["id"] for each in (await numbers(api))[:2])
    broadcast = await api.made(10, pool=[OTHER_FROM])
    dealt = await api.column(
        "SELECT count(*) FROM outgoing_messages WHERE NOT is_second GROUP BY pool_index ORDER BY pool_index"
    )
    assert dealt == [5, 5]
    await api.patch(f"/numbers/{first}", {"enabled": False})
    going = (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]
    assert (going["remaining"], going["waits_for"]) == (10, None)
    await api.patch(f"/numbers/{second}", {"daily_cap": 2})
    going = (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]
    assert (going["left_today"], going["expected_end"]) == (7, None)
    await api.patch(f"/numbers/{second}", {"enabled": False})
    assert (await api.get(f"/broadcasts/{broadcast}/pace")).json()["now"]["waits_for"] == "number_off"


async def test_an_answer_leaves_from_the_number_that_somebody_had_the_broadcast_from(api: Api) -> None:
    await numbers(api)
    await api.query("UPDATE sending_numbers SET carrier = 'twilio'")
    broadcast = await api.made(2, pool=[OTHER_FROM])
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    person = await api.value(
        "SELECT recipient_phone_number FROM outgoing_messages WHERE pool_index = 1 AND NOT is_second"
    )
    assert (
        await api.missive(incoming(person, "Hello", api.clock.now))
    ).status_code == 200  # which does not say to whom
    [reply] = (await api.get("/replies")).json()["items"]
    assert (reply["written_to"], reply["broadcast_id"]) == (None, broadcast)
    answer = await api.post(f"/replies/{reply['id']}/answer", {"by": "Ana", "body": "Hi"})
    assert answer.status_code == 202, answer.text
    sent_from = "SELECT n.phone_number FROM single_messages s JOIN sending_numbers n ON n.id = s.sending_number_id"
    assert await api.column(sent_from) == [OTHER_FROM]


async def test_what_waits_for_a_number_is_looked_at_again_when_that_is_changed(api: Api) -> None:
    """A raised cap would else count from midnight on."""
    broadcast, _ = await api.made(3), await api.made(3, from_number=OTHER_FROM)
    number = (await numbers(api))[0]["id"]
    later = api.clock.now + timedelta(hours=9)
    await api.query(
        "INSERT INTO batches (id, broadcast_id, is_second, due_at) SELECT gen_random_uuid(), id, false, %s"
        " FROM broadcasts WHERE made_at IS NOT NULL",
        later,
    )
    await api.patch(f"/numbers/{number}", {"daily_cap": 5000})
    due = await api.query("SELECT broadcast_id, due_at FROM batches")
    assert {row["broadcast_id"] for row in due if row["due_at"] == api.clock.now} == {broadcast}
    steps = await api.query("SELECT broadcast_id FROM outbox WHERE type = 'SendBatch'")
    assert [row["broadcast_id"] for row in steps] == [broadcast]
