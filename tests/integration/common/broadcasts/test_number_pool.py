"""Broadcasts from several numbers: who had one keeps it, the others are dealt out by what each number may send."""

import random
from collections import Counter
from dataclasses import replace

import httpx
import pytest

from libs.common import database
from libs.common.broadcasts import number_pool, repository
from libs.common.domain import events as e
from libs.common.domain.commands import SendBatch, SyncStatuses
from libs.common.operations import rebuild
from services.planner import queries
from services.sender.batch_sender import Sender
from services.twilio_sync.status_sync import Sync
from tests.support.deliveries import delivery
from tests.support.scripted import ScriptedCarrier
from tests.support.twilio_log import TwilioLog
from tests.support.world import FROM, World, make_settings

SECOND, THIRD = "+13135550199", "+13135550111"


async def numbers(world: World, *others: str, **of_first: object) -> tuple[int, ...]:
    """Have further numbers, and give the ids of all."""
    for field, value in of_first.items():
        await world.query(f"UPDATE sending_numbers SET {field} = %s WHERE id = %s", value, await world.sending_number())
    return (await world.sending_number(), *[await world.sending_number(each) for each in others])


async def pooled(world: World, tag: str, ids: tuple[int, ...], count: int = 0) -> int:
    """Make a broadcast from several numbers to all who have a tag, and `count` new people."""
    if count:
        await world.contacts(count, tag)
    segment = await world.value("SELECT id FROM audience_segments WHERE name = %s", tag) or await world.segment(
        tag, name=tag
    )
    broadcast = await world.scheduled(int(segment), pool=ids[1:])
    await world.make(broadcast)
    return broadcast


async def indexes(world: World, broadcast: int, *, is_second: bool = False) -> dict[int, int]:
    rows = await world.query(
        "SELECT contact_id, pool_index FROM outgoing_messages WHERE broadcast_id = %s AND is_second = %s",
        broadcast, is_second,
    )  # fmt: skip
    return {row["contact_id"]: row["pool_index"] for row in rows}


async def taken(world: World, broadcast: int) -> None:
    """Have the carrier take all first messages."""
    await world.query(
        "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s"
        " WHERE broadcast_id = %s AND NOT is_second",
        world.clock.now, broadcast,
    )  # fmt: skip


async def test_both_messages_of_a_person_leave_from_one_number_and_the_shares_are_the_limits(world: World) -> None:
    ids = await numbers(world, SECOND, daily_cap=30)
    await world.query("UPDATE sending_numbers SET daily_cap = 10 WHERE id = %s", ids[1])
    broadcast = await pooled(world, "all", ids, 20)
    first, second = await indexes(world, broadcast), await indexes(world, broadcast, is_second=True)
    assert first == second
    assert Counter(first.values()) == {0: 15, 1: 5}


@pytest.mark.parametrize("seed", range(5))
async def test_who_had_a_number_keeps_it_whatever_came_between(world: World, seed: int) -> None:
    """A property, over random histories: a person's number is the one of the last text that they had from the pool."""
    chance = random.Random(seed)
    ids = await numbers(world, SECOND, THIRD)
    await world.contacts(30, "all")
    last: dict[int, int] = {}
    for _ in range(4):
        order = (ids[0], *chance.sample(ids[1:], 2))
        broadcast = await pooled(world, "all", order)
        given = {contact: order[index] for contact, index in (await indexes(world, broadcast)).items()}
        assert {contact: given[contact] for contact in last} == last
        # Not all have had it: who had none of it is free to be dealt another number.
        had = chance.sample(sorted(given), 20)
        await world.query(
            "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = %s"
            " WHERE broadcast_id = %s AND NOT is_second AND contact_id = ANY(%s)",
            world.clock.now, broadcast, had,
        )  # fmt: skip
        last |= {contact: given[contact] for contact in had}
        await world.cancel(broadcast)
        world.clock.forward(days=1)


async def test_what_one_number_has_no_room_for_today_goes_by_another(world: World) -> None:
    ids = await numbers(world, SECOND)
    await world.query("UPDATE sending_numbers SET daily_cap = 100")
    day = world.clock.now.astimezone(world.settings.zone).date()
    await world.query("INSERT INTO sending_days VALUES (%s, %s, 97)", ids[0], day)
    broadcast = await pooled(world, "all", ids, 20)
    assert Counter((await indexes(world, broadcast)).values()) == {0: 3, 1: 17}


async def test_a_number_that_is_off_gets_nobody(world: World) -> None:
    ids = await numbers(world, SECOND, enabled=False)
    assert set((await indexes(world, await pooled(world, "all", ids, 5))).values()) == {1}


async def test_history_is_rebuilt_with_each_persons_number(world: World) -> None:
    ids = await numbers(world, SECOND, THIRD)
    broadcast = await pooled(world, "all", ids, 30)
    before = await world.dump()
    assert len(set((await indexes(world, broadcast)).values())) == 3
    async with database.transaction(world.engine) as connection:
        await rebuild.rebuild(connection)
    assert (await world.dump())["outgoing_messages"] == before["outgoing_messages"]


async def test_each_numbers_messages_leave_from_it_by_its_carrier_and_at_its_pace(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, send_rate=200))
    ids = await numbers(world, SECOND)
    await world.query("UPDATE sending_numbers SET carrier = 'twilio' WHERE id = %s", ids[1])
    broadcast = await pooled(world, "all", ids, 12)
    await world.advance(broadcast)
    missive, twilio = ScriptedCarrier(name="missive"), ScriptedCarrier(name="twilio")
    sender = Sender(world.worker, world.settings, missive, twilio)
    for batch in await world.opens(broadcast):
        await sender.send_batch(SendBatch(broadcast_id=broadcast, batch_id=batch, is_second=False), delivery())
    by_index = await indexes(world, broadcast)
    people = {await world.number_of(contact): index for contact, index in by_index.items()}
    assert {request.to for request in missive.requests} == {to for to, index in people.items() if index == 0}
    assert {request.to for request in twilio.requests} == {to for to, index in people.items() if index == 1}
    assert {request.from_number for request in missive.requests} == {FROM}
    assert {request.from_number for request in twilio.requests} == {SECOND}
    assert await world.states(broadcast) == ["accepted"] * 12
    assert await world.advance(broadcast) == "waiting"


async def test_a_number_that_waits_for_another_day_keeps_nobody_else_and_the_phase_does_not_end(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, send_rate=200))
    ids = await numbers(world, SECOND)
    broadcast = await pooled(world, "all", ids, 10)
    counted = Counter((await indexes(world, broadcast)).values())
    await world.query("UPDATE sending_numbers SET enabled = false WHERE id = %s", ids[1])
    await world.advance(broadcast)
    carrier = ScriptedCarrier()
    for batch in await world.opens(broadcast):
        step = SendBatch(broadcast_id=broadcast, batch_id=batch, is_second=False)
        await Sender(world.worker, world.settings, carrier).send_batch(step, delivery())
    assert len(carrier.requests) == counted[0]
    assert await world.advance(broadcast) == "sending_first"
    async with database.transaction(world.engine) as connection:
        loaded = await repository.load(connection, broadcast)
        facts = await queries.phase(connection, loaded, 1, world.clock.now, world.settings)
    assert (facts.claimable, facts.held_until) == (counted[1], world.clock.now + queries.LOOK_AGAIN)


@pytest.mark.parametrize(("page_size", "gone"), [(2, None), (10, 2)])
async def test_the_log_is_read_number_by_number_and_each_entry_is_its_numbers(
    world: World, page_size: int, gone: int | None
) -> None:
    """Where a page is gone all numbers are read again, from the first one's first page on."""
    ids = await numbers(world, SECOND, THIRD)
    broadcast = await pooled(world, "all", ids, 9)
    order = [FROM, SECOND, THIRD]
    log = TwilioLog(clock=world.clock)
    rows = await world.query(
        "SELECT id, recipient_phone_number AS number, pool_index FROM outgoing_messages"
        " WHERE broadcast_id = %s AND NOT is_second",
        broadcast,
    )
    await taken(world, broadcast)
    await world.query(
        "INSERT INTO broadcast_sent_message_status (outgoing_message_id, broadcast_id, is_second, outcome)"
        " SELECT id, broadcast_id, false, 'accepted' FROM outgoing_messages WHERE NOT is_second"
    )
    body = str(await world.value("SELECT first_message FROM broadcasts WHERE id = %s", broadcast))
    for row in rows:
        sent_from = order[row["pool_index"]]
        log.add(f"SM{row['id']}", row["number"], body, world.clock.now, from_number=sent_from)
        # The same words to the same person from another of our numbers are no message of this broadcast.
        log.add(f"XX{row['id']}", row["number"], body, world.clock.now, from_number="+13135550122")
    settings = make_settings(world.settings.database_url, sync_page_size=page_size)
    sync = Sync(world.worker, settings, log.twilio(), None)
    for passes in range(12):
        log.failures = [httpx.Response(404, json={"code": 20404, "message": "not found"})] if passes == gone else []
        await sync.sync_statuses(SyncStatuses(broadcast_id=broadcast), delivery())
        if await world.value("SELECT twilio_paging IS NULL FROM broadcasts WHERE id = %s", broadcast):
            break
    found = await world.query("SELECT outgoing_message_id AS id, twilio_id FROM broadcast_sent_message_status")
    assert {row["id"]: row["twilio_id"] for row in found} == {row["id"]: f"SM{row['id']}" for row in rows}


async def test_one_that_was_made_again_after_a_restore_leaves_from_where_the_log_says(world: World) -> None:
    """Else what was sent from one number would be sent again from another."""
    ids = await numbers(world, SECOND)
    broadcast = await pooled(world, "all", ids, 10)
    given = await indexes(world, broadcast)
    order = [FROM, SECOND]
    swapped = {await world.number_of(contact): order[1 - index] for contact, index in given.items()}
    async with database.transaction(world.engine) as connection:
        loaded = await repository.load(connection, broadcast)
        await number_pool.keep(connection, loaded, swapped, world.clock.now)
    assert await indexes(world, broadcast) == {contact: 1 - index for contact, index in given.items()}
    assert await indexes(world, broadcast, is_second=True) == await indexes(world, broadcast)
    events = await world.events_of(f"broadcast-{broadcast}-numbers")
    assert {event.pool_index for event in events if isinstance(event, e.NumbersAssigned)} == {0, 1}
