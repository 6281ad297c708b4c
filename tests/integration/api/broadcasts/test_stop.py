"""`/stop`: nothing more leaves, whatever is under way."""

import asyncio
from datetime import timedelta

from libs.common import database
from libs.common.broadcasts import making, repository
from libs.common.domain.broadcast import finish_phase
from libs.common.domain.holiday_calendar import Calendar
from tests.integration.api.support import NOW, Api


async def state_of(api: Api, broadcast: int) -> str:
    return str(await api.value("SELECT state FROM broadcasts WHERE id = %s", broadcast))


async def test_everything_that_sends_or_waits_is_paused_and_goes_on_when_asked_to(api: Api) -> None:
    sending, waiting = await api.made(recurring=False), await api.made(recurring=False)
    async with database.transaction(api.engine) as connection:
        broadcast = await repository.load(connection, waiting)
        events = finish_phase(broadcast, last_started_at=NOW, now=NOW, uncertain=0)
        await repository.save(connection, broadcast, events, NOW)
    answer = await api.post("/stop")
    assert answer.status_code == 200
    assert sorted(answer.json()["paused"]) == [sending, waiting]
    assert {await state_of(api, sending), await state_of(api, waiting)} == {"paused"}
    assert (await api.post(f"/broadcasts/{sending}/resume")).json()["state"] == "sending_first"


async def test_stop_pressed_twice_does_no_harm(api: Api) -> None:
    await api.made(recurring=False)
    await api.post("/stop")
    before = await api.counts()
    assert (await api.post("/stop")).json() == {"paused": [], "not_stopped": [], "scheduled": [], "under_way": 0}
    assert await api.counts() == before


async def test_what_will_begin_within_a_day_is_told_and_stays_as_it_is(api: Api) -> None:
    await api.contact("made")
    segment = await api.segment("made")
    soon = await api.broadcast(segment)
    await api.broadcast(segment, run_at=(NOW + timedelta(days=3)).isoformat())
    answer = (await api.post("/stop")).json()
    assert answer["scheduled"] == [{"broadcast_id": soon, "run_at": "2026-03-04T16:00:00Z"}]
    assert await state_of(api, soon) == "scheduled"


async def test_messages_that_may_still_arrive_are_counted(api: Api) -> None:
    broadcast = await api.made(3, recurring=False)
    await api.query(
        "INSERT INTO batches (id, broadcast_id, is_second, due_at) VALUES (gen_random_uuid(), %s, false, %s)",
        broadcast, NOW,
    )  # fmt: skip
    await api.query(
        "UPDATE outgoing_messages SET state = 'started', attempts = 1, attempt_started_at = %s,"
        " claimed_by = (SELECT id FROM batches) WHERE id IN (SELECT min(id) FROM outgoing_messages)",
        NOW,
    )
    assert (await api.post("/stop")).json()["under_way"] == 1


async def test_a_broadcast_that_is_just_being_made_is_stopped_once_it_is(api: Api) -> None:
    """The list of what to stop was read before it was made: waiting for its lock is what finds it."""
    await api.contact("made")
    broadcast = await api.broadcast(await api.segment("made"), recurring=False)
    async with database.transaction(api.engine) as connection:
        await repository.load(connection, broadcast)
        stopping = asyncio.create_task(api.post("/stop"))
        await api.until_somebody_waits()
        schedule = making.Schedule(zone=api.settings.zone, calendar=Calendar())
        await making.make(connection, await repository.load(connection, broadcast), schedule, NOW, by_hand=True)
    assert (await stopping).json()["paused"] == [broadcast]
    assert await state_of(api, broadcast) == "paused"


async def test_a_broadcast_that_is_locked_keeps_no_other_from_being_stopped(api: Api) -> None:
    locked, free = await api.made(recurring=False), await api.made(recurring=False)
    async with database.transaction(api.engine) as connection:
        await repository.load(connection, locked)
        answer = (await api.post("/stop")).json()
    assert answer["paused"] == [free]
    assert answer["not_stopped"] == [locked]
