"""What the planner measures, on a real database and broker."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import aio_pika
import aio_pika.exceptions
import pytest
from prometheus_client import REGISTRY
from yarl import URL

from libs.common import consent, database, metrics, pace, topology
from libs.common import worker as workers
from libs.common.carriers.outcomes import Refused, Unknown
from libs.common.metrics import Value
from services.planner import observe
from tests.chaos.proxy import Link, to_tcp
from tests.support.broker import consuming
from tests.support.world import World


async def measured(world: World) -> dict[str, Value]:
    return await observe.measure(world.worker, world.clock.now)


async def test_an_empty_database_has_nothing_to_do(world: World) -> None:
    found = await measured(world)
    assert found["broadsheet_pending_texts"] == {"first": 0, "second": 0}
    assert not any(dict(found["broadsheet_broadcasts"]).values())  # type: ignore[arg-type]
    for name in ("outbox_due", "queue_age_seconds", "overdue_seconds", "sync_age_seconds", "uncertain_age_seconds"):
        assert found[f"broadsheet_{name}"] == 0, name


async def test_pending_texts_are_those_of_the_phase_under_way_and_as_old_as_it(world: World) -> None:
    broadcast_id = await world.made(contacts=5)
    await world.send(broadcast_id, size=2)
    world.clock.forward(seconds=100)
    found = await measured(world)
    assert found["broadsheet_pending_texts"] == {"first": 3, "second": 0}
    assert found["broadsheet_queue_age_seconds"] == pytest.approx(100)
    await world.pause(broadcast_id)
    found = await measured(world)
    assert found["broadsheet_pending_texts"] == {"first": 0, "second": 0}
    assert dict(found["broadsheet_broadcasts"])["paused"] == 1  # type: ignore[arg-type]


async def test_texts_are_counted_up_to_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MOST", 3)
    await world.made(contacts=5)
    assert (await measured(world))["broadsheet_pending_texts"] == {"first": 3, "second": 0}


async def test_a_broadcast_that_is_due_and_not_made_is_overdue_and_one_for_later_is_not(world: World) -> None:
    segment = await world.segment("tag")
    await world.scheduled(segment, run_at=world.clock.now + timedelta(hours=1))
    assert (await measured(world))["broadsheet_overdue_seconds"] == 0
    world.clock.forward(minutes=61)
    assert (await measured(world))["broadsheet_overdue_seconds"] == pytest.approx(60)


async def test_a_cancelled_broadcast_that_was_never_made_is_over(world: World) -> None:
    await world.cancel(await world.scheduled(await world.segment("tag")))
    assert dict((await measured(world))["broadsheet_broadcasts"])["cancelled"] == 0  # type: ignore[arg-type]


async def test_the_outbox_lags_by_its_oldest_message_that_is_due(world: World) -> None:
    await world.made()
    world.clock.forward(seconds=30)
    found = await measured(world)
    due = await world.value("SELECT count(*) FROM outbox WHERE deliver_at <= %s", world.clock.now)
    assert found["broadsheet_outbox_due"] == due > 0
    assert found["broadsheet_outbox_lag_seconds"] == pytest.approx(30)


async def test_an_uncertain_text_is_as_old_as_its_attempt(world: World) -> None:
    batch = await world.claimed(await world.made())
    first, *_ = await world.start(batch)
    await world.answer(first, Unknown(reason="timeout"))
    world.clock.forward(seconds=40)
    found = await measured(world)
    assert found["broadsheet_uncertain_texts"] == 1
    assert found["broadsheet_uncertain_age_seconds"] == pytest.approx(40)


async def test_the_breaker_tells_for_how_long_and_after_how_many_failures(world: World) -> None:
    async with world.pool.connection() as connection:
        await pace.prepare(connection, ["missive"])
        await pace.hold(connection, "missive", 30)
    found = await measured(world)
    assert dict(found["broadsheet_carrier_held_seconds"])["missive"] == pytest.approx(30, abs=2)  # type: ignore[arg-type]
    assert found["broadsheet_carrier_failures"] == {"missive": 1}


async def test_events_and_opt_outs_are_counted_once_committed_and_not_when_rolled_back(world: World) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"broadsheet_{name}_total", labels) or 0

    opted_out, refused = count("opt_outs", source="carrier"), count("events", type="TextRefused")
    batch = await world.claimed(await world.made())
    first, second, _ = await world.start(batch)
    with suppress(RuntimeError):
        async with database.transaction(world.pool) as connection:
            await consent.opt_out(connection, first.attempt.to, "carrier", world.clock.now)
            raise RuntimeError
    assert count("opt_outs", source="carrier") == opted_out
    await world.answer(first, Refused(code="21610", reason="opted out"))
    await world.answer(second, Refused(code="21211", reason="no such number"))
    assert count("opt_outs", source="carrier") == opted_out + 1
    assert count("events", type="TextRefused") == refused + 2


async def test_dead_letters_are_counted_by_the_broker(world: World, amqp_url: str) -> None:
    async with consuming(amqp_url, ()) as broker:
        worker = world.worker
        worker.broker = broker
        assert await observe.dead_letters(worker) == {f"{service}.dead": 0 for service in topology.SERVICES}
        await broker.publish(
            aio_pika.Message(b"{}"), exchange=topology.DEAD, routing_key="sender", mandatory=True, persist=True
        )
        assert (await observe.dead_letters(worker))["sender.dead"] == 1
        channel = await (await broker.connect()).channel()
        await channel.queue_delete("sender.dead")
        with pytest.raises(aio_pika.exceptions.AMQPError):
            await observe.dead_letters(worker)
        await workers.declare(amqp_url, "ladder")
        assert (await observe.dead_letters(worker))["sender.dead"] == 0


async def test_a_broker_that_does_not_answer_holds_nothing_up(
    world: World, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "PATIENCE", 0.5)
    url = URL(amqp_url)
    link = Link("broker", to_tcp(url.port or 5672))
    proxied = str(url.with_host("127.0.0.1").with_port(await link.listen("planner")))
    async with consuming(proxied, ()) as broker:
        worker = world.worker
        worker.broker = broker
        assert set((await observe.dead_letters(worker)).values()) == {0}
        link.swallow(600)
        async with asyncio.timeout(10) as limit:
            with pytest.raises(TimeoutError):
                await observe.dead_letters(worker)
        assert not limit.expired()
        link.heal()
    await link.close()


async def test_the_pool_tells_how_many_connections_are_used(world: World) -> None:
    async with world.pool.connection(), world.pool.connection():
        [connections, *_] = list(metrics.POOLS.collect())
        used = {sample.labels["state"]: sample.value for sample in connections.samples}
    assert used["used"] >= 2
    assert used["most"] >= used["used"] + used["free"]
