"""Where a trace goes on: beside messages, through the dead letters, in what the watchdog does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common import database
from libs.common.broadcasts import traces
from libs.common.domain.commands import MakeBroadcast
from libs.common.messaging import dead_letters, outbox, topology
from libs.common.messaging.consumer import Delivered, Route
from libs.common.messaging.envelope import Envelope, amqp_message, publishing
from libs.common.observability import tracing
from services.planner import outbox_relay, watchdog
from tests.support import broker, spans
from tests.support.broker import consuming, relaying
from tests.support.processes import until
from tests.support.world import World


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with spans.kept() as found:
        yield found


async def test_where_nobody_traces_nothing_is_written(world: World) -> None:
    broadcast = await world.made(2)
    await world.advance(broadcast)
    assert set(await world.column("SELECT traceparent FROM outbox")) == {None}
    assert set(await world.column("SELECT traceparent FROM batches")) == {None}
    assert await world.query("SELECT broadcast_id FROM traces") == []


async def test_what_a_request_causes_follows_from_it(world: World, exporter: InMemorySpanExporter) -> None:
    with tracing.span("POST /make", "server"):
        await world.made(2)
    [made] = await world.planned("BroadcastMade")
    make = spans.one(exporter, "make")
    assert spans.id_of(made["traceparent"]) == spans.id_of(make)
    assert spans.trace_of(make) == spans.trace_of(spans.one(exporter, "POST /make"))


async def test_what_the_watchdog_does_for_a_broadcast_joins_its_trace(
    world: World, exporter: InMemorySpanExporter
) -> None:
    broadcast = await world.made(2)
    await watchdog.look(world.worker, world.clock.now, {})
    [step] = await world.planned("SendBatch")
    assert step["data"]["broadcast_id"] == broadcast
    assert spans.trace_of(step["traceparent"]) == spans.trace_of(spans.one(exporter, "make"))


async def test_a_step_that_is_emitted_again_joins_the_trace_and_names_what_had_planned_it(
    world: World, exporter: InMemorySpanExporter
) -> None:
    broadcast = await world.made(2)
    with tracing.span("planning"):
        await world.advance(broadcast)
    await world.query("DELETE FROM outbox")
    world.clock.forward(seconds=2 * world.settings.watchdog_interval + 1)
    await watchdog.look(world.worker, world.clock.now, {})
    [step] = await world.planned("SendBatch")
    again = spans.one(exporter, "emit SendBatch again")
    assert spans.id_of(step["traceparent"]) == spans.id_of(again)
    assert spans.trace_of(again) == spans.trace_of(spans.one(exporter, "make"))
    [link] = again.links
    assert f"{link.context.span_id:016x}" == spans.id_of(spans.one(exporter, "planning"))


async def test_the_trace_of_a_broadcast_is_forgotten_some_time_after_its_end(
    world: World, exporter: InMemorySpanExporter
) -> None:
    over, other = await world.made(1), await world.made(1)
    await world.query("UPDATE broadcasts SET completed_at = %s WHERE id = %s", world.clock.now, over)
    async with database.transaction(world.engine) as connection:
        await traces.prune(connection, world.clock.now)
        await traces.prune(connection, world.clock.now + timedelta(seconds=1))
    assert await world.column("SELECT broadcast_id FROM traces") == [other]


async def test_the_header_of_a_message_follows_from_its_row(
    database_url: str, amqp_url: str, engine: database.Engine, exporter: InMemorySpanExporter
) -> None:
    now = datetime.now(UTC)
    async with relaying(database_url, amqp_url, engine) as worker:
        async with database.transaction(engine) as connection:
            with tracing.span("deciding"):
                await outbox.write(connection, [MakeBroadcast(broadcast_id=1)], now=now)
        assert await outbox_relay.relay(worker, now) == 1
    [message] = await broker.messages(amqp_url, "planner.MakeBroadcast")
    publish = spans.one(exporter, "publish MakeBroadcast")
    assert spans.id_of(str(message.headers["traceparent"])) == spans.id_of(publish)
    assert publish.parent is not None
    assert f"{publish.parent.span_id:016x}" == spans.id_of(spans.one(exporter, "deciding"))


@pytest.mark.parametrize(("ahead", "own"), [(timedelta(minutes=10), False), (timedelta(days=1), True)])
def test_a_step_for_much_later_begins_a_trace_of_its_own(
    exporter: InMemorySpanExporter, ahead: timedelta, own: bool
) -> None:
    now = datetime.now(UTC)
    planned = Envelope(
        id=uuid4(), type="MakeBroadcast", version=1, time=now, due=now + ahead, correlation_id=uuid4(),
        causation_id=None, actor="service:planner", data={"broadcast_id": 1},
    )  # fmt: skip
    with tracing.span("yesterday"):
        row = tracing.current()
    with publishing(planned, row) as header:
        pass
    assert row is not None
    publish = spans.one(exporter, "publish MakeBroadcast")
    assert (spans.trace_of(header) != spans.trace_of(row)) is own
    assert [f"{link.context.span_id:016x}" for link in publish.links] == ([spans.id_of(row)] if own else [])


async def test_a_dead_letter_that_is_sent_back_goes_on_in_its_trace(
    amqp_url: str, exporter: InMemorySpanExporter
) -> None:
    seen: list[str | None] = []

    async def handle(_message: MakeBroadcast, _delivery: Delivered) -> None:
        seen.append(tracing.current())
        if len(seen) == 1:
            raise ValueError("+13135551234")

    now = datetime.now(UTC)
    letter = Envelope(
        id=uuid4(), type="MakeBroadcast", version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        actor="service:planner",
        data={"broadcast_id": 1},
    )  # fmt: skip
    with tracing.span("deciding"):
        header = tracing.current()
    async with consuming(amqp_url, (Route(work=topology.MAKE_BROADCAST, handler=handle, description=""),)) as running:
        await running.publish(amqp_message(letter, header), exchange=topology.COMMANDS, routing_key="MakeBroadcast")

        async def put_aside() -> bool:
            return bool(await dead_letters.browse(amqp_url))

        await until(put_aside)
        assert await dead_letters.send_back(amqp_url) == 1

        async def handled() -> bool:
            return len(exporter.get_finished_spans()) == 3

        await until(handled)
    assert {spans.trace_of(each) for each in seen} == {spans.trace_of(header)}
    failed, done = [span for span in exporter.get_finished_spans() if span.name == "handle MakeBroadcast"]
    assert (failed.attributes or {})["broadsheet.outcome"] == "ValueError"
    assert "broadsheet.outcome" not in (done.attributes or {})
