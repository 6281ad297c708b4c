"""`/make`, `/send-now`, `/cancel`, `/pause`, `/resume`, and asking for a step."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import drawing, repository
from libs.common.domain.broadcast import miss
from tests.integration.api import support
from tests.integration.api.support import NOW, Api
from tests.support.statements import replaced


async def audience(api: Api, count: int = 3) -> int:
    for _ in range(count):
        await api.contact("made")
    return await api.segment("made")


async def test_make_answers_who_gets_it_and_when_the_next_one_runs(api: Api) -> None:
    broadcast = await api.broadcast(await audience(api))
    answer = await api.post("/make")
    assert answer.status_code == 201
    assert answer.json() == {
        "broadcast_id": broadcast,
        "recipients": 3,
        "next_broadcast_id": broadcast + 1,
        "next_run_at": "2026-03-05T16:00:00Z",
    }
    assert await api.value("SELECT count(*) FROM outgoing_messages") == 6


@pytest.mark.parametrize("path", ["/make", "/broadcasts/1/send-now"])
async def test_a_draw_may_take_longer_than_a_statement_and_its_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("libs.common.database.engine.ANSWER_GRACE", 0.5)
    sleeps = "(SELECT pg_sleep(3.5)) IS NULL AS slept"
    monkeypatch.setattr(
        drawing, "DRAW", replaced(text(drawing.DRAW), ("AS drawn FROM drawn", f"AS drawn, {sleeps} FROM drawn")).text
    )
    monkeypatch.setattr(database, "create_engine", partial(database.create_engine, statement_timeout=2.0))
    await api.broadcast(await audience(api))
    async with support.running(api.settings) as slow:
        answer = await slow.post(path)
    assert answer.is_success, answer.text
    assert await api.value("SELECT count(*) FROM outgoing_messages") == 6


async def test_the_next_broadcast_has_the_segments_of_this_one(api: Api) -> None:
    """Fault 9: the next broadcast was created without its segments."""
    broadcast = await api.broadcast(await audience(api))
    following = (await api.post("/make")).json()["next_broadcast_id"]
    this, other = [(await api.get(f"/broadcasts/{each}")).json() for each in (broadcast, following)]
    assert [item["segment_id"] for item in other["segments"]] == [item["segment_id"] for item in this["segments"]]
    assert (this["next_broadcast_id"], other["previous_id"]) == (following, broadcast)


async def test_two_makes_at_once_make_one_broadcast(api: Api) -> None:
    """Fault 8: two callers of make both ran; nothing was locked."""
    await api.broadcast(await audience(api, 20))
    answers = await asyncio.gather(*(api.post("/make") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 404, 404, 404]
    refused = next(answer for answer in answers if answer.status_code == 404)
    assert refused.json()["type"] == "urn:broadsheet:problem:nothing-scheduled"
    assert await api.value("SELECT count(*) FROM outgoing_messages") == 40
    assert await api.value("SELECT count(*) FROM broadcasts") == 2


async def test_make_and_send_now_at_once_make_one_broadcast(api: Api) -> None:
    """Fault 8: make and send-now both ran."""
    broadcast = await api.broadcast(await audience(api, 20))
    make, send_now = await asyncio.gather(api.post("/make"), api.post(f"/broadcasts/{broadcast}/send-now"))
    assert make.status_code in (201, 404)
    assert send_now.status_code == 200
    assert await api.value("SELECT count(*) FROM events WHERE type = 'BroadcastMade'") == 1
    assert await api.value("SELECT count(*) FROM outgoing_messages") == 40


async def test_a_broadcast_of_another_day_is_not_made(api: Api) -> None:
    await api.broadcast(await audience(api), run_at=(NOW + timedelta(days=1)).isoformat())
    before = await api.counts()
    assert (await api.post("/make")).json()["type"] == "urn:broadsheet:problem:nothing-scheduled"
    assert await api.counts() == before


async def test_a_broadcast_without_a_segment_is_not_made_and_nothing_changes(api: Api) -> None:
    broadcast = await api.broadcast(await audience(api))
    assert (await api.patch(f"/broadcasts/{broadcast}", {"segments": []})).status_code == 200
    before = await api.counts()
    answer = await api.post("/make")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:broadsheet:problem:no-segments")
    assert await api.counts() == before


async def test_an_empty_draw_is_not_made_and_nothing_changes(api: Api) -> None:
    """Fault 4: here the only member has opted out, and the author of the segment did not think of it."""
    number = await api.contact("made")
    await api.patch(f"/contacts/{await api.contact_id(number)}", {"opted_out": True})
    await api.broadcast(await api.segment("made"))
    before = await api.counts()
    answer = await api.post("/make")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:broadsheet:problem:empty-draw")
    assert await api.counts() == before


async def test_send_now_makes_a_broadcast_and_takes_its_planned_run_away(api: Api) -> None:
    """Fault 12: send-now left the scheduled run in place."""
    broadcast = await api.broadcast(await audience(api), run_at=(NOW + timedelta(days=2)).isoformat())
    answer = await api.post(f"/broadcasts/{broadcast}/send-now")
    assert (answer.status_code, answer.json()["state"]) == (200, "sending_first")
    planned = "SELECT count(*) FROM outbox WHERE type = 'MakeBroadcast' AND broadcast_id = %s"
    assert await api.value(planned, broadcast) == 0


async def test_send_now_sends_a_missed_broadcast_after_all(api: Api) -> None:
    """Fault 12: send-now suppressed a run when it should not have."""
    broadcast = await api.broadcast(await audience(api))
    async with database.transaction(api.engine) as connection:
        missed = await repository.load(connection, broadcast)
        await repository.save(connection, missed, miss(missed, "day_over", None), NOW)
    answer = await api.post(f"/broadcasts/{broadcast}/send-now")
    assert (answer.status_code, answer.json()["recipients"]) == (200, 3)


@pytest.mark.parametrize("action", ["pause", "cancel", "send-now"])
async def test_an_action_taken_twice_answers_the_same_twice(api: Api, action: str) -> None:
    """Fault 13: cancelling what was gone failed."""
    broadcast = await api.made(recurring=False)
    first = await api.post(f"/broadcasts/{broadcast}/{action}")
    after = await api.counts()
    second = await api.post(f"/broadcasts/{broadcast}/{action}")
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.status_code == 200
    assert await api.counts() == after


async def test_a_paused_broadcast_goes_on_where_it_stopped_and_the_planner_hears_of_it(api: Api) -> None:
    broadcast = await api.made()
    paused = (await api.post(f"/broadcasts/{broadcast}/pause")).json()
    assert (paused["state"], paused["paused_from"], paused["pause_reason"]) == ("paused", "sending_first", "staff")
    for _ in range(2):
        resumed = (await api.post(f"/broadcasts/{broadcast}/resume")).json()
        assert (resumed["state"], resumed["paused_from"]) == ("sending_first", None)
    assert await api.value("SELECT count(*) FROM outbox WHERE type = 'BroadcastResumed'") == 1


async def test_a_cancelled_broadcast_sends_nothing_more(api: Api) -> None:
    broadcast = await api.made()
    answer = await api.post(f"/broadcasts/{broadcast}/cancel")
    assert answer.json()["state"] == "cancelled"
    states = await api.query("SELECT DISTINCT state, skip_reason FROM outgoing_messages")
    assert states == [{"state": "skipped", "skip_reason": "cancelled"}]


async def test_the_chain_of_days_goes_on_when_a_day_is_cancelled(api: Api) -> None:
    broadcast = await api.broadcast(await audience(api))
    cancelled = (await api.post(f"/broadcasts/{broadcast}/cancel")).json()
    following = (await api.get(f"/broadcasts/{cancelled['next_broadcast_id']}")).json()
    assert (following["state"], following["run_at"]) == ("scheduled", "2026-03-05T16:00:00Z")
    assert await api.query("SELECT broadcast_id FROM outbox WHERE type = 'MakeBroadcast'") == [
        {"broadcast_id": following["id"]}
    ]


async def test_two_cancels_at_once_schedule_one_next_broadcast(api: Api) -> None:
    broadcast = await api.broadcast(await audience(api))
    answers = await asyncio.gather(*(api.post(f"/broadcasts/{broadcast}/cancel") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["next_broadcast_id"] for answer in answers}) == 1
    assert await api.value("SELECT count(*) FROM broadcasts") == 2


async def test_an_action_that_does_not_fit_the_state_answers_409_and_changes_nothing(api: Api) -> None:
    scheduled = await api.broadcast(await audience(api))
    cancelled = await api.broadcast(recurring=False)
    await api.post(f"/broadcasts/{cancelled}/cancel")
    before = await api.counts()
    for path in (
        f"/broadcasts/{scheduled}/pause", f"/broadcasts/{scheduled}/resume", f"/broadcasts/{cancelled}/pause",
        f"/broadcasts/{cancelled}/resume", f"/broadcasts/{cancelled}/send-now", f"/broadcasts/draft/{scheduled}",
        f"/broadcasts/twilio/{scheduled}",
    ):  # fmt: skip
        answer = await api.post(path)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:broadsheet:problem:conflict"), path
    assert await api.counts() == before


async def test_a_batch_that_is_asked_for_is_planned_now(api: Api) -> None:
    broadcast = await api.made()
    answer = await api.post(f"/broadcasts/draft/{broadcast}")
    assert (answer.status_code, answer.json()) == (202, {"broadcast_id": broadcast})
    assert await api.query("SELECT is_second, due_at FROM batches") == [{"is_second": False, "due_at": NOW}]
    assert await api.value("SELECT count(*) FROM outbox WHERE type = 'SendBatch'") == 1
    assert (await api.post(f"/broadcasts/draft/{broadcast}?isSecond=true")).status_code == 409


async def test_a_status_sync_that_is_asked_for_is_planned_now(api: Api) -> None:
    broadcast = await api.made()
    assert (await api.post(f"/broadcasts/twilio/{broadcast}")).status_code == 202
    assert await api.query("SELECT deliver_at FROM outbox WHERE type = 'SyncStatuses'") == [{"deliver_at": NOW}]
