"""Forgetting what is old: people are gone, figures and history are not."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import ledger, replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.operations import rebuild, retention
from tests.integration.common.eventstore.test_projections import eventful, finish, rows
from tests.support.world import World

NUMBERS = "SELECT count(*) FROM outgoing_messages WHERE recipient_phone_number IS NOT NULL"


async def prune(world: World, days: float) -> retention.Forgotten:
    return await retention.prune(world.engine, world.clock.now - timedelta(days=days), world.clock.now)


async def receive(world: World, number: str, body: str, sid: str) -> bool:
    inbound = Inbound(provider_id=sid, phone_number=number, body=body, received_at=world.clock.now)
    async with database.transaction(world.engine) as connection:
        return await replies.receive(connection, inbound, world.clock.now)


async def test_numbers_and_words_are_forgotten_and_figures_stay(world: World) -> None:
    broadcast = await eventful(world)
    await finish(world, broadcast)
    await receive(world, await world.number_of((await world.contacts(1))[0]), "my address is …", "SM-words")
    async with database.transaction(world.engine) as connection:
        before = await ledger.count(connection, broadcast)
    world.clock.forward(days=31)
    forgotten = await prune(world, 30)
    assert forgotten.broadcasts == 1
    assert forgotten.replies >= 1
    assert await world.value(NUMBERS) == 0
    assert await world.value("SELECT count(*) FROM replies WHERE body <> '' OR phone_number IS NOT NULL") == 0
    async with database.transaction(world.engine) as connection:
        assert await ledger.count(connection, broadcast) == before


async def test_what_is_not_old_or_not_over_is_kept(world: World) -> None:
    broadcast = await eventful(world)
    world.clock.forward(days=31)
    assert (await prune(world, 30)).broadcasts == 0
    await finish(world, broadcast)
    kept = await world.value(NUMBERS)
    assert kept > 0
    assert (await prune(world, 30)).broadcasts == 0
    assert await world.value(NUMBERS) == kept


async def test_a_rebuild_forgets_again_what_was_forgotten(world: World) -> None:
    await finish(world, await eventful(world))
    other = await world.made(3)
    world.clock.forward(days=31)
    await prune(world, 30)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before
    assert await world.value(NUMBERS) == len(await world.messages(other)) * 2


async def test_to_forget_twice_is_to_forget_once(world: World) -> None:
    await finish(world, await eventful(world))
    world.clock.forward(days=31)
    await prune(world, 30)
    assert await prune(world, 30) == retention.Forgotten(broadcasts=0, replies=0)
    assert len(await world.happened("NumbersForgotten")) == 1


async def test_a_webhook_that_is_played_again_after_its_words_were_forgotten_is_still_known(world: World) -> None:
    number = await world.number_of((await world.contacts(1))[0])
    assert await receive(world, number, "START", "SM-old")
    await receive(world, number, "STOP", "SM-new")
    world.clock.forward(days=31)
    assert (await prune(world, 30)).replies == 2
    assert not await receive(world, number, "START", "SM-old")
    assert await world.value("SELECT count(*) FROM opt_outs") == 1


async def test_numbers_and_words_are_forgotten_a_bounded_number_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 7: one statement over a large broadcast is cut off by its time-out, each night again."""
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    await finish(world, await eventful(world))
    await world.query(
        "CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT count(*) FROM changed) > 3 THEN RAISE 'too many'; END IF; RETURN NULL; END $$"
    )
    tables = ("outgoing_messages", "replies")
    for table in tables:
        await world.query(f"CREATE TRIGGER bounded AFTER UPDATE ON {table} REFERENCING NEW TABLE AS changed"
                          " FOR EACH STATEMENT EXECUTE FUNCTION bounded()")  # fmt: skip
    world.clock.forward(days=31)
    try:
        await prune(world, 30)
    finally:
        for table in tables:
            await world.query(f"DROP TRIGGER bounded ON {table}")
        await world.query("DROP FUNCTION bounded")
    assert await world.value(NUMBERS) == 0
    assert await world.value("SELECT count(*) FROM replies WHERE body <> '' OR phone_number IS NOT NULL") == 0


async def test_what_was_cut_off_goes_on_with_the_next_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await finish(world, await eventful(world))
    world.clock.forward(days=31)
    whole = retention.FORGET_NUMBERS
    monkeypatch.setattr(retention, "FORGET_NUMBERS", text("SELECT 1 / 0"))
    with pytest.raises(database.DatabaseError):
        await prune(world, 30)
    assert await world.value("SELECT count(*) FROM replies WHERE body <> ''") == 0
    assert await world.value(NUMBERS) > 0
    monkeypatch.setattr(retention, "FORGET_NUMBERS", whole)
    assert (await prune(world, 30)).broadcasts == 1
    before = await rows(world)
    assert await world.value(NUMBERS) == 0
    async with database.transaction(world.engine) as connection:
        await rebuild.rebuild(connection)
    assert await rows(world) == before


async def test_who_is_out_stays_out_when_what_they_said_is_forgotten(world: World) -> None:
    one, two, three = [await world.number_of(contact) for contact in await world.contacts(3)]
    await receive(world, one, "START", "SM-1")
    await receive(world, two, "START", "SM-2")
    world.clock.forward(minutes=1)
    await receive(world, one, "STOP", "SM-3")
    world.clock.forward(days=31)
    await receive(world, three, "STOP", "SM-4")
    await prune(world, 30)
    assert await world.column("SELECT phone_number FROM opt_outs ORDER BY 1") == sorted([one, three])
    assert await world.column("SELECT phone_number FROM consent_records ORDER BY 1") == sorted([one, three])


async def test_a_number_that_is_held_is_not_let_go_by_time_alone(world: World) -> None:
    """To forget who wrote would be to text them again."""
    number = await world.number_of((await world.contacts(1))[0])
    await receive(world, number, "take me off your list", "SM-1")
    world.clock.forward(days=31)
    assert (await prune(world, 30)).replies == 0
    assert await world.column("SELECT phone_number FROM replies WHERE review = 'waiting'") == [number]
