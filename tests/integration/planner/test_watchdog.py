"""What the watchdog emits again, from the tables alone."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import erasure, repository
from libs.common.carriers.outcomes import Accepted, Unknown
from libs.common.messaging import topology
from libs.common.messaging.envelope import amqp_message, open_envelope
from services.planner import outbox_relay, watchdog
from tests.support import broker
from tests.support.passes import syncing
from tests.support.processes import until
from tests.support.world import NOW, World


async def look(world: World) -> None:
    await watchdog.look(world.worker, world.clock.now, {})


async def test_the_watchdog_emits_a_batch_again_that_was_lost_with_the_broker(world: World) -> None:
    """Fault 33: a commit followed by an enqueue without an outbox stranded a broadcast."""
    broadcast = await world.made(2)
    await world.advance(broadcast)
    [batch_id] = await world.opens(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=2 * world.settings.watchdog_interval + 1)
    await look(world)
    [step] = await world.planned("SendBatch")
    assert step["data"]["batch_id"] == str(batch_id)


async def test_the_watchdog_emits_a_batch_again_whose_worker_has_gone_quiet(world: World) -> None:
    """Fault 16: a crash left claimed rows claimed for ever."""
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=world.settings.lease + 2 * world.settings.watchdog_interval + 1)
    await look(world)
    [step] = await world.planned("SendBatch")
    assert step["data"]["batch_id"] == str(batch.id)
    assert await world.take(batch.id) is not None


async def test_the_watchdog_leaves_a_batch_alone_that_is_under_way_or_not_due(world: World) -> None:
    broadcast = await world.made(2)
    await world.claimed(broadcast)
    await world.query("UPDATE outgoing_messages SET not_before = %s WHERE state = 'pending'", NOW + timedelta(hours=1))
    await world.advance(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=world.settings.lease)
    await look(world)
    assert await world.planned("SendBatch") == []


async def test_the_watchdog_emits_a_pass_again_that_was_lost(world: World) -> None:
    await syncing(world)
    lost = (await world.planned("SyncStatuses"))[-1]["data"]["number"]
    await world.query("DELETE FROM outbox")
    patience = 2 * world.settings.watchdog_interval + world.settings.request_timeout
    world.clock.forward(seconds=patience - 1)
    await look(world)
    assert await world.planned("SyncStatuses") == []
    world.clock.forward(seconds=2)
    await look(world)
    assert [step["data"]["number"] for step in await world.planned("SyncStatuses")] == [lost]


async def test_the_watchdog_emits_a_settling_again_that_was_lost(world: World) -> None:
    broadcast = await world.made(1)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    await world.answer(started, Unknown(reason="timeout"))
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=world.settings.settle_after + 2 * world.settings.watchdog_interval + 1)
    await look(world)
    assert [step["broadcast_id"] for step in await world.planned("SettleUncertain")] == [broadcast]


@pytest.mark.parametrize("lost", ["MakeBroadcast", "StartSecondPhase", "BatchSent"])
async def test_the_watchdog_takes_a_broadcast_on_whose_step_was_lost(world: World, lost: str) -> None:
    """Invariant 5: any step can be lost with the broker and comes again."""
    match lost:
        case "MakeBroadcast":
            await world.contacts(1, "all")
            broadcast, expected = await world.scheduled(await world.segment("all")), "sending_first"
        case "StartSecondPhase":
            broadcast, expected = await world.made(1, second_delay=20), "sending_second"
            await world.send(broadcast)
            await world.advance(broadcast)
        case _:
            broadcast, expected = await world.made(1), "waiting"
            await world.send(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=21)
    await look(world)
    assert await world.state(broadcast) == expected


async def test_one_look_of_the_watchdog_finds_every_broadcast(world: World) -> None:
    """Fault 6: two campaigns due in the same minute made each other fail."""
    broadcasts = [await world.made(1) for _ in range(3)]
    await look(world)
    assert [len(await world.opens(broadcast)) for broadcast in broadcasts] == [1, 1, 1]


async def test_a_broadcast_that_somebody_holds_does_not_keep_the_others(world: World) -> None:
    """A draw of a million people may take a quarter of an hour."""
    held, other = await world.made(1), await world.made(1)
    async with database.transaction(world.engine) as connection:
        await repository.load(connection, held)
        await look(world)
    assert [len(await world.opens(broadcast)) for broadcast in (held, other)] == [0, 1]


async def test_a_broadcast_with_an_event_that_nobody_can_read_does_not_keep_the_others(world: World) -> None:
    """An event of a newer release, after a step back: the planner would end, and with it the relay of everybody."""
    broken, other = await world.made(1), await world.made(1)
    await world.query("ALTER TABLE events DISABLE TRIGGER USER")
    await world.query("UPDATE events SET schema_version = 99 WHERE stream = %s", f"broadcast-{broken}")
    await world.query("ALTER TABLE events ENABLE TRIGGER USER")
    await look(world)
    assert [len(await world.opens(broadcast)) for broadcast in (broken, other)] == [0, 1]


async def test_a_pruning_that_fails_keeps_nothing_else_from_being_pruned_and_is_not_tried_at_every_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = text("DO $$ BEGIN PERFORM nextval('message_ids'); RAISE USING ERRCODE = 'query_canceled'; END $$")
    monkeypatch.setattr(erasure, "FORGET_SETTLED", cut_off)
    await world.query("INSERT INTO idempotency_keys VALUES ('key', '', 200, '{}', %s)", NOW - timedelta(days=3))
    looks = 0

    async def counted(*_: object) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(watchdog, "look", counted)
    quick = replace(world, settings=world.settings.model_copy(update={"watchdog_interval": 0.01}))

    async def looked() -> bool:
        return looks > 5

    running = asyncio.create_task(watchdog.run(quick.worker))
    try:
        await until(looked, every=0.01)
        world.clock.forward(hours=1, seconds=1)
        looks = 0
        await until(looked, every=0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert await world.value("SELECT count(*) FROM idempotency_keys") == 0
    assert await world.value("SELECT last_value FROM message_ids") == 1


async def test_the_numbers_of_the_erased_go_once_their_messages_have_ended(world: World) -> None:
    broadcast = await world.made(3)
    started = await world.start(await world.claimed(broadcast, size=2))
    await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id <> %s",
                      (await world.messages(broadcast))[2]["contact_id"])  # fmt: skip
    await world.answer(started[0], Accepted(missive_id="M1"))
    async with database.transaction(world.engine) as connection:
        await erasure.forget_settled(connection)
    numbers = [row["recipient_phone_number"] for row in await world.messages(broadcast)]
    assert numbers[:2] == [None, started[1].attempt.to]
    assert numbers[2] is not None


async def test_broadcasts_due_in_the_same_minute_are_all_made_and_one_that_cannot_be_keeps_none(world: World) -> None:
    """Fault 6: two campaigns due in the same minute made each other fail, and were never tried again."""
    await world.contacts(2, "all")
    segment, nobody = await world.segment("all"), await world.segment("nobody")
    one, broken, other = [await world.scheduled(each) for each in (segment, nobody, segment)]
    await look(world)
    assert [await world.state(broadcast) for broadcast in (one, broken, other)] == [
        "sending_first", "missed", "sending_first"
    ]  # fmt: skip


async def test_steps_that_merely_wait_their_turn_are_not_emitted_again(world: World, amqp_url: str) -> None:
    """Two broadcasts on one sender had the watchdog emit their batches again and again, enough for an alert."""
    broadcasts = [await world.made(100) for _ in range(2)]
    for broadcast in broadcasts:
        await world.advance(broadcast)
    async with broker.publishing(amqp_url) as publisher, broker.consuming(amqp_url, ()) as connected:
        worker = world.worker
        worker.publisher, worker.broker = publisher, connected
        while await outbox_relay.relay(worker, world.clock.now):
            pass
        assert await world.planned("SendBatch") == []
        for _ in range(3):
            world.clock.forward(seconds=60)
            await watchdog.look(worker, world.clock.now, {})
        assert await world.planned("SendBatch") == []
        # What the queue loses is missed.
        waiting = len(await broker.messages(amqp_url, topology.SEND_BATCH.name))
        await watchdog.look(worker, world.clock.now, {})
        assert len(await world.planned("SendBatch")) == waiting == 4


async def test_what_the_broker_loses_at_a_kill_the_watchdog_makes_good(world: World, amqp_url: str) -> None:
    """The plugin lost 24 of 1,000 confirmed steps of a burst: whatever is missing when it is due comes again."""
    for _ in range(10):
        await world.advance(await world.made(100))
    steps = {row["data"]["batch_id"] for row in await world.planned("SendBatch")}
    async with broker.publishing(amqp_url) as publisher, broker.consuming(amqp_url, ()) as connected:
        worker = world.worker
        worker.publisher, worker.broker = publisher, connected

        async def all_published() -> None:
            while await outbox_relay.relay(worker, world.clock.now):
                pass

        await all_published()
        arrived = await broker.messages(amqp_url, topology.SEND_BATCH.name)
        held = [open_envelope(message.body) for message in arrived]
        for envelope in held[3:]:  # three are lost
            again = amqp_message(envelope)
            await publisher.publish(again, exchange=topology.COMMANDS.name, routing_key="SendBatch")
        world.clock.forward(seconds=2 * world.settings.watchdog_interval + 1)
        await watchdog.look(worker, world.clock.now, {})
        await all_published()
    there = [open_envelope(each.body) for each in await broker.messages(amqp_url, topology.SEND_BATCH.name)]
    assert {envelope.data["batch_id"] for envelope in there} == steps


async def test_a_step_that_waits_in_the_outbox_for_a_broker_that_is_away_is_not_emitted_again(world: World) -> None:
    """An hour without the broker filled the outbox, and raised an alert of its own."""
    await world.advance(await world.made(100))
    before = len(await world.planned("SendBatch"))
    for _ in range(3):
        world.clock.forward(seconds=60)
        await look(world)
    assert len(await world.planned("SendBatch")) == before == 2
