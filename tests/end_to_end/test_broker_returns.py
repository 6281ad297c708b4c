"""A broker that comes back as another than it went: empty, without its plugin, or with it. The services go on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aio_pika
import httpx
import pytest

from libs.common import database
from libs.common.clock import utc_now
from libs.common.domain.commands import MakeBroadcast
from libs.common.messaging import broker_setup, outbox, topology
from libs.common.runtime import queue_supervision
from libs.local.rabbitmq import RabbitMQ
from tests.support import nodes
from tests.support.processes import Processes, until
from tests.support.world import Clock, World, make_settings

WORKERS = ("planner", "sender", "twilio_sync")
GOES_ON = 180.0  # seconds; it takes three to ten
LATER = timedelta(seconds=1.5)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def broken_into(tmp_path: Path, database_url: str) -> AsyncIterator[tuple[Processes, RabbitMQ]]:
    """Yield processes that are not started yet, and a broker of their own."""
    node = nodes.node(tmp_path / "rabbitmq")
    node.start()
    broadsheet = Processes(tmp_path, database_url, node.url)
    try:
        yield broadsheet, node
    finally:
        await broadsheet.close()
        node.stop(immediate=True)


async def a_step_for_later_arrives(broadsheet: Processes, database_url: str) -> None:
    """See that the planner is given a step that was planned for later; it puts it aside, there being no broadcast 1."""
    before = broadsheet.log("planner").count("message_put_aside")
    async with (
        database.disposing(database.create_engine(database_url, size=1)) as engine,
        database.transaction(engine) as connection,
    ):
        now = utc_now()
        await outbox.write(connection, [MakeBroadcast(broadcast_id=1)], now=now, deliver_at=now + LATER)

    async def arrived() -> bool:
        return broadsheet.log("planner").count("message_put_aside") > before

    await until(arrived, seconds=GOES_ON)


async def all_consume(node: RabbitMQ) -> None:
    """See that each queue is there and somebody takes from it."""

    async def consumed() -> bool:
        try:
            async with await aio_pika.connect(node.url) as connection:
                channel = await connection.channel()
                found = [await channel.declare_queue(work.name, passive=True) for work in topology.WORK]
        except (aio_pika.exceptions.AMQPError, OSError):
            return False
        return all(queue.declaration_result.consumer_count for queue in found)

    await until(consumed, seconds=GOES_ON)


async def it_goes_on(broadsheet: Processes, node: RabbitMQ, database_url: str) -> None:
    """See that all workers are ready, and that a step for later is published and taken."""
    await all_consume(node)
    for name in WORKERS:
        await broadsheet.ready(name)
    await a_step_for_later_arrives(broadsheet, database_url)


def modes(broadsheet: Processes) -> list[str]:
    """Return how the planner delayed, one after the other."""
    log = broadsheet.log("planner").splitlines()
    return [line.split('"mode": "')[1].split('"')[0] for line in log if "delays_changed" in line]


@pytest.mark.parametrize("plugin", [False, True], ids=["ladder", "plugin"])
async def test_a_broker_that_comes_back_empty_has_everything_declared_anew_by_each_service(
    broken_into: tuple[Processes, RabbitMQ], database_url: str, plugin: bool
) -> None:
    """In plugin mode the planner stopped for ever: it waited for an exchange that nobody declared any more."""
    broadsheet, node = broken_into
    if plugin:
        nodes.needs_plugin()
        node.plugins = (nodes.PLUGIN,)
        node.restart()
    await broadsheet.start(*WORKERS)
    await it_goes_on(broadsheet, node, database_url)
    node.wipe()
    node.start()
    await it_goes_on(broadsheet, node, database_url)
    assert modes(broadsheet) == []


@pytest.mark.parametrize("wiped", [False, True])
async def test_a_broker_that_comes_back_without_its_plugin_or_with_it_is_asked_again(
    broken_into: tuple[Processes, RabbitMQ], database_url: str, wiped: bool
) -> None:
    """Over the same data the plugin's exchange stayed, and failed at each publish."""
    nodes.needs_plugin()
    broadsheet, node = broken_into
    node.plugins = (nodes.PLUGIN,)
    node.restart()
    await broadsheet.start(*WORKERS)
    await it_goes_on(broadsheet, node, database_url)
    for plugins in ((), (nodes.PLUGIN,)):
        if wiped:
            node.wipe()
        else:
            node.stop()
        node.plugins = plugins
        node.start()
        await it_goes_on(broadsheet, node, database_url)
    assert modes(broadsheet) == ["ladder", "plugin"]
    assert await broker_setup.set_up(node.url, "auto") == "plugin"


async def test_idle_services_open_no_connections(broken_into: tuple[Processes, RabbitMQ]) -> None:
    """Each looked after its queues over new connections: 1.2 a second, 30 kB of the broker's log a minute."""
    broadsheet, node = broken_into
    await broadsheet.start(*WORKERS)
    await all_consume(node)
    before = node.log.read_text().count("accepting AMQP connection")
    await asyncio.sleep(3 * queue_supervision.CHECK_EVERY)
    assert node.log.read_text().count("accepting AMQP connection") == before
    assert "queues_gone" not in "".join(map(broadsheet.log, WORKERS))


async def test_while_the_broker_has_an_alarm_every_worker_says_so_and_a_broadcast_that_is_due_is_made(
    broken_into: tuple[Processes, RabbitMQ], database_url: str
) -> None:
    """Readiness said 204, and row locks of the relay kept a due broadcast unmade for 50 s."""
    broadsheet, node = broken_into
    await broadsheet.start(*WORKERS)
    async with database.disposing(database.create_engine(database_url, size=2)) as engine:
        here = World(engine=engine, settings=make_settings(database_url), clock=Clock(None))
        await here.contacts(3, "all")
        segment = await here.segment("all")
        node.control("set_vm_memory_high_watermark", "0")

        async def all_say_so() -> bool:
            async with httpx.AsyncClient(timeout=30) as client:
                answers = [await client.get(f"{broadsheet.health(name)}/health/ready") for name in WORKERS]
            return all(found.status_code == 503 and "takes no messages" in found.text for found in answers)

        await until(all_say_so, every=0.5)
        broadcast = await here.scheduled(segment)

        async def made() -> bool:
            return await here.state(broadcast) == "sending_first"

        await until(made, seconds=40)  # while the fault took 50
        node.control("set_vm_memory_high_watermark", "0.6")
        for name in WORKERS:
            await broadsheet.ready(name)

        async def published() -> bool:
            return int(await here.value("SELECT count(*) FROM outbox WHERE deliver_at <= now()")) == 0

        await until(published, seconds=GOES_ON)
