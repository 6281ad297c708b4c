"""At what hours somebody may be texted, and how a broadcast says what becomes of late ones: HTTP and the desk."""

import html
import re
from typing import Any

import pytest

from tests.integration.api.desk.browser import Browser
from tests.integration.api.support import Api, wish

HONOLULU, FLORIDA, TOLL_FREE = "+18085550101", "+18505550101", "+18005550101"


async def hours(api: Api, number: str, zone: str | None = None) -> dict[str, Any]:
    await api.query("INSERT INTO contacts (phone_number, time_zone) VALUES (%s, %s)", number, zone)
    answer = await api.get(f"/contacts/{await api.contact_id(number)}/hours")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("number", "zone", "zones", "known_from"),
    [
        (HONOLULU, None, ["Pacific/Honolulu"], "number"),
        (HONOLULU, "America/Chicago", ["America/Chicago"], "contact"),
        (TOLL_FREE, None, ["America/Detroit"], "organisation"),
    ],
)
async def test_the_clocks_of_a_contact_are_said_with_where_they_are_known_from(
    api: Api, number: str, zone: str | None, zones: list[str], known_from: str
) -> None:
    found = await hours(api, number, zone)
    assert (found["time_zones"], found["known_from"]) == (zones, known_from)


async def test_it_is_said_when_somebody_may_be_texted_and_by_whose_rules(api: Api) -> None:
    # Ten in the morning in Detroit: five in Honolulu.
    sleeps = await hours(api, HONOLULU)
    assert (sleeps["may_be_texted"], sleeps["next_at"]) == (False, "2026-03-04T18:00:00Z")
    florida = await hours(api, FLORIDA)
    assert (florida["may_be_texted"], florida["until"]) == (True, "2026-03-05T01:00:00Z")
    assert (florida["region"], florida["region_name"]) == ("US-FL", "Florida")
    assert (await api.get("/contacts/999/hours")).status_code == 404


async def test_a_broadcast_says_what_becomes_of_late_ones(api: Api) -> None:
    made = await api.post("/broadcasts", wish(await api.segment("a"), late="skip"))
    assert (made.status_code, made.json()["late"]) == (201, "skip")
    path = f"/broadcasts/{made.json()['id']}"
    assert (await api.patch(path, {"late": "wait"})).json()["late"] == "wait"
    assert (await api.patch(path, {"late": "never"})).status_code == 422
    assert (await api.post("/broadcasts", wish(await api.segment("b")))).json()["late"] == "wait"


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_compose_says_who_has_other_clocks_and_who_waits_or_does_not_get_it(api: Api, editor: Browser) -> None:
    for number in (HONOLULU, FLORIDA, "+447400123456"):
        await api.query("INSERT INTO contacts (phone_number, tags) VALUES (%s, '{far}')", number)
    segment = await api.segment("far")
    form = {
        "first_message": "Hi. Reply STOP to stop.", "no_follow_up": "1", "day": "2026-03-05", "clock": "17:00",
        "recipients": "10", "from_number": "+13135550100", f"segment-{segment}": "1", f"share-{segment}": "",
    }  # fmt: skip
    late = words((await editor.submit("/desk/compose/audience", "/desk/compose", **form)).text)
    assert "About 2 people have other clocks than we." in late
    assert "1 waits for the morning there, which comes first tomorrow" not in late
    assert "1 waits for the morning there, which comes first Fri 6 Mar, 03:00." in late
    skipped = words((await editor.submit("/desk/compose/audience", "/desk/compose", **form, late="skip")).text)
    assert "1 does not get it: it is too late in the day there." in skipped


async def test_a_person_s_page_says_their_clocks_and_the_settings_the_rules(api: Api, editor: Browser) -> None:
    await api.query("INSERT INTO contacts (phone_number) VALUES (%s)", FLORIDA)
    page = words((await editor.get(f"/desk/people/{await api.contact_id(FLORIDA)}")).text)
    assert "Time zone America/New_York from their number" in page
    assert "by the rules of Florida, too" in page
    settings = words((await editor.get("/desk/settings")).text)
    assert "21:00-08:00, by the clocks of whom a text goes to" in settings
    assert "Rhode Island 09:00–18:00 10:00–17:00 none none R.I. Gen. Laws" in settings
