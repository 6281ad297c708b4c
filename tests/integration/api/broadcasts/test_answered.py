"""`GET /responses`: how past broadcasts were answered, for programs."""

from typing import Any

import pytest

from services.api.broadcasts import responses
from tests.integration.api.past import over
from tests.integration.api.support import Api


async def answered(api: Api, **asked: Any) -> dict[str, Any]:
    answer = await api.get("/responses", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_before_a_broadcast_is_over_nobody_has_answered(api: Api) -> None:
    await api.made(1)
    found = await answered(api)
    assert (found["items"], found["segments"], found["hours"], found["next_cursor"]) == ([], [], [], None)
    assert found["total"] == {"delivered": 0, "replied": 0, "share": 0, "low": 0, "high": 1}


async def test_it_counts_what_the_desk_counts_by_broadcast_by_segment_and_by_hour(api: Api) -> None:
    older = await over(api, 4, 1)
    newer = await over(api, 25, 5, stopped=2, hour=16)
    found = await answered(api)
    assert [(each["broadcast_id"], each["recipients"], each["rate"]["replied"]) for each in found["items"]] == [
        (newer, 25, 5), (older, 4, 1)
    ]  # fmt: skip
    rate = found["items"][0]["rate"]
    assert (rate["delivered"], rate["share"]) == (25, 0.2)
    assert (rate["low"], rate["high"]) == (pytest.approx(0.089, abs=0.001), pytest.approx(0.391, abs=0.001))
    assert (found["total"]["delivered"], found["total"]["replied"]) == (29, 6)
    # In Detroit it was ten o'clock, and eleven.
    assert [(each["hour"], each["rate"]["delivered"]) for each in found["hours"]] == [(10, 4), (11, 25)]
    names = await api.column("SELECT name FROM audience_segments ORDER BY id DESC")
    assert [(each["name"], each["rate"]["delivered"]) for each in found["segments"]] == list(
        zip(names, (25, 4), strict=True)
    )
    for each in found["items"]:
        whole = (await api.get(f"/broadcasts/{each['broadcast_id']}")).json()
        assert (each["began_at"], each["first_message"]) == (whole["made_at"], whole["first_message"])


async def test_older_broadcasts_are_on_the_next_page(api: Api) -> None:
    ids = [await over(api, 1, 0, hour=hour) for hour in (14, 15, 16)]
    first = await answered(api, limit=2)
    assert [each["broadcast_id"] for each in first["items"]] == [ids[2], ids[1]]
    last = await answered(api, limit=2, cursor=first["next_cursor"])
    assert [each["broadcast_id"] for each in last["items"]] == [ids[0]]
    assert last["next_cursor"] is None
    assert (await api.get("/responses", params={"cursor": "x"})).status_code == 422


async def test_a_broadcast_that_one_page_cannot_count_has_no_rate(api: Api) -> None:
    small = await over(api, 3, 1)
    large = await over(api, 3, 1)
    await api.query("UPDATE broadcasts SET recipients = %s WHERE id = %s", responses.MOST, large)
    rates = {each["broadcast_id"]: each["rate"] for each in (await answered(api))["items"]}
    assert rates[large]["delivered"] == 3
    assert rates[small] is None
