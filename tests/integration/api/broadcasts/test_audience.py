"""Whom a broadcast takes, over HTTP: asked for, shown before it is made, and on record after it."""

from typing import Any

from tests.integration.api.support import Api, wish


async def groups(api: Api) -> tuple[int, int, int, int]:
    """Add people and segments: north (3), staff (1 of north), rest (4), and one for everybody."""
    await api.contact("north")
    await api.contact("north")
    await api.contact("north", "staff")
    for _ in range(4):
        await api.contact("rest")
    return await api.segment("north"), await api.segment("staff"), await api.segment("rest"), await api.segment("all")


async def test_what_a_broadcast_was_asked_with_is_what_it_says(api: Api) -> None:
    north, staff, rest, everybody = await groups(api)
    asked: dict[str, Any] = {
        "segments": [{"segment_id": north, "count": 5}, {"segment_id": everybody, "all": True}],
        "exclude": [{"segment_id": staff}],
        "fallback": {"segment_id": rest},
        "frequency_cap": {"texts": 3, "days": 7},
    }
    made = (await api.post("/broadcasts", wish(**asked))).json()
    assert [(each["segment_id"], each["ratio"], each["count"], each["all"]) for each in made["segments"]] == [
        (north, None, 5, False),
        (everybody, None, None, True),
    ]
    assert [each["segment_id"] for each in made["exclude"]] == [staff]
    assert made["fallback"]["segment_id"] == rest
    assert made["frequency_cap"] == {"texts": 3, "days": 7}
    assert made["left_out"] == {}
    # What is read can be written again.
    again = {name: made[name] for name in ("frequency_cap", "max_recipients")} | {
        "segments": [
            {name: each[name] for name in ("segment_id", "ratio", "count", "all")} for each in made["segments"]
        ],
        "exclude": [{"segment_id": each["segment_id"]} for each in made["exclude"]],
        "fallback": {"segment_id": made["fallback"]["segment_id"]},
    }
    changed = await api.patch(f"/broadcasts/{made['id']}", again)
    assert (changed.status_code, changed.json()) == (200, made)
    none = {"exclude": [], "fallback": None, "frequency_cap": None, "segments": [{"segment_id": north, "ratio": 10}]}
    changed = await api.patch(f"/broadcasts/{made['id']}", none)
    assert (changed.json()["exclude"], changed.json()["fallback"], changed.json()["frequency_cap"]) == ([], None, None)
    events = (await api.get(f"/broadcasts/{made['id']}/events")).json()["items"]
    assert events[0]["data"]["excluded"] == [staff]
    assert (events[0]["data"]["fallback"], events[0]["data"]["cap_texts"]) == (rest, 3)
    assert events[0]["data"]["segments"][0] == {"segment_id": north, "ratio": None, "count": 5}


async def test_a_change_is_held_against_what_stays(api: Api) -> None:
    north, staff, rest, _ = await groups(api)
    broadcast = await api.broadcast(
        segments=[{"segment_id": north, "count": 50}], exclude=[{"segment_id": staff}], max_recipients=60,
        second_message=None, frequency_cap={"texts": 1, "days": 7},
    )  # fmt: skip
    for changes, field in (
        ({"max_recipients": 40}, "max_recipients"),
        ({"segments": [{"segment_id": staff, "count": 5}]}, "segments[0].segment_id"),
        ({"fallback": {"segment_id": north}}, "fallback.segment_id"),
        ({"second_message": "Still there?"}, "second_message"),
    ):
        answer = await api.patch(f"/broadcasts/{broadcast}", changes)
        assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field])
    assert (await api.patch(f"/broadcasts/{broadcast}", {"fallback": {"segment_id": rest}})).status_code == 200


async def test_who_will_get_it_is_who_got_it_with_every_reason(api: Api) -> None:
    north, staff, rest, _ = await groups(api)
    out = await api.contact("north")
    await api.patch(f"/contacts/{await api.contact_id(out)}", {"opted_out": True})
    often = await api.contact("north", "often")
    before = await api.broadcast(await api.segment("often"), second_message=None)
    assert (await api.post(f"/broadcasts/{before}/send-now")).status_code == 200
    broadcast = await api.broadcast(
        segments=[{"segment_id": north, "count": 5}], exclude=[{"segment_id": staff}], max_recipients=60,
        fallback={"segment_id": rest}, frequency_cap={"texts": 2, "days": 7},
    )  # fmt: skip
    shown = (await api.get(f"/broadcasts/{broadcast}/audience")).json()
    assert shown["gets_it"] == {"least": 5, "most": 5}
    assert [(each["members"], each["quota"]["most"], each["gets_it"]["most"]) for each in shown["segments"]] == [
        (2, 5, 2)
    ]
    assert shown["fallback"] == {
        "segment_id": rest, "name": "rest", "members": 4, "quota": {"least": 3, "most": 3},
        "gets_it": {"least": 3, "most": 3},
    }  # fmt: skip
    assert [(each["reason"], each["people"]) for each in shown["left_out"]] == [
        ("opted_out", 1), ("excluded", 1), ("capped", 1),
    ]  # fmt: skip
    assert all(each["sentence"] for each in shown["left_out"])
    assert shown["frequency_caps"] == [{"texts": 2, "days": 7}]
    assert often not in [each["phone_number"] for each in shown["sample"]]

    made = (await api.post(f"/broadcasts/{broadcast}/send-now")).json()
    assert made["recipients"] == 5
    assert made["left_out"] == {"opted_out": 1, "excluded": 1, "capped": 1}
    assert (made["fallback"]["quota"], made["fallback"]["drawn"]) == (3, 3)
    assert made["exclude"][0]["filter"] == {"any": [{"tag": "staff"}]}
    explained = (await api.get(f"/broadcasts/{broadcast}/outcomes")).json()
    assert explained["left_out"] == shown["left_out"]
    assert explained["fallback"]["drawn"] == 3
    reported = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert (reported["left_out"], reported["fallback"]["drawn"]) == (made["left_out"], 3)
    assert [(each["count"], each["shortfall"]) for each in reported["segments"]] == [(5, 3)]


async def test_a_draft_goes_to_nobody(api: Api) -> None:
    broadcast = await api.broadcast()
    shown = (await api.get(f"/broadcasts/{broadcast}/audience")).json()
    assert (shown["gets_it"], shown["segments"], shown["left_out"]) == ({"least": 0, "most": 0}, [], [])
    assert (await api.get("/broadcasts/99/audience")).status_code == 404
