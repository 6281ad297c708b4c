"""Replies of which Missive told the beginning: the whole of their words is asked for, and counts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import opt_outs, replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.missive import Missive
from libs.common.rate_limits import rate
from services.twilio_sync import queries
from services.twilio_sync.words import AGAIN, PATIENCE, FullWords
from tests.support.world import World

BEGINNING = "I have lived here for thirty years and nobody has ever asked me about the street"
WHOLE = f"{BEGINNING} lights. Please stop texting me."
ERROR = {"error": {"message": "Not found"}}


@dataclass
class Messages:
    """Missive with some messages, and what it was asked."""

    known: dict[str, Any] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], Any] | None = None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        ids = request.url.path.rpartition("/")[2].split(",")
        self.asked.append(ids)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.status != 200:
            return httpx.Response(self.status, json=ERROR, headers=self.headers)
        found = [{"id": each, **self.known[each]} for each in ids if each in self.known]
        if len(found) < len(ids):
            return httpx.Response(404, json=ERROR)
        return httpx.Response(200, json={"messages": found if len(ids) > 1 else found[0]})

    def words(self, world: World) -> FullWords:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return FullWords(world.settings, Missive(base_url="http://missive", token="t", client=client))


async def write(world: World, number: str, missive_id: str, body: str = BEGINNING) -> None:
    inbound = Inbound(
        provider_id=f"SM-{missive_id}", phone_number=number, body=body, received_at=world.clock.now, provider="missive",
        is_cut=True, missive_id=missive_id,
    )  # fmt: skip
    async with database.transaction(world.engine) as connection:
        assert await replies.receive(connection, inbound, world.clock.now)


async def reply(world: World) -> dict[str, Any]:
    [row] = await world.query("SELECT body, words_cut, words_due_at, review, wish, missive_id FROM replies")
    return row


@pytest.fixture
async def number(world: World) -> str:
    [contact] = await world.contacts(1)
    return await world.number_of(contact)


async def test_the_whole_words_are_asked_for_and_until_then_the_reply_is_marked(world: World, number: str) -> None:
    missive = Messages({"m1": {"body": "<div>" + WHOLE + "</div>", "preview": BEGINNING}})
    await write(world, number, "m1")
    assert (await reply(world))["words_cut"] is True
    assert await missive.words(world).ask(world.worker)
    found = await reply(world)
    assert (found["body"], found["words_cut"], found["words_due_at"], found["missive_id"]) == (WHOLE, False, None, None)
    assert found["review"] == "waiting"
    assert not await missive.words(world).ask(world.worker)
    assert missive.asked == [["m1"]]


async def test_a_stop_in_the_rest_of_the_words_counts_by_the_time_at_which_it_was_written(
    world: World, number: str
) -> None:
    missive = Messages({"m1": {"body": "Please stop, thank you. " * 2 + "STOP"}})
    at = world.clock.now
    await write(world, number, "m1", "Please stop, thank you. Please stop, thank you. Please stop…")
    world.clock.forward(minutes=2)
    assert await missive.words(world).ask(world.worker)
    assert await world.column("SELECT opted_out_at FROM opt_outs") == [at]


async def test_what_only_seemed_likely_by_its_beginning_is_held_no_more(world: World, number: str) -> None:
    missive = Messages({"m1": {"body": "How can I stop by, and when are you open? I would love to show you the lamp"}})
    await write(world, number, "m1", "How can I stop…")
    assert (await reply(world))["review"] == "waiting"
    await missive.words(world).ask(world.worker)
    assert (await reply(world))["review"] is None


async def test_several_replies_are_asked_for_in_one_request(world: World, number: str) -> None:
    missive = Messages({f"m{n}": {"body": f"whole {n}"} for n in range(25)})
    for n in range(25):
        await write(world, number, f"m{n}")
    words = missive.words(world)
    assert [await words.ask(world.worker) for _ in range(3)] == [True, True, False]
    assert [len(ids) for ids in missive.asked] == [20, 5]
    assert await world.value("SELECT count(*) FROM replies WHERE words_cut") == 0


async def test_no_more_are_taken_than_asked_for_however_the_server_joins(world: World, number: str) -> None:
    """A subquery with a limit and locks that is joined may be executed again and again, each time for others."""
    for n in range(25):
        await write(world, number, f"m{n}")
    async with database.transaction(world.engine) as connection:
        for way in ("hashjoin", "mergejoin", "hashagg", "material", "sort"):
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        now = world.clock.now
        assert len(await queries.take_cut_replies(connection, now, again=now + AGAIN, limit=20)) == 20


@pytest.mark.parametrize("status", [500, 429, 401])
async def test_a_missive_that_does_not_answer_costs_time_alone(world: World, number: str, status: int) -> None:
    """Nothing is kept in the service: another one, or the same after a restart, asks again."""
    missive = Messages({"m1": {"body": WHOLE}}, status=status)
    await write(world, number, "m1")
    assert not await missive.words(world).ask(world.worker)
    assert (await reply(world))["words_cut"] is True
    missive.status = 200
    await world.query("UPDATE pace SET held_until = '-infinity'")
    assert not await missive.words(world).ask(world.worker)
    world.clock.now += AGAIN
    assert await missive.words(world).ask(world.worker)
    assert (await reply(world))["body"] == WHOLE


async def test_a_missive_that_wants_to_be_left_alone_is_left_alone_by_everybody(world: World, number: str) -> None:
    missive = Messages(status=429, headers={"Retry-After": "70"})
    await write(world, number, "m1")
    await missive.words(world).ask(world.worker)
    async with database.transaction(world.engine) as connection:
        seconds, _ = await rate.backoff(connection, ["missive"])
    assert 60 < seconds <= 70
    world.clock.now += AGAIN
    assert not await missive.words(world).ask(world.worker)
    assert len(missive.asked) == 1


async def test_messages_go_first(world: World, number: str) -> None:
    world.settings = world.settings.model_copy(update={"missive_windows": "900/900"})
    missive = Messages({"m1": {"body": WHOLE}})
    await write(world, number, "m1")
    async with database.transaction(world.engine) as connection:
        limits = rate.missive_limits(world.settings)
        await rate.prepare(connection, [limit.key for limit in limits])
        await rate.reserve(connection, limits, count=5)
    assert not await missive.words(world).ask(world.worker)
    assert missive.asked == []


async def test_a_reply_that_missive_does_not_have_any_more_stays_marked_and_keeps_nobody(
    world: World, number: str
) -> None:
    missive = Messages({"m2": {"body": "whole"}})
    for missive_id in ("m1", "m2"):
        await write(world, number, missive_id)
    words = missive.words(world)
    for _ in range(4):
        await words.ask(world.worker)
        world.clock.now += AGAIN
    assert await world.column("SELECT words_cut FROM replies ORDER BY id") == [True, False]
    asked = len(missive.asked)
    await words.ask(world.worker)
    assert len(missive.asked) == asked


async def test_a_reply_is_asked_for_until_a_day_after_it_came(world: World, number: str) -> None:
    missive = Messages(status=500)
    await write(world, number, "m1")
    world.clock.now += PATIENCE + timedelta(seconds=1)
    await missive.words(world).ask(world.worker)
    found = await reply(world)
    assert (found["words_cut"], found["words_due_at"]) == (True, None)


async def test_words_that_twilio_tells_meanwhile_are_not_asked_for(world: World, number: str) -> None:
    missive = Messages()
    await write(world, number, "m1")
    told = Inbound(provider_id="SM-m1", phone_number=number, body=WHOLE, received_at=world.clock.now, provider="twilio")
    async with database.transaction(world.engine) as connection:
        assert not await replies.receive(connection, told, world.clock.now)
    assert (await reply(world))["body"] == WHOLE
    assert not await missive.words(world).ask(world.worker)
    assert missive.asked == []


async def test_words_of_somebody_who_is_forgotten_meanwhile_are_not_learned_again(world: World, number: str) -> None:
    missive = Messages({"m1": {"body": WHOLE}})
    await write(world, number, "m1")

    async def forget() -> None:
        await world.query(f"UPDATE replies SET {replies.FORGOTTEN}")

    missive.meanwhile = forget
    await missive.words(world).ask(world.worker)
    found = await reply(world)
    assert (found["body"], found["words_cut"]) == ("", False)
    async with database.transaction(world.engine) as connection:
        await opt_outs.forget(connection, number)
