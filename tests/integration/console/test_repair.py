"""`broadsheet rebuild` and `broadsheet dead-letters` on real servers, as an operator calls them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import msgspec
import pytest
from typer.testing import CliRunner, Result

from libs.common import messaging, topology, worker
from libs.console.main import app
from tests.support import broker
from tests.support.world import World

Call = Callable[..., Result]


@pytest.fixture
def call(emptied_database: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Give a function that runs `broadsheet` with its arguments."""
    monkeypatch.setenv("BROADSHEET_DATABASE_URL", emptied_database)
    monkeypatch.setenv("BROADSHEET_AMQP_URL", amqp_url)
    return lambda *arguments: CliRunner().invoke(app, arguments, catch_exceptions=False)


async def put_aside(amqp_url: str, type_: str = "MakeBroadcast") -> str:
    """Put a command of the planner's aside as the services do, and give its id."""
    await worker.declare(amqp_url, "ladder")
    now = datetime.now(UTC)
    envelope = messaging.Envelope(
        id=uuid4(), type=type_, version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        data={"broadcast_id": 1},
    )  # fmt: skip
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        target = await channel.get_exchange(topology.DEAD.name, ensure=False)
        headers = {messaging.REASON: "ValueError", messaging.QUEUE: topology.MAKE_BROADCAST.name}
        await target.publish(
            aio_pika.Message(msgspec.json.encode(envelope), headers=dict(headers)), routing_key="planner"
        )
    return str(envelope.id)


async def test_rebuild_says_that_the_tables_are_what_history_says(world: World, call: Call) -> None:
    await world.send(await world.made(3))
    result = await asyncio.to_thread(call, "rebuild")
    assert result.exit_code == 0
    assert "outgoing_messages" in result.output
    assert "drifted" not in result.output


async def test_rebuild_mends_tables_that_somebody_has_changed_and_says_so(world: World, call: Call) -> None:
    broadcast = await world.made(3)
    await world.query("UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled'")
    result = await asyncio.to_thread(call, "rebuild")
    assert result.exit_code == 0
    assert "NO" in result.output
    assert "drifted" in result.output
    assert set(await world.states(broadcast)) == {"pending"}


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


async def test_a_letter_that_says_what_the_terminal_takes_for_its_own_is_listed_as_it_is(
    call: Call, amqp_url: str
) -> None:
    await put_aside(amqp_url, "[/x]")
    result = await asyncio.to_thread(call, "dead-letters", "list")
    assert result.exit_code == 0
    assert "[/x]" in result.output


async def test_to_send_back_a_letter_that_is_not_there_is_an_error(call: Call, amqp_url: str) -> None:
    await put_aside(amqp_url)
    result = await asyncio.to_thread(call, "dead-letters", "retry", str(uuid4()))
    assert result.exit_code == 1
    assert "no dead letter" in result.output


async def test_prune_says_what_it_forgot_and_takes_no_less_than_a_week(world: World, call: Call) -> None:
    broadcast = await world.made(2)
    await world.send(broadcast)
    await world.query("UPDATE broadcasts SET completed_at = now() - interval '40 days'")
    result = await asyncio.to_thread(call, "prune", "--older-than", "30")
    assert result.exit_code == 0
    assert "numbers of 1 broadcasts" in result.output
    assert (await asyncio.to_thread(call, "prune", "--older-than", "6")).exit_code == 2
