"""The outbox and its relay, over the real broker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import database, messaging, outbox
from libs.common import events as e
from libs.common.commands import MakeBroadcast
from libs.common.database import Pool
from libs.common.worker import Worker
from services.planner import relay
from tests.support import broker
from tests.support.processes import until


@pytest.fixture
async def planner(database_url: str, amqp_url: str, pool: Pool) -> AsyncIterator[Worker]:
    async with broker.relaying(database_url, amqp_url, pool) as worker:
        yield worker


async def write(pool: Pool, *, broadcast_id: int = 1, later: float = 0.0) -> None:
    now = datetime.now(UTC)
    async with database.transaction(pool) as connection:
        command = MakeBroadcast(broadcast_id=broadcast_id)
        await outbox.write(connection, [command], now=now, deliver_at=now + timedelta(seconds=later))


async def waiting(pool: Pool) -> int:
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT count(*) AS n FROM outbox")).fetchone()
    assert row is not None
    return int(row["n"])


async def delivered(worker: Worker) -> list[Any]:
    return [
        messaging.open_envelope(message.body)
        for message in await broker.messages(worker.settings.amqp_url, "planner.MakeBroadcast")
    ]


async def test_what_was_committed_is_published_and_leaves_the_table(planner: Worker) -> None:
    await write(planner.pool, broadcast_id=7)
    assert await relay.relay(planner, datetime.now(UTC)) == 1
    assert await waiting(planner.pool) == 0
    (envelope,) = await delivered(planner)
    assert (envelope.type, envelope.data) == ("MakeBroadcast", {"broadcast_id": 7})


async def test_what_was_rolled_back_is_never_published(planner: Worker) -> None:
    async def fail() -> None:
        async with database.transaction(planner.pool) as connection:
            await outbox.write(connection, [MakeBroadcast(broadcast_id=1)], now=datetime.now(UTC))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await relay.relay(planner, datetime.now(UTC)) == 0
    assert await delivered(planner) == []


async def test_what_the_broker_did_not_confirm_stays_and_comes_again_under_the_same_id(
    planner: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(planner.pool)
    publish = relay._publish

    async def publish_and_die(*given: Any) -> None:
        await publish(*given)
        raise ConnectionError

    monkeypatch.setattr(relay, "_publish", publish_and_die)
    with pytest.raises(ConnectionError):
        await relay.relay(planner, datetime.now(UTC))
    assert await waiting(planner.pool) == 1
    monkeypatch.undo()
    await relay.relay(planner, datetime.now(UTC))
    first, second = await delivered(planner)
    assert first.id == second.id


async def test_a_message_that_no_queue_takes_stays(planner: Worker, amqp_url: str) -> None:
    import aio_pika

    await write(planner.pool)
    async with await aio_pika.connect(amqp_url) as connection:
        await (await connection.channel()).queue_delete("planner.MakeBroadcast")
    with pytest.raises(aio_pika.exceptions.AMQPError):
        await relay.relay(planner, datetime.now(UTC))
    assert await waiting(planner.pool) == 1


async def test_what_is_due_after_the_horizon_waits_in_the_table(planner: Worker) -> None:
    await write(planner.pool, later=3600)
    assert await relay.relay(planner, datetime.now(UTC)) == 0
    assert await waiting(planner.pool) == 1


async def test_two_relays_at_once_publish_each_message_once(planner: Worker) -> None:
    for n in range(30):
        await write(planner.pool, broadcast_id=n)
    now = datetime.now(UTC)
    assert sum(await asyncio.gather(*(relay.relay(planner, now) for _ in range(3)))) == 30
    assert sorted(e.data["broadcast_id"] for e in await delivered(planner)) == list(range(30))


@pytest.mark.parametrize("poll", [5.0, 0.2])
async def test_the_relay_is_woken_by_the_commit_and_polls_behind_that(
    planner: Worker, monkeypatch: pytest.MonkeyPatch, poll: float
) -> None:
    monkeypatch.setattr(relay, "POLL", poll)
    if poll < 1:  # as if every notification were lost

        async def deaf(*_: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(relay, "_listen", deaf)
    running = asyncio.create_task(relay.run(planner))
    try:
        await asyncio.sleep(0.5)
        await write(planner.pool)

        async def gone() -> bool:
            return await waiting(planner.pool) == 0

        await until(gone, seconds=2.0, every=0.02)
    finally:
        running.cancel()


async def test_events_reach_the_planner_too(planner: Worker) -> None:
    async with database.transaction(planner.pool) as connection:
        await outbox.write(connection, [e.BroadcastResumed(broadcast_id=3)], now=datetime.now(UTC))
    await relay.relay(planner, datetime.now(UTC))
    (message,) = await broker.messages(planner.settings.amqp_url, "planner.events")
    assert messaging.open_envelope(message.body).type == "BroadcastResumed"
