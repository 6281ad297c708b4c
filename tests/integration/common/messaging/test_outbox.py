"""The outbox and its relay, over the real broker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.database import Engine
from libs.common.domain import events as e
from libs.common.domain.commands import MakeBroadcast
from libs.common.messaging import outbox
from libs.common.messaging.envelope import open_envelope
from libs.common.runtime.worker import Worker
from services.planner import outbox_relay
from tests.support import broker
from tests.support.processes import until


@pytest.fixture
async def planner(database_url: str, amqp_url: str, engine: Engine) -> AsyncIterator[Worker]:
    async with broker.relaying(database_url, amqp_url, engine) as worker:
        yield worker


async def write(engine: Engine, *, broadcast_id: int = 1, later: float = 0.0) -> None:
    now = datetime.now(UTC)
    async with database.transaction(engine) as connection:
        command = MakeBroadcast(broadcast_id=broadcast_id)
        await outbox.write(connection, [command], now=now, deliver_at=now + timedelta(seconds=later))


async def waiting(engine: Engine) -> int:
    async with database.transaction(engine) as connection:
        row = (await connection.execute(text("SELECT count(*) AS n FROM outbox"))).mappings().first()
    assert row is not None
    return int(row["n"])


async def delivered(worker: Worker) -> list[Any]:
    return [
        open_envelope(message.body)
        for message in await broker.messages(worker.settings.amqp_url.get_secret_value(), "planner.MakeBroadcast")
    ]


async def test_what_was_committed_is_published_and_leaves_the_table(planner: Worker) -> None:
    await write(planner.engine, broadcast_id=7)
    assert await outbox_relay.relay(planner, datetime.now(UTC)) == 1
    assert await waiting(planner.engine) == 0
    (envelope,) = await delivered(planner)
    assert (envelope.type, envelope.data) == ("MakeBroadcast", {"broadcast_id": 7})


async def test_what_was_rolled_back_is_never_published(planner: Worker) -> None:
    async def fail() -> None:
        async with database.transaction(planner.engine) as connection:
            await outbox.write(connection, [MakeBroadcast(broadcast_id=1)], now=datetime.now(UTC))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await outbox_relay.relay(planner, datetime.now(UTC)) == 0
    assert await delivered(planner) == []


async def test_what_the_broker_did_not_confirm_stays_and_comes_again_under_the_same_id(
    planner: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(planner.engine)
    publish = outbox_relay._publish

    async def publish_and_die(*given: Any) -> None:
        await publish(*given)
        raise ConnectionError

    monkeypatch.setattr(outbox_relay, "_publish", publish_and_die)
    with pytest.raises(ConnectionError):
        await outbox_relay.relay(planner, datetime.now(UTC))
    assert await waiting(planner.engine) == 1
    monkeypatch.undo()
    await outbox_relay.relay(planner, datetime.now(UTC))
    first, second = await delivered(planner)
    assert first.id == second.id


async def test_a_message_that_no_queue_takes_stays_and_goes_once_the_queue_is_declared_anew(
    planner: Worker, amqp_url: str
) -> None:
    await write(planner.engine)
    async with await aio_pika.connect(amqp_url) as connection:
        await (await connection.channel()).queue_delete("planner.MakeBroadcast")
    now = datetime.now(UTC)
    await outbox_relay.relay(planner, now)
    assert await waiting(planner.engine) == 1
    await outbox_relay.relay(planner, now + outbox_relay.PUT_OFF)
    assert await waiting(planner.engine) == 0
    assert len(await delivered(planner)) == 1


async def test_one_message_that_cannot_be_published_neither_holds_nor_repeats_the_others(
    planner: Worker, amqp_url: str
) -> None:
    """The whole group was rolled back, and published again each second, up to the one that failed."""
    for n in range(4):
        await write(planner.engine, broadcast_id=n)
    now = datetime.now(UTC)
    async with database.transaction(planner.engine) as connection:
        await connection.execute(text("UPDATE outbox SET type = 'Unheard' WHERE data = '{\"broadcast_id\": 1}'"))
    for _ in range(3):
        await outbox_relay.relay(planner, now)
    assert await waiting(planner.engine) == 1
    assert [found.data["broadcast_id"] for found in await delivered(planner)] == [0, 2, 3]


async def test_no_row_is_locked_while_the_broker_is_waited_for(
    planner: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a memory alarm a broadcast that was due stayed unmade: to make it forgets a step, whose row was locked."""
    await write(planner.engine)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any, **__: Any) -> None:
        asked.set()
        await answered.wait()

    monkeypatch.setattr(planner.publisher, "publish_step", wait)
    relaying = asyncio.create_task(outbox_relay.relay(planner, datetime.now(UTC)))
    await asked.wait()
    async with database.transaction(planner.engine) as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        await outbox.forget(connection, 1, "MakeBroadcast")
    answered.set()
    await relaying


async def test_what_a_relay_that_died_had_taken_is_published_by_another_once_its_lease_is_over(
    planner: Worker,
) -> None:
    await write(planner.engine)
    now = datetime.now(UTC)
    assert len(await outbox.take(planner.engine, until=now, now=now, limit=9)) == 1
    assert await outbox_relay.relay(planner, now) == 0
    assert await outbox_relay.relay(planner, now + outbox.LEASE) == 1
    assert await waiting(planner.engine) == 0


async def test_what_is_due_after_the_horizon_waits_in_the_table(planner: Worker) -> None:
    await write(planner.engine, later=3600)
    assert await outbox_relay.relay(planner, datetime.now(UTC)) == 0
    assert await waiting(planner.engine) == 1


async def test_two_relays_at_once_publish_each_message_once(planner: Worker) -> None:
    for n in range(30):
        await write(planner.engine, broadcast_id=n)
    now = datetime.now(UTC)
    assert sum(await asyncio.gather(*(outbox_relay.relay(planner, now) for _ in range(3)))) == 30
    assert sorted(e.data["broadcast_id"] for e in await delivered(planner)) == list(range(30))


@pytest.mark.parametrize("poll", [3600.0, 0.2])
async def test_the_relay_is_woken_by_the_commit_and_polls_behind_that(
    planner: Worker, monkeypatch: pytest.MonkeyPatch, poll: float
) -> None:
    monkeypatch.setattr(outbox_relay, "POLL", poll)
    if poll < 1:  # as if every notification were lost

        async def deaf(*_: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(outbox_relay, "_listen", deaf)
    running = asyncio.create_task(outbox_relay.run(planner))
    try:
        await asyncio.sleep(0.5)
        await write(planner.engine)

        async def gone() -> bool:
            return await waiting(planner.engine) == 0

        await until(gone, every=0.02)
    finally:
        running.cancel()


async def test_events_reach_the_planner_too(planner: Worker) -> None:
    async with database.transaction(planner.engine) as connection:
        await outbox.write(connection, [e.BroadcastResumed(broadcast_id=3)], now=datetime.now(UTC))
    await outbox_relay.relay(planner, datetime.now(UTC))
    (message,) = await broker.messages(planner.settings.amqp_url.get_secret_value(), "planner.events")
    assert open_envelope(message.body).type == "BroadcastResumed"
