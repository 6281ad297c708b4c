"""What the planner measures, on a real database and broker."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aio_pika
import aio_pika.exceptions
import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg import sql
from sqlalchemy import text
from yarl import URL

from libs import local
from libs.common import database
from libs.common.broadcasts import opt_outs, scheduling
from libs.common.carriers import clock_records
from libs.common.carriers.clocks import Meter
from libs.common.carriers.outcomes import Refused, Unknown
from libs.common.domain.states import ConsentSource
from libs.common.messaging import broker_setup, topology
from libs.common.observability import collectors
from libs.common.observability.collectors import Value
from libs.common.rate_limits import rate
from services.planner import gauges, watchdog
from tests.chaos.proxy import Link, to_tcp
from tests.support.broker import consuming, publish
from tests.support.processes import until
from tests.support.world import NOW, World


async def measured(world: World, waiting: dict[str, datetime] | None = None) -> dict[str, Value]:
    return await gauges.measure(world.worker, world.clock.now, waiting)


async def overdue(world: World, waiting: dict[str, datetime] | None = None) -> Value:
    return (await measured(world, waiting))["broadsheet_overdue_seconds"]


async def test_an_empty_database_has_nothing_to_do(world: World) -> None:
    found = await measured(world)
    assert found["broadsheet_pending_messages"] == {"first": 0, "second": 0}
    assert not any(dict(found["broadsheet_broadcasts"]).values())  # type: ignore[arg-type]
    for name in ("outbox_due", "queue_age_seconds", "overdue_seconds", "sync_age_seconds", "uncertain_age_seconds"):
        assert found[f"broadsheet_{name}"] == 0, name


async def test_pending_messages_are_those_of_the_phase_under_way_and_as_old_as_it(world: World) -> None:
    broadcast_id = await world.made(contacts=5)
    await world.send(broadcast_id, size=2)
    world.clock.forward(seconds=100)
    found = await measured(world)
    assert found["broadsheet_pending_messages"] == {"first": 3, "second": 0}
    assert found["broadsheet_queue_age_seconds"] == pytest.approx(100)
    await world.pause(broadcast_id)
    found = await measured(world)
    assert found["broadsheet_pending_messages"] == {"first": 0, "second": 0}
    assert dict(found["broadsheet_broadcasts"])["paused"] == 1  # type: ignore[arg-type]


async def test_how_far_the_carriers_clocks_are_from_ours_is_told_while_it_is_known(world: World) -> None:
    """Fault 35: nothing showed that a carrier's clock was not ours."""
    assert (await measured(world))["broadsheet_carrier_clock_offset_seconds"] == {}
    meter = Meter(world.clock)
    date = format_datetime(world.clock.now - timedelta(seconds=90), usegmt=True)
    meter.note({"Content-Type": "application/json", "Date": date}, world.clock.now)
    async with database.transaction(world.engine) as connection:
        await clock_records.share(connection, "twilio", meter, world.clock.now)
    found = await measured(world)
    assert found["broadsheet_carrier_clock_offset_seconds"] == {"twilio": -89}
    assert found["broadsheet_carrier_clock_uncertainty_seconds"] == {"twilio": 1}
    world.clock.forward(hours=2)
    assert (await measured(world))["broadsheet_carrier_clock_offset_seconds"] == {}


async def test_messages_that_stay_uncertain_when_their_broadcast_is_over_alarm_nobody_any_more(world: World) -> None:
    """The report says so, for good; an alert that never ends is one that nobody looks at."""
    broadcast = await world.made(1)
    [started] = await world.start(await world.claimed(broadcast))
    await world.answer(started, Unknown(reason="timeout"))
    assert (await measured(world))["broadsheet_uncertain_messages"] == 1
    await world.query("UPDATE broadcasts SET state = 'completed', completed_at = %s", world.clock.now)
    assert (await measured(world))["broadsheet_uncertain_messages"] == 0


async def test_messages_are_counted_up_to_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "MOST", 3)
    await world.made(contacts=5)
    assert (await measured(world))["broadsheet_pending_messages"] == {"first": 3, "second": 0}


async def test_a_broadcast_that_is_due_and_not_made_is_overdue_and_one_for_later_is_not(world: World) -> None:
    segment = await world.segment("tag")
    await world.scheduled(segment, run_at=world.clock.now + timedelta(hours=1))
    await world.scheduled(segment, draft=True)
    await world.scheduled()
    assert await overdue(world) == 0
    world.clock.forward(minutes=61)
    assert await overdue(world) == pytest.approx(60)


async def test_a_batch_that_no_sender_takes_is_overdue_and_one_for_later_or_under_way_is_not(world: World) -> None:
    broadcast_id = await world.made()
    async with database.transaction(world.engine) as connection:
        later = world.clock.now + timedelta(minutes=1)
        batch_id = await scheduling.plan_batch(connection, broadcast_id, later, world.clock.now, is_second=False)
    assert await overdue(world) == 0
    world.clock.forward(seconds=100)
    assert await overdue(world) == pytest.approx(40)
    batch = await world.take(batch_id)
    assert batch is not None
    assert await overdue(world) == 0
    world.clock.forward(seconds=world.settings.lease + 30)
    assert await overdue(world) == pytest.approx(30), "its sender has gone quiet"
    await world.close(batch)
    assert await overdue(world) == 0


async def test_a_batch_of_a_paused_broadcast_is_not_overdue(world: World) -> None:
    broadcast_id = await world.made()
    await world.plan(broadcast_id)
    await world.pause(broadcast_id)
    world.clock.forward(seconds=100)
    assert await overdue(world) == 0


@pytest.mark.parametrize("state", ["sending_first", "waiting", "sending_second", "syncing", "cancelled"])
async def test_a_pass_over_the_log_that_nobody_makes_is_overdue(world: World, state: str) -> None:
    broadcast_id = await world.made()
    await world.query("UPDATE broadcasts SET state = %s, second_due_at = %s", state, NOW + timedelta(days=1))
    async with database.transaction(world.engine) as connection:
        await scheduling.plan_sync(connection, broadcast_id, world.clock.now, world.clock.now)
    world.clock.forward(seconds=50)
    assert await overdue(world) == pytest.approx(50)
    await world.query("UPDATE syncs SET due_at = NULL")
    assert await overdue(world) == 0


async def test_a_step_that_the_watchdog_emits_again_has_been_due_all_the_while(world: World) -> None:
    broadcast_id = await world.made()
    await world.plan(broadcast_id)
    waiting: dict[str, datetime] = {}
    assert await overdue(world, waiting) == 0
    for seconds in range(15, 301, 15):
        world.clock.forward(seconds=15)
        # Another planner's, whose clock is a little ahead.
        await watchdog.look(world.worker, world.clock.now + timedelta(seconds=0.5), {})
        assert await overdue(world, waiting) == pytest.approx(seconds)
    assert await world.planned("SendBatch")


async def test_a_batch_that_its_sender_gave_back_is_due_from_then_on(world: World) -> None:
    broadcast_id = await world.made()
    batch_id = await world.plan(broadcast_id)
    waiting: dict[str, datetime] = {}
    world.clock.forward(seconds=100)
    assert await overdue(world, waiting) == pytest.approx(100)
    await world.take(batch_id)
    await world.query("UPDATE batches SET lease_until = NULL, due_at = %s", world.clock.now)
    world.clock.forward(seconds=10)
    assert await overdue(world, waiting) == pytest.approx(10)


async def test_a_pass_that_is_put_off_is_not_overdue(world: World) -> None:
    broadcast_id = await world.made()
    async with database.transaction(world.engine) as connection:
        await scheduling.plan_sync(connection, broadcast_id, world.clock.now, world.clock.now)
    waiting: dict[str, datetime] = {}
    world.clock.forward(seconds=20)
    assert await overdue(world, waiting) == pytest.approx(20)
    # As where the carrier's log cannot be read.
    due = world.clock.now + timedelta(seconds=60)
    await world.query("UPDATE syncs SET due_at = %s", due)
    assert await overdue(world, waiting) == 0
    world.clock.now = due + timedelta(seconds=5)
    assert await overdue(world, waiting) == pytest.approx(5)


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


async def test_an_uncertain_message_is_as_old_as_its_attempt(world: World) -> None:
    batch = await world.claimed(await world.made())
    first, *_ = await world.start(batch)
    await world.answer(first, Unknown(reason="timeout"))
    world.clock.forward(seconds=40)
    found = await measured(world)
    assert found["broadsheet_uncertain_messages"] == 1
    assert found["broadsheet_uncertain_age_seconds"] == pytest.approx(40)


async def test_the_breaker_tells_for_how_long_and_after_how_many_failures(world: World) -> None:
    async with database.transaction(world.engine) as connection:
        await rate.prepare(connection, ["missive"])
        await rate.back_off(connection, "missive", 30)
    found = await measured(world)
    assert dict(found["broadsheet_carrier_held_seconds"])["missive"] == pytest.approx(30, abs=2)  # type: ignore[arg-type]
    assert found["broadsheet_carrier_failures"] == {"missive": 1}


async def test_events_and_opt_outs_are_counted_once_committed_and_not_when_rolled_back(world: World) -> None:
    def count(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"broadsheet_{name}_total", labels) or 0

    opted_out, refused = count("opt_outs", source="carrier"), count("events", type="MessageRefused")
    batch = await world.claimed(await world.made())
    first, second, _ = await world.start(batch)
    with suppress(RuntimeError):
        async with database.transaction(world.engine) as connection:
            await opt_outs.opt_out(connection, first.attempt.to, ConsentSource.CARRIER, world.clock.now)
            raise RuntimeError
    assert count("opt_outs", source="carrier") == opted_out
    await world.answer(first, Refused(code="21610", reason="opted out"))
    await world.answer(second, Refused(code="21211", reason="no such number"))
    assert count("opt_outs", source="carrier") == opted_out + 1
    assert count("events", type="MessageRefused") == refused + 2


async def test_a_server_that_archives_tells_how_it_fares_and_one_that_does_not_tells_nothing(tmp_path: Path) -> None:
    def alter(**options: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for name, value in options.items():
                statement = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")

    async def told(*, switch: bool = False) -> dict[str, Value]:
        async with (
            database.disposing(database.create_engine(url, size=1)) as engine,
            database.transaction(engine) as connection,
        ):
            if switch:
                await connection.execute(text("SELECT pg_logical_emit_message(false, 'test', 'something to archive')"))
                await connection.execute(text("SELECT pg_switch_wal()"))
            return await gauges.archive(connection)

    async def fails(expected: float) -> bool:
        found = await told(switch=True)
        assert 0 <= float(str(found["broadsheet_archive_age_seconds"])) < 60
        return found["broadsheet_archive_fails"] == expected

    with local.start(tmp_path, broker=False, ephemeral=True) as stack:
        url = stack.servers.database_url
        assert await told() == {}
        alter(archive_mode="on", archive_command="false")
        assert stack.postgres is not None
        stack.postgres.restart()
        await until(lambda: fails(1), seconds=20)
        alter(archive_command="true")
        await until(lambda: fails(0), seconds=20)


async def test_dead_letters_are_counted_by_the_broker(world: World, amqp_url: str) -> None:
    async with consuming(amqp_url, ()) as broker:
        worker = world.worker
        worker.broker = broker
        assert await gauges.dead_letters(worker) == {f"{service}.dead": 0 for service in topology.SERVICES}
        await publish(amqp_url, topology.DEAD.name, "sender", b"{}")
        assert (await gauges.dead_letters(worker))["sender.dead"] == 1
        channel = await (await broker.connect()).channel()
        await channel.queue_delete("sender.dead")
        with pytest.raises(aio_pika.exceptions.AMQPError):
            await gauges.dead_letters(worker)
        await broker_setup.set_up(amqp_url, "auto")
        assert (await gauges.dead_letters(worker))["sender.dead"] == 0


async def test_a_broker_that_does_not_answer_holds_nothing_up(
    world: World, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = URL(amqp_url)
    link = Link("broker", to_tcp(url.port or 5672))
    proxied = str(url.with_host("127.0.0.1").with_port(await link.listen("planner")))
    async with consuming(proxied, ()) as broker:
        worker = world.worker
        worker.broker = broker
        assert set((await gauges.dead_letters(worker)).values()) == {0}
        link.swallow(600)
        monkeypatch.setattr(gauges, "PATIENCE", 0.5)
        async with asyncio.timeout(90) as limit:
            with pytest.raises(TimeoutError):
                await gauges.dead_letters(worker)
        assert not limit.expired()
        link.heal()
    await link.close()


async def test_the_pool_tells_how_many_connections_are_used(world: World) -> None:
    async with database.transaction(world.engine), database.transaction(world.engine):
        [connections, *_] = list(collectors.POOLS.collect())
        used = {sample.labels["state"]: sample.value for sample in connections.samples}
    assert used["used"] >= 2
    assert used["most"] >= used["used"] + used["free"]


async def test_what_each_number_has_started_today_is_measured(world: World) -> None:
    capped, free = await world.sending_number(), await world.sending_number("+13135550199")
    await world.query("UPDATE sending_numbers SET daily_cap = 5, carrier = 'twilio' WHERE id = %s", capped)
    await world.query("UPDATE sending_numbers SET enabled = false WHERE id = %s", free)
    day = world.clock.now.astimezone(world.settings.zone).date()
    await world.query("INSERT INTO sending_days VALUES (%s, %s, 3)", capped, day)
    found = await gauges.measure(world.worker, world.clock.now)
    assert found["broadsheet_number_daily_cap"] == {str(capped): 5}
    assert found["broadsheet_number_started_today"] == {str(capped): 3}
    assert found["broadsheet_number_enabled"] == {str(capped): 1, str(free): 0}
    assert set(found["broadsheet_carrier_held_seconds"]) == {"missive", "twilio"}  # type: ignore[arg-type]
