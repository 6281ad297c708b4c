"""Numbers held back: somebody may have said no, and nothing more leaves until a person has looked."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import audience, held_numbers, replies, segment_sql
from libs.common.broadcasts.inbound import Inbound
from libs.common.domain import segments
from libs.common.domain.keywords import Reason
from services.sender import batches
from tests.support.world import HERE, NOW, World

LIKELY = "who is this, take me off"


async def write(world: World, number: str, body: str, *, sid: str = "SM1", at: datetime | None = None) -> bool:
    inbound = Inbound(provider_id=sid, phone_number=number, body=body, received_at=at or world.clock.now)
    async with database.transaction(world.engine) as connection:
        return await replies.receive(connection, inbound, world.clock.now)


async def hold(world: World, number: str, reason: Reason = Reason.NOT_HANDED_OVER) -> bool:
    async with database.transaction(world.engine) as connection:
        return await held_numbers.hold(connection, number, reason, world.clock.now)


async def reviews(world: World) -> list[Any]:
    return await world.column("SELECT review FROM replies ORDER BY id")


async def members(world: World) -> int:
    async with database.transaction(world.engine) as connection:
        return await audience.count(connection, segment_sql.condition(segments.EVERYBODY, world.clock.now))


async def test_a_likely_opt_out_is_held_and_not_taken_for_certain(world: World) -> None:
    [contact] = await world.contacts(1, "all")
    await write(world, await world.number_of(contact), LIKELY)
    assert await world.value("SELECT count(*) FROM opt_outs") == 0
    assert await reviews(world) == ["waiting"]
    assert await world.happened("OptOutSuspected") == [
        {"reply_id": 1, "contact_id": contact, "reason": "take_me_off", "broadcast_id": None}
    ]


async def test_a_number_that_is_held_is_counted_in_no_audience_and_drawn_by_nobody(world: World) -> None:
    ids = await world.contacts(2, "all")
    await write(world, await world.number_of(ids[0]), LIKELY)
    assert await members(world) == 1
    broadcast = await world.scheduled(await world.segment("all"))
    assert (await world.make(broadcast)).recipients == 1
    assert [row["contact_id"] for row in await world.messages(broadcast)] == [ids[1]]


async def test_a_message_to_a_number_that_is_held_is_neither_claimed_nor_started(world: World) -> None:
    broadcast = await world.made(2)
    one, two = await world.messages(broadcast)
    await write(world, one["recipient_phone_number"], LIKELY)
    started = await world.start(await world.claimed(broadcast))
    assert [item.attempt.message_id for item in started] == [two["id"]]
    assert (await world.states(broadcast))[0] == "pending"


async def test_a_message_that_a_batch_has_claimed_goes_back_to_wait(world: World) -> None:
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    await write(world, await world.number_of(1), LIKELY)
    assert await world.states(broadcast) == ["pending"]
    assert await world.start(batch) == []


async def test_a_start_that_meets_the_hold_before_it_is_committed_starts_nothing(world: World) -> None:
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    async with database.transaction(world.engine) as connection:
        await held_numbers.hold(connection, await world.number_of(1), Reason.NOT_HANDED_OVER, NOW)
        starting = asyncio.create_task(world.start(batch))
        await world.until_somebody_waits()
    assert await starting == []
    assert await world.states(broadcast) == ["pending"]


async def test_the_statement_that_starts_looks_by_itself(world: World) -> None:
    """A draw under way: its messages cannot be seen yet when the likely opt-out comes."""
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    await world.query(
        "INSERT INTO replies (provider_id, phone_number, body, received_at, review, review_reason)"
        " VALUES ('x', %s, '', now(), 'waiting', 'no_more')", await world.number_of(1),
    )  # fmt: skip
    async with database.transaction(world.engine) as connection:
        assert await batches.start(connection, batch, count=1, open_=[HERE], now=NOW) == []


async def test_others_go_on_and_what_is_held_ends_with_its_phase(world: World) -> None:
    """Every recipient ends: a phase does not wait for a person, and the ledger says why."""
    broadcast = await world.made(2, second_delay=0)
    one, _ = await world.messages(broadcast)
    await write(world, one["recipient_phone_number"], LIKELY)
    assert await world.advance(broadcast) == "sending_first"
    await world.query("UPDATE batches SET closed_at = now()")
    await world.send(broadcast)
    assert await world.advance(broadcast) == "sending_second"
    [held, _] = await world.messages(broadcast)
    assert (held["state"], held["skip_reason"]) == ("skipped", "held_for_review")
    [second, _] = await world.messages(broadcast, is_second=True)
    assert (second["state"], second["skip_reason"]) == ("skipped", "held_for_review")


async def test_what_is_held_in_the_second_phase_ends_with_it(world: World) -> None:
    broadcast = await world.made(2, second_delay=0)
    await world.send(broadcast)
    await world.advance(broadcast)
    await hold(world, (await world.messages(broadcast, is_second=True))[0]["recipient_phone_number"])
    await world.query("UPDATE batches SET closed_at = now()")
    await world.send(broadcast, is_second=True)
    assert await world.advance(broadcast) == "syncing"
    [second, other] = await world.messages(broadcast, is_second=True)
    assert (second["state"], second["skip_reason"]) == ("skipped", "held_for_review")
    assert other["state"] == "accepted"


async def test_a_phase_that_has_nothing_but_what_is_held_plans_no_batches_for_ever(world: World) -> None:
    broadcast = await world.made(1, second_delay=0)
    await hold(world, await world.number_of(1))
    assert await world.advance(broadcast) == "syncing"
    assert await world.opens(broadcast) == []


async def test_a_hold_without_words_is_recorded_once_and_shows_as_a_notice(world: World) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    assert [await hold(world, number), await hold(world, number)] == [True, False]
    assert await world.query("SELECT channel, body, contact_id, broadcast_id, review, review_reason FROM replies") == [
        {"channel": "notice", "body": "", "contact_id": contact, "broadcast_id": None, "review": "waiting",
         "review_reason": "not_handed_over"}
    ]  # fmt: skip


async def test_who_has_opted_out_is_not_held_as_well(world: World) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    await write(world, number, "STOP")
    assert not await hold(world, number)
    await write(world, number, LIKELY, sid="SM2")
    assert await reviews(world) == [None, "superseded"]


@pytest.mark.parametrize("word", ["STOP", "START"])
async def test_something_clear_said_later_settles_what_was_likely(world: World, word: str) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    await write(world, number, LIKELY)
    world.clock.forward(seconds=5)
    await write(world, number, word, sid="SM2")
    assert await reviews(world) == ["superseded", None]
    assert await members(world) == (1 if word == "START" else 0)


@pytest.mark.parametrize("first", ["START", LIKELY])
async def test_something_clear_said_before_settles_nothing_whatever_is_heard_of_first(world: World, first: str) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    said = {"START": NOW, LIKELY: world.clock.forward(seconds=5)}
    world.clock.forward(seconds=5)
    for word in sorted(said, key=lambda word: word != first):
        await write(world, number, word, sid=word, at=said[word])
    assert await world.value("SELECT review FROM replies WHERE provider_id = %s", LIKELY) == "waiting"
