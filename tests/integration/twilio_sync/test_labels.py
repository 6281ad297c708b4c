"""The pass over Missive's labels, against the simulator: who is labelled has the tags."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.carriers.missive import Missive
from libs.common.rate_limits import rate
from services.twilio_sync import labels as subject
from services.twilio_sync.labels import AGAIN, EVERY, LabelPass
from tests.integration.simulator.running import FROM, TOKEN, Simulator, simulator
from tests.support.world import World

LABELS = {"l-1": "volunteer", "l-2": "internal", "l-3": "donor"}


@pytest.fixture
async def carrier() -> AsyncIterator[Simulator]:
    async with simulator(missive_labels=LABELS) as running:
        yield running


@pytest.fixture
async def missive(carrier: Simulator) -> AsyncIterator[Missive]:
    client = Missive(base_url=carrier.url, token=TOKEN)
    yield client
    await client.aclose()


def reader(world: World, missive: Missive) -> LabelPass:
    followed = {"missive_labels_as_tags": ("volunteer", "donor"), "numbers": (FROM,)}
    return LabelPass(world.settings.model_copy(update=followed), missive)


async def put(carrier: Simulator, number: str, *labels: str) -> None:
    await carrier.control("PUT", "/labels", {"from": number, "to": FROM, "labels": labels, "tell": False})


async def whole_pass(world: World, reading: LabelPass) -> None:
    while await reading.step(world.worker):
        pass


async def tags(world: World) -> dict[str, list[str]]:
    rows = await world.query("SELECT phone_number, tags FROM contacts WHERE tags <> '{}' ORDER BY phone_number")
    return {row["phone_number"]: row["tags"] for row in rows}


def number(n: int) -> str:
    return f"+1313555{n:04}"


async def test_who_is_labelled_is_tagged_over_several_pages(
    world: World, carrier: Simulator, missive: Missive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "CONVERSATIONS_A_PAGE", 3)
    monkeypatch.setattr("libs.common.carriers.missive.CONVERSATIONS_A_PAGE", 3)
    for n in range(101, 109):
        await put(carrier, number(n), "l-1", "l-2")
    await put(carrier, number(110), "l-3")
    await put(carrier, number(111), "l-2")
    await whole_pass(world, reader(world, missive))
    assert await tags(world) == {**{number(n): ["volunteer"] for n in range(101, 109)}, number(110): ["donor"]}


async def test_a_label_that_was_taken_off_without_a_webhook_is_noticed_a_day_later(
    world: World, carrier: Simulator, missive: Missive
) -> None:
    await put(carrier, number(101), "l-1")
    await put(carrier, number(102), "l-1", "l-3")
    reading = reader(world, missive)
    await whole_pass(world, reading)
    await put(carrier, number(101))
    await put(carrier, number(102), "l-3")
    await whole_pass(world, reading)
    assert await tags(world) == {number(101): ["volunteer"], number(102): ["donor", "volunteer"]}
    world.clock.forward(seconds=EVERY.total_seconds() + 1)
    await whole_pass(world, reading)
    assert await tags(world) == {number(102): ["donor"]}


async def test_a_pass_that_missive_breaks_off_goes_on_where_it_was(
    world: World, carrier: Simulator, missive: Missive
) -> None:
    await put(carrier, number(101), "l-1")
    reading = reader(world, missive)
    assert await reading.step(world.worker)  # the labels are listed
    await carrier.control("PUT", "/config", {"missive_token": "another"})
    assert not await reading.step(world.worker)
    await carrier.control("PUT", "/config", {"missive_token": TOKEN})
    assert not await reading.step(world.worker)  # it is not due before a while
    world.clock.forward(seconds=(AGAIN + timedelta(minutes=2)).total_seconds())
    await whole_pass(world, reading)
    assert await tags(world) == {number(101): ["volunteer"]}
    asked = await carrier.control("GET", "/requests?kind=missive_labels")
    assert len(asked["requests"]) == 1


async def test_two_processes_read_each_page_once(world: World, carrier: Simulator, missive: Missive) -> None:
    await put(carrier, number(101), "l-1")
    for reading in (reader(world, missive), reader(world, missive)) * 4:
        await reading.step(world.worker)
    asked = await carrier.control("GET", "/requests?list=false")
    kinds = asked["totals"]["kinds"]
    assert (kinds["missive_labels"], kinds["missive_conversations"]) == (1, 2)


async def test_a_missive_that_wants_to_be_left_alone_is_left_alone_by_everybody(
    world: World, carrier: Simulator, missive: Missive
) -> None:
    reading = reader(world, missive)
    await carrier.control("PUT", "/config", {"limits": {"windows": [[1, 900.0]]}})
    await put(carrier, number(101), "l-1")
    assert await reading.step(world.worker)  # the labels are listed
    assert not await reading.step(world.worker)
    async with database.transaction(world.engine) as connection:
        seconds, _ = await rate.backoff(connection, [rate.MISSIVE])
    assert seconds > 0


async def test_a_step_for_which_there_is_no_room_is_taken_as_soon_as_there_is(
    world: World, carrier: Simulator, missive: Missive
) -> None:
    await put(carrier, number(101), "l-1")
    reading = reader(world, missive)
    async with database.transaction(world.engine) as connection:
        await rate.prepare(connection, [rate.MISSIVE])
        await rate.back_off(connection, rate.MISSIVE, 60.0)
    assert not await reading.step(world.worker)
    assert (await carrier.control("GET", "/requests?list=false"))["totals"]["requests"] == 0
    async with database.transaction(world.engine) as connection:
        await connection.execute(text("DELETE FROM pace"))
    await whole_pass(world, reading)
    assert await tags(world) == {number(101): ["volunteer"]}
