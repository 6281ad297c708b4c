"""What came in, told apart: in lists, in figures, and for the follow-up."""

from typing import Any

from tests.integration.api.past import over
from tests.integration.api.support import Api, incoming
from tests.integration.api.test_replies import listed

SAID = {
    "own_words": "Yes, I was there",
    "reaction": "Loved “Were you there? Reply STOP to end”",
    "automatic": "Auto-reply: away until Monday",
    "delivery_notice": "Message not delivered",
}


async def answered(api: Api) -> tuple[int, dict[str, int]]:
    """Have the four recipients of a broadcast answer, each in another way; return it and their replies."""
    broadcast = await api.made(4)
    await api.sent(broadcast)
    api.clock.forward(seconds=30)
    numbers = await api.column("SELECT phone_number FROM contacts ORDER BY id")
    for number, (kind, body) in zip(numbers, SAID.items(), strict=True):
        await api.missive(incoming(number, body, api.clock.now, sid=f"SM-{kind}"))
    rows = await api.query("SELECT kind, id FROM replies")
    return broadcast, {row["kind"]: row["id"] for row in rows}


async def test_replies_are_listed_by_what_they_are(api: Api) -> None:
    _, ids = await answered(api)
    assert {kind: await listed(api, kind=kind) for kind in SAID} == {kind: [ids[kind]] for kind in SAID}
    assert await listed(api, kind="short_code") == []
    assert (await api.get("/replies", params={"kind": "letter"})).status_code == 422
    shown: Any = (await api.get(f"/replies/{ids['automatic']}")).json()
    assert (shown["kind"], shown["ends_follow_up"]) == ("automatic", False)
    csv = (await api.get("/replies/export.csv", params={"kind": "reaction"})).text
    assert csv.count("\r\n") == 2
    assert ",reaction," in csv


async def test_replies_are_counted_by_own_words_and_the_others_beside_them(api: Api) -> None:
    broadcast, _ = await answered(api)
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert (report["replies"], report["opt_outs"]) == (1, 0)
    assert report["other_replies"] == {"reaction": 1, "automatic": 1, "delivery_notice": 1}


async def test_by_default_words_and_reactions_end_the_follow_up(api: Api) -> None:
    await answered(api)
    skipped = await api.column("SELECT skip_reason FROM outgoing_messages WHERE is_second ORDER BY contact_id")
    assert skipped == ["replied", "replied", None, None]


async def test_replies_per_hundred_count_own_words(api: Api) -> None:
    await over(api, 4, 2)
    await api.query("UPDATE replies SET kind = 'reaction' WHERE id = (SELECT min(id) FROM replies)")
    assert (await api.get("/responses")).json()["total"]["replied"] == 1


async def test_who_only_reacted_has_not_replied_for_a_segment(api: Api) -> None:
    _, ids = await answered(api)
    tried = await api.post("/segments/preview", {"filter": {"replied_since": "30 days"}})
    assert tried.json()["count"] == 1
    assert ids


async def test_a_short_code_is_kept_and_waits_for_nobody(api: Api) -> None:
    payload = incoming("262966", "Your parcel is here. Reply STOP to cancel", api.clock.now, sid="SM-9")
    assert (await api.missive(payload)).json() == {"recorded": True}
    assert await api.query("SELECT kind, review, sender, phone_number FROM replies") == [
        {"kind": "short_code", "review": None, "sender": "262966", "phone_number": None}
    ]
