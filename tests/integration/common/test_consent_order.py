"""What people want depends on what was said, not on the order in which carriers tell of it, nor on how often."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import opt_outs, replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.database import Connection
from libs.common.domain.states import CarrierWord, ConsentSource
from tests.support.world import NOW, World

#: Words, the carrier's word for them, and when they were written, in seconds.
Said = tuple[str, CarrierWord | None, int]
SAID: dict[str, list[Said]] = {
    "out and in": [("STOP", CarrierWord.STOP, 0), ("START", CarrierWord.START, 10)],
    "in and out": [("START", CarrierWord.START, 0), ("STOP", CarrierWord.STOP, 10)],
    "in by the carrier's word alone": [("STOP", CarrierWord.STOP, 0), ("Yes", CarrierWord.START, 10)],
    "out by the carrier's word alone": [("START", CarrierWord.START, 0), ("fin", CarrierWord.STOP, 10)],
    "at the same moment": [("START", CarrierWord.START, 5), ("STOP", CarrierWord.STOP, 5)],
    "likely, then in": [("take me off your list", None, 0), ("Yes", CarrierWord.START, 10)],
    "in, then likely": [("Yes", CarrierWord.START, 0), ("take me off your list", None, 10)],
    "out, then likely": [("STOP", CarrierWord.STOP, 0), ("who is this, take me off", None, 10)],
    "likely to us, and in to the carrier": [
        ("STOP", CarrierWord.STOP, 0),
        ("yes no more please", CarrierWord.START, 10),
    ],
    "to and fro": [
        ("STOP", CarrierWord.STOP, 0),
        ("Yes", CarrierWord.START, 10),
        ("alto", None, 20),
        ("START", None, 30),
        ("hi", None, 40),
    ],
}

STATE = text("""
SELECT (SELECT count(*) FROM opt_outs) AS out, (SELECT max(opted_out_at) FROM opt_outs) AS since,
       (SELECT max(source) FROM opt_outs) AS source,
       array_agg((provider_id, body, received_at, wish, carrier_word, review, review_reason)::text ORDER BY provider_id)
           AS replies
FROM replies
""")


def tellings(said: list[Said], number: str) -> list[Inbound]:
    """Return what both carriers tell: Missive when it was written, Twilio what it took it for."""
    found = []
    for n, (body, word, at) in enumerate(said):
        about: dict[str, Any] = {"provider_id": f"SM{n}", "phone_number": number, "body": body}
        found += [
            Inbound(**about, received_at=NOW + timedelta(seconds=at), provider="missive"),
            Inbound(**about, received_at=NOW + timedelta(minutes=5), provider="twilio", carrier_word=word),
        ]
    return found


@asynccontextmanager
async def taken_back(connection: Connection) -> AsyncIterator[None]:
    """Undo what is done in the block."""
    savepoint = await connection.begin_nested()
    try:
        yield
    finally:
        await savepoint.rollback()


async def state(connection: Connection, told: list[Inbound]) -> Any:
    """Return what is on record once all has been told, and leave nothing behind."""
    async with taken_back(connection):
        for n, inbound in enumerate(told):
            # Twilio does not say when, so it is when we hear of it.
            at = inbound.received_at + timedelta(seconds=n if inbound.provider == "twilio" else 0)
            one = Inbound(**{name: getattr(inbound, name) for name in Inbound.__slots__} | {"received_at": at})
            await replies.receive(connection, one, NOW + timedelta(minutes=6, seconds=n))
        return (await connection.execute(STATE)).mappings().first()


@pytest.mark.parametrize("what", SAID)
async def test_what_somebody_wants_does_not_depend_on_the_order_of_the_telling(world: World, what: str) -> None:
    [contact] = await world.contacts(1)
    once = tellings(SAID[what], await world.number_of(contact))
    chance = random.Random(what)
    async with database.transaction(world.engine) as connection:
        expected = await state(connection, once)
        for _ in range(25):
            told = once + chance.choices(once, k=chance.randint(0, 4))
            chance.shuffle(told)
            assert await state(connection, told) == expected, [(one.provider_id, one.provider) for one in told]


@pytest.mark.parametrize(
    ("what", "out", "waiting"),
    [
        ("out and in", 0, 0), ("in and out", 1, 0), ("in by the carrier's word alone", 0, 0),
        ("out by the carrier's word alone", 1, 0), ("at the same moment", 1, 0), ("likely, then in", 0, 0),
        ("in, then likely", 0, 1), ("out, then likely", 1, 0), ("likely to us, and in to the carrier", 0, 0),
        ("to and fro", 0, 0),
    ],
)  # fmt: skip
async def test_the_last_clear_word_holds(world: World, what: str, out: int, waiting: int) -> None:
    [contact] = await world.contacts(1)
    async with database.transaction(world.engine) as connection:
        found = await state(connection, tellings(SAID[what], await world.number_of(contact)))
    assert (found["out"], sum("waiting" in reply for reply in found["replies"])) == (out, waiting)


async def test_an_opt_out_from_before_there_were_records_counts_as_one(world: World) -> None:
    """Of an older release, beside which this one may run."""
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    await world.query("INSERT INTO opt_outs VALUES (%s, %s, 'sms', %s, NULL, 'user:1')", number, contact, NOW)
    async with database.transaction(world.engine) as connection:
        for seconds, is_out in ((-5, True), (5, False)):
            async with taken_back(connection):
                at = NOW + timedelta(seconds=seconds)
                await opt_outs.opt_in(connection, number, ConsentSource.SMS, at, at=at)
                row = (await connection.execute(text("SELECT count(*) AS out FROM opt_outs"))).mappings().first()
                assert row is not None
                assert row["out"] == int(is_out)


async def test_what_staff_do_comes_after_all_that_they_can_have_known_of(world: World) -> None:
    [contact] = await world.contacts(1)
    number = await world.number_of(contact)
    async with database.transaction(world.engine) as connection:
        await opt_outs.opt_out(connection, number, ConsentSource.SMS, NOW)
        assert await opt_outs.opt_in(connection, number, ConsentSource.STAFF, NOW)
        assert await opt_outs.opt_out(connection, number, ConsentSource.STAFF, NOW)
