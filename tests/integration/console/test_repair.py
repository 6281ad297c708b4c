"""`broadsheet rebuild` and `broadsheet dead-letters` on real servers, as an operator calls them."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import msgspec
import pytest
from typer.testing import CliRunner, Result

from libs.common.messaging import broker_setup, consumer, dead_letters, topology
from libs.common.messaging.envelope import Envelope
from libs.console.main import app
from tests.support import broker
from tests.support.world import World

Call = Callable[..., Result]


@pytest.fixture
def call(emptied_database: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs `broadsheet` with its arguments."""
    monkeypatch.setenv("BROADSHEET_DATABASE_URL", emptied_database)
    monkeypatch.setenv("BROADSHEET_AMQP_URL", amqp_url)
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=False)


async def put_aside(amqp_url: str, type_: str = "MakeBroadcast") -> str:
    """Put a command of the planner's aside as the services do, and give its id."""
    await broker_setup.set_up(amqp_url, "auto")
    now = datetime.now(UTC)
    envelope = Envelope(
        id=uuid4(), type=type_, version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        actor="service:planner",
        data={"broadcast_id": 1},
    )  # fmt: skip
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(topology.DEAD.name, ensure=False)
        headers = {consumer.REASON: "ValueError", consumer.QUEUE: topology.MAKE_BROADCAST.name}
        await target.publish(
            aio_pika.Message(msgspec.json.encode(envelope), headers=dict(headers)), routing_key="planner"
        )
    return str(envelope.id)


async def test_rebuild_says_that_the_tables_are_what_history_says(world: World, call: Call) -> None:
    await world.send(await world.made(3))
    result = await asyncio.to_thread(call, "rebuild", "--yes")
    assert result.exit_code == 0
    assert "outgoing_messages" in result.output
    assert "drifted" not in result.output


async def test_rebuild_mends_tables_that_somebody_has_changed_and_says_so(world: World, call: Call) -> None:
    broadcast = await world.made(3)
    await world.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled'")
    result = await asyncio.to_thread(call, "rebuild", "--yes")
    assert result.exit_code == 0
    assert "NO" in result.output
    assert "drifted" in result.output
    assert set(await world.states(broadcast)) == {"pending"}


async def test_a_program_reads_what_a_rebuild_did(world: World, call: Call) -> None:
    await world.made(3)
    told = json.loads((await asyncio.to_thread(call, "rebuild", "--yes", "--json")).output)
    assert told["replayed"] > 0
    messages = next(each for each in told["tables"] if each["table"] == "outgoing_messages")
    assert messages == {"table": "outgoing_messages", "rows_before": 6, "rows_after": 6, "same": True}


async def test_rebuild_does_nothing_unless_somebody_says_yes(world: World, call: Call) -> None:
    broadcast = await world.made(3)
    await world.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled'")
    result = await asyncio.to_thread(call, "rebuild")
    assert result.exit_code == 2
    assert "Empty and refill broadcast_sent_message_status, outgoing_messages" in " ".join(result.output.split())
    assert set(await world.states(broadcast)) == {"skipped"}


async def test_dead_letters_are_listed_and_sent_back_one_by_one(call: Call, amqp_url: str) -> None:
    assert "No dead letters" in (await asyncio.to_thread(call, "dead-letters", "list")).output
    first, second = await put_aside(amqp_url), await put_aside(amqp_url)
    listed = await asyncio.to_thread(call, "dead-letters", "list")
    assert first in listed.output
    assert second in listed.output
    sent = await asyncio.to_thread(call, "dead-letters", "retry", first)
    assert "1 sent back" in sent.output
    left = (await asyncio.to_thread(call, "dead-letters", "list")).output
    assert first not in left
    assert second in left
    assert "1 sent back" in (await asyncio.to_thread(call, "dead-letters", "retry")).output
    assert len(await broker.messages(amqp_url, topology.MAKE_BROADCAST.name)) == 2


async def test_a_program_reads_dead_letters_and_what_was_done_to_them(call: Call, amqp_url: str) -> None:
    first, second = await put_aside(amqp_url), await put_aside(amqp_url)
    listed = json.loads((await asyncio.to_thread(call, "dead-letters", "list", "--json")).output)
    assert [(each["id"], each["service"], each["reason"]) for each in listed] == [
        (first, "planner", "ValueError"), (second, "planner", "ValueError")
    ]  # fmt: skip
    sent = await asyncio.to_thread(call, "dead-letters", "retry", first, "--json")
    assert json.loads(sent.output) == {"sent_back": 1}
    dropped = json.loads((await asyncio.to_thread(call, "dead-letters", "drop", "--all", "--yes", "--json")).output)
    assert [each["id"] for each in dropped["dropped"]] == [second]


async def test_a_letter_that_says_what_the_terminal_takes_for_its_own_is_listed_as_it_is(
    call: Call, amqp_url: str
) -> None:
    await put_aside(amqp_url, "[/x]")
    result = await asyncio.to_thread(call, "dead-letters", "list")
    assert result.exit_code == 0
    assert "[/x]" in result.output


async def test_dead_letters_are_dropped_one_by_one_or_all_and_only_after_a_yes(call: Call, amqp_url: str) -> None:
    first, second, third = [await put_aside(amqp_url) for _ in range(3)]
    assert (await asyncio.to_thread(call, "dead-letters", "drop")).exit_code == 2
    assert (await asyncio.to_thread(call, "dead-letters", "drop", first)).exit_code == 2  # nobody is there to say yes
    dropped = await asyncio.to_thread(call, "dead-letters", "drop", first, "--yes")
    assert "1 dropped" in dropped.output
    left = {letter.id for letter in await dead_letters.browse(amqp_url)}
    assert left == {second, third}
    assert (await asyncio.to_thread(call, "dead-letters", "drop", first, "--yes")).exit_code == 1
    assert "2 dropped" in (await asyncio.to_thread(call, "dead-letters", "drop", "--all", "--yes")).output
    assert await dead_letters.browse(amqp_url) == []
    assert await broker.messages(amqp_url, topology.MAKE_BROADCAST.name) == []


async def test_to_send_back_a_letter_that_is_not_there_is_an_error(call: Call, amqp_url: str) -> None:
    await put_aside(amqp_url)
    result = await asyncio.to_thread(call, "dead-letters", "retry", str(uuid4()))
    assert result.exit_code == 1
    assert "no dead letter" in result.output


async def test_prune_says_what_it_forgot_and_takes_no_less_than_a_week(world: World, call: Call) -> None:
    broadcast = await world.made(2)
    await world.send(broadcast)
    await world.query("UPDATE broadcasts SET completed_at = now() - interval '40 days'")
    result = await asyncio.to_thread(call, "prune", "--older-than", "30", "--yes")
    assert result.exit_code == 0
    assert "numbers of 1 broadcasts" in result.output
    again = await asyncio.to_thread(call, "prune", "--older-than", "30", "--yes", "--json")
    assert json.loads(again.output) == {"broadcasts": 0, "replies": 0}
    assert (await asyncio.to_thread(call, "prune", "--older-than", "6")).exit_code == 2


async def test_history_says_who_sent_dead_letters_back_and_who_dropped_some(
    world: World, call: Call, amqp_url: str
) -> None:
    for _ in range(2):
        await put_aside(amqp_url)
    assert "2 sent back" in (await asyncio.to_thread(call, "dead-letters", "retry")).output
    await put_aside(amqp_url)
    assert "1 dropped" in (await asyncio.to_thread(call, "dead-letters", "drop", "--all", "--yes")).output
    rows = await world.query("SELECT type, data, actor FROM events WHERE stream = 'dead-letters' ORDER BY version")
    assert [(row["type"], row["data"]["letters"]) for row in rows] == [
        ("DeadLettersSentBack", 2), ("DeadLettersDropped", 1)
    ]  # fmt: skip
    assert all(row["actor"].startswith("console:") for row in rows)
