"""Creating, reading and changing broadcasts."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.support import FROM, NOW, Api, wish


async def test_a_broadcast_comes_back_byte_for_byte_as_it_was_created(api: Api) -> None:
    """Fault 21: a text with quotes, `$$` or backslashes broke the SQL it was pasted into."""
    segment = await api.segment("tenants")
    asked = wish(segment)

    answer = await api.post("/broadcasts", asked)

    assert answer.status_code == 201
    created = answer.json()
    assert answer.headers["location"] == f"/broadcasts/{created['id']}"
    assert created == (await api.get(answer.headers["location"])).json()
    assert created["first_message"] == asked["first_message"]
    assert created["state"] == "scheduled"
    assert created["run_at"] == "2026-03-04T16:00:00Z"
    assert created["run_at_local"] == "2026-03-04T11:00:00-05:00"
    assert created["from_number"] == FROM
    assert created["second_delay"] == 600
    assert created["recurring"] is True
    assert created["segments"] == [
        {"segment_id": segment, "name": "tenants", "ratio": 100.0, "count": None, "all": False, "quota": None,
         "drawn": None, "filter": None}
    ]  # fmt: skip


async def test_the_making_of_a_new_broadcast_is_planned_for_its_run_at(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))

    planned = await api.query("SELECT type, deliver_at FROM outbox WHERE kind = 'command'")

    assert planned == [{"type": "MakeBroadcast", "deliver_at": NOW + timedelta(hours=1)}]
    assert await api.value("SELECT count(*) FROM outbox WHERE broadcast_id = %s", broadcast) == 2


async def test_the_delay_of_the_second_message_is_the_one_that_was_asked_for(api: Api) -> None:
    """Fault 14: the delay was a constant; the setting was ignored for a year."""
    broadcast = await api.broadcast(second_delay=42)
    assert (await api.get(f"/broadcasts/{broadcast}")).json()["second_delay"] == 42


async def test_an_event_of_a_broadcast_holds_the_id_of_its_number_only(api: Api) -> None:
    await api.broadcast(from_number="(313) 555-0111")
    assert await api.value("SELECT phone_number FROM sending_numbers") == "+13135550111"
    assert "5550111" not in str(await api.value("SELECT data FROM events"))


async def test_the_list_shows_the_newest_first_and_goes_on_where_the_last_page_ended(api: Api) -> None:
    ids = [await api.broadcast() for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        page = (await api.get("/broadcasts", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert cursor is None


async def test_the_list_can_be_narrowed_down_to_a_state(api: Api) -> None:
    kept, cancelled = await api.broadcast(), await api.broadcast()
    await api.post(f"/broadcasts/{cancelled}/cancel")
    items = (await api.get("/broadcasts", params={"state": "cancelled"})).json()["items"]
    assert [item["id"] for item in items] == [cancelled]
    assert kept != cancelled


async def test_a_change_moves_the_planned_making_and_leaves_the_rest(api: Api) -> None:
    """Fault 12: the scheduled run was left in place."""
    broadcast = await api.broadcast(await api.segment("a"))
    before = (await api.get(f"/broadcasts/{broadcast}")).json()

    answer = await api.patch(f"/broadcasts/{broadcast}", {"run_at": "2026-03-05T09:30:00-05:00"})

    assert answer.status_code == 200
    assert answer.json() == {
        **before, "run_at": "2026-03-05T14:30:00Z", "run_at_local": "2026-03-05T09:30:00-05:00"
    }  # fmt: skip
    planned = await api.query("SELECT deliver_at FROM outbox WHERE type = 'MakeBroadcast'")
    assert [str(row["deliver_at"]) for row in planned] == ["2026-03-05 14:30:00+00:00"]


async def test_every_field_can_be_changed(api: Api) -> None:
    first, second = await api.segment("a"), await api.segment("b")
    broadcast = await api.broadcast(first)
    changes: dict[str, Any] = {
        "first_message": "one",
        "second_message": "two",
        "second_delay": 0,
        "segments": [{"segment_id": second, "ratio": 30}, {"segment_id": first, "ratio": 70}],
        "max_recipients": 5,
        "from_number": "+13135550199",
        "recurring": False,
    }
    changed = (await api.patch(f"/broadcasts/{broadcast}", changes)).json()
    assert {name: changed[name] for name in changes if name != "segments"} == {
        name: value for name, value in changes.items() if name != "segments"
    }
    assert [(item["segment_id"], item["ratio"]) for item in changed["segments"]] == [(second, 30.0), (first, 70.0)]


async def test_a_follow_up_may_be_left_out_and_added_and_taken_out_again(api: Api) -> None:
    body = wish(await api.segment("a"))
    del body["second_message"]
    broadcast = (await api.post("/broadcasts", body)).json()
    assert broadcast["second_message"] is None
    path = f"/broadcasts/{broadcast['id']}"
    for words in ("Don't forget", None):
        changed = await api.patch(path, {"second_message": words})
        assert (changed.status_code, changed.json()["second_message"]) == (200, words)
        assert (await api.get(path)).json() == changed.json()


async def test_a_week_of_times_is_kept_changed_and_ends_with_the_repeating(api: Api) -> None:
    body = wish(await api.segment("a"), week={"monday": "10:00", "wednesday": "14:00"})
    made = (await api.post("/broadcasts", body)).json()
    assert {day: at for day, at in made["week"].items() if at} == {"monday": "10:00", "wednesday": "14:00"}
    path = f"/broadcasts/{made['id']}"
    changed = (await api.patch(path, {"week": {"saturday": "09:30"}})).json()
    assert {day: at for day, at in changed["week"].items() if at} == {"saturday": "09:30"}
    ended = await api.post(f"{path}/stop-repeating")
    assert (ended.status_code, ended.json()["recurring"], ended.json()["week"]) == (200, False, None)
    assert (await api.post(f"{path}/stop-repeating")).json() == ended.json()
    for wrong in ({"week": {"monday": "10:00"}}, {"week": {}, "recurring": True}, {"week": {"monday": "24:00"}}):
        answer = await api.patch(path, wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"].split(".")[0]) == (422, "week"), wrong


async def test_what_is_skipped_has_not_begun_and_the_next_one_stays(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"), recurring=True)
    for _ in range(2):
        skipped = (await api.post(f"/broadcasts/{broadcast}/skip")).json()
        assert skipped["state"] == "cancelled"
    following = (await api.get(f"/broadcasts/{skipped['next_broadcast_id']}")).json()
    assert (following["state"], following["previous_id"]) == ("scheduled", broadcast)
    assert following["run_at_local"][:10] == "2026-03-05"
    begun = await api.made()
    assert (await api.post(f"/broadcasts/{begun}/skip")).status_code == 409


async def test_a_change_of_nothing_records_nothing(api: Api) -> None:
    broadcast = await api.broadcast(await api.segment("a"))
    before = await api.counts()
    assert (await api.patch(f"/broadcasts/{broadcast}", {})).status_code == 200
    assert await api.counts() == before


async def test_a_broadcast_that_was_made_cannot_be_changed(api: Api) -> None:
    broadcast = await api.made()
    before = await api.counts()
    answer = await api.patch(f"/broadcasts/{broadcast}", {"first_message": "too late"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:broadsheet:problem:conflict"
    assert await api.counts() == before


@pytest.mark.parametrize("ratios", [[33.4, 33.3, 33.3], [0.1] * 3 + [99.7], [100]])
async def test_ratios_of_a_hundred_percent_in_sum_are_taken(api: Api, ratios: list[float]) -> None:
    ids = [await api.segment(f"tag{n}") for n in range(len(ratios))]
    shares = [{"segment_id": id_, "ratio": ratio} for id_, ratio in zip(ids, ratios, strict=True)]
    assert (await api.post("/broadcasts", wish(segments=shares))).status_code == 201


async def test_a_broadcast_that_is_not_there_is_not_found(api: Api) -> None:
    for path in ("", "/messages", "/events", "/report", "/report.csv", "/outcomes", "/stream"):
        answer = await api.get(f"/broadcasts/7{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:broadsheet:problem:not-found"), path
    for action in ("pause", "resume", "cancel", "send-now"):
        assert (await api.post(f"/broadcasts/7/{action}")).status_code == 404
    for path in ("draft", "twilio"):
        assert (await api.post(f"/broadcasts/{path}/7")).status_code == 404
    assert (await api.patch("/broadcasts/7", {})).status_code == 404


@pytest.mark.parametrize("text", ["\u200b", "\u2800", "\u0301", "Hi {{first_name", "Hi {name}", "\u001b[2J"])
async def test_a_message_that_cannot_leave_is_neither_scheduled_nor_edited_in(api: Api, text: str) -> None:
    segment = await api.segment("a")
    broadcast = await api.broadcast(segment)
    for field in ("first_message", "second_message"):
        words: dict[str, Any] = {field: text}
        for answer in (
            await api.post("/broadcasts", wish(segment, **words)),
            await api.patch(f"/broadcasts/{broadcast}", words),
        ):
            assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field])
    assert await api.value("SELECT count(*) FROM broadcasts") == 1


async def test_a_message_is_kept_composed(api: Api) -> None:
    segment = await api.segment("a")
    broadcast = await api.broadcast(segment, first_message="Cafe\u0301")
    await api.patch(f"/broadcasts/{broadcast}", {"second_message": "man\u0303ana"})
    kept = (await api.get(f"/broadcasts/{broadcast}")).json()
    assert (kept["first_message"], kept["second_message"]) == ("Caf\u00e9", "ma\u00f1ana")
