"""Contacts whose numbers take no texts: shown, listed, left out, and brought back by name."""

import pytest

from libs.common import database
from libs.common.broadcasts import delivery_status
from libs.common.domain import events as e
from tests.integration.api.support import Api


async def dead(api: Api) -> tuple[int, int]:
    """Have the messages of two broadcasts to one of two people fail; return the person and the last broadcast."""
    contact = await api.contact_id(await api.contact("a"))
    await api.contact("a")
    segment = await api.segment("a")
    for _ in range(2):
        api.clock.forward(hours=1)
        broadcast = await api.broadcast(segment)
        assert (await api.post(f"/broadcasts/{broadcast}/send-now")).status_code == 200
        await api.sent(broadcast)
        message = await api.value(
            "SELECT id FROM outgoing_messages WHERE broadcast_id = %s AND contact_id = %s AND NOT is_second",
            broadcast, contact,
        )  # fmt: skip
        status = e.MessageStatus(
            message_id=message, twilio_id=f"SM{message}", status="undelivered", error_code=30005, sent_at=None
        )
        event = e.StatusesSynced(broadcast_id=broadcast, statuses=(status,), number=None)
        async with database.transaction(api.engine) as connection:
            await delivery_status.record(connection, event, api.clock.now)
    return contact, broadcast


async def test_a_contact_says_that_and_why_it_is_left_out(api: Api) -> None:
    contact, broadcast = await dead(api)
    shown = (await api.get(f"/contacts/{contact}")).json()["unreachable"]
    assert (shown["code"], shown["meaning"]) == ("30005", "The number is unknown or no longer in service")
    assert [item["id"] for item in (await api.get("/contacts?unreachable=true")).json()["items"]] == [contact]
    others = (await api.get("/contacts?unreachable=false")).json()["items"]
    assert contact not in [item["id"] for item in others]
    assert {item["unreachable"] for item in others} == {None}
    segment = await api.value("SELECT id FROM audience_segments")
    assert (await api.get(f"/segments/{segment}/preview")).json()["count"] == 1
    report = (await api.get(f"/broadcasts/{broadcast}/report")).json()
    assert report["unreachable"] == 1
    assert report["ledger"]["skipped"] == {"number_unreachable": 1}


async def test_staff_bring_a_contact_back_by_name(api: Api) -> None:
    contact, _ = await dead(api)
    for _ in range(2):  # twice does no harm
        answer = await api.post(f"/contacts/{contact}/reachable", {"by": " Ann "})
        assert (answer.status_code, answer.json()["unreachable"]) == (200, None)
    assert await api.query("SELECT cleared_because, cleared_by FROM unreachable_numbers") == [
        {"cleared_because": "staff", "cleared_by": "Ann"}
    ]
    assert await api.value("SELECT count(*) FROM events WHERE type = 'NumberReachable'") == 1
    assert (await api.get("/contacts?unreachable=true")).json()["items"] == []


@pytest.mark.parametrize("body", [{}, {"by": ""}, {"by": "  "}, {"by": "\u200b"}, {"by": 7}])
async def test_nobody_is_brought_back_by_nobody(api: Api, body: dict[str, object]) -> None:
    contact, _ = await dead(api)
    assert (await api.post(f"/contacts/{contact}/reachable", body)).status_code in (400, 422)
    assert (await api.get(f"/contacts/{contact}")).json()["unreachable"] is not None


async def test_who_is_not_there_cannot_be_brought_back(api: Api) -> None:
    assert (await api.post("/contacts/77/reachable", {"by": "Ann"})).status_code == 404


async def test_an_erased_contact_leaves_no_number_behind(api: Api) -> None:
    contact, _ = await dead(api)
    assert (await api.client.delete(f"/contacts/{contact}")).status_code == 204
    assert await api.value("SELECT count(*) FROM unreachable_numbers") == 0
    assert (await api.get(f"/contacts/{contact}")).json()["unreachable"] is None
