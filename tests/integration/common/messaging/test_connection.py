"""Going on with another node of the broker: ways to the real one stand for nodes, so that each can be cut alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aio_pika import Message
from yarl import URL

from libs.common import database
from libs.common.clock import utc_now
from libs.common.database import Engine
from libs.common.domain.commands import MakeBroadcast
from libs.common.messaging import delays, outbox, publisher, topology
from libs.common.messaging.connection import AWAY, connect, reconnect, underlying
from libs.console import broker_checks
from services.planner import outbox_relay
from tests.chaos.proxy import Link, to_tcp
from tests.integration.common.messaging.test_dead_letters import Handled, envelope
from tests.support import broker
from tests.support.ports import HOST, free_port
from tests.support.processes import until

PATIENCE = 30.0  # seconds; it takes one or two
SILENCE = 60.0  # seconds, far more than a connection of HEARTBEAT 1 is silent before it is given up


class Ways:
    """Two ways to the broker, and an address at which nobody listens."""

    def __init__(self, amqp_url: str) -> None:
        self._target = URL(amqp_url).with_host(HOST)
        assert self._target.port is not None
        self.links = [Link(name, to_tcp(self._target.port)) for name in ("one", "two")]
        self.nobody = str(self._target.with_port(free_port()))

    async def urls(self, *, heartbeat: int = 5) -> list[str]:
        """Open both ways and give their URLs."""
        ports = [await link.listen("client") for link in self.links]
        return [str(self._target.with_port(port).update_query(heartbeat=str(heartbeat))) for port in ports]

    def used(self) -> list[int]:
        """Return which ways have connections now."""
        return [number for number, link in enumerate(self.links) if link.sides]


@pytest.fixture
async def ways(amqp_url: str) -> AsyncIterator[Ways]:
    made = Ways(amqp_url)
    yield made
    for link in made.links:
        link.heal()
        await link.close()


async def arrives(handled: Handled, amqp_url: str) -> None:
    """See that a message, given to the broker itself, comes to the handler."""
    before = len(handled.messages)
    await broker.publish(amqp_url, topology.COMMANDS.name, "MakeBroadcast", envelope())

    async def there() -> bool:
        return len(handled.messages) > before

    await until(there, seconds=PATIENCE)


async def test_one_question_is_asked_of_the_first_node_that_answers(ways: Ways) -> None:
    one, two = await ways.urls()
    async with await connect(f"{ways.nobody},{two},{one}"):
        assert ways.used() == [1]
    with pytest.raises(AWAY):
        await connect(f"{ways.nobody},{ways.nobody}")


async def test_a_service_starts_though_the_first_node_of_its_list_is_gone(ways: Ways, amqp_url: str) -> None:
    one, _ = await ways.urls()
    handled = Handled()
    async with broker.consuming(f"{ways.nobody},{one}", handled.routes):
        await arrives(handled, amqp_url)


async def test_a_service_whose_node_dies_goes_on_with_another_and_back_again(ways: Ways, amqp_url: str) -> None:
    one, two = await ways.urls()
    handled = Handled()
    async with broker.consuming(f"{one},{two}", handled.routes), asyncio.TaskGroup() as tasks:
        await arrives(handled, amqp_url)
        for lost, other in ((0, 1), (1, 0)):
            assert ways.used() == [lost]
            gone = tasks.create_task(ways.links[lost].refuse(SILENCE))
            await asyncio.sleep(0)
            await arrives(handled, amqp_url)
            assert ways.used() == [other]
            gone.cancel()
            await asyncio.wait([gone])


async def test_a_service_whose_node_falls_silent_goes_on_with_another(ways: Ways, amqp_url: str) -> None:
    one, two = await ways.urls(heartbeat=1)
    handled = Handled()
    async with broker.consuming(f"{one},{two}", handled.routes):
        await arrives(handled, amqp_url)
        ways.links[0].swallow(SILENCE)
        await broker.publish(amqp_url, topology.COMMANDS.name, "MakeBroadcast", envelope())

        async def moved() -> bool:
            return 1 in ways.used()

        await until(moved, seconds=PATIENCE)
        await arrives(handled, amqp_url)


async def test_a_connection_that_is_dropped_is_made_anew_to_the_next_node(ways: Ways, amqp_url: str) -> None:
    one, two = await ways.urls()
    handled = Handled()
    async with broker.consuming(f"{one},{two}", handled.routes) as service:
        await arrives(handled, amqp_url)
        await reconnect(service)
        await arrives(handled, amqp_url)
        assert ways.used() == [1]


async def test_the_doctor_looks_at_each_node(ways: Ways) -> None:
    one, _ = await ways.urls()
    settings = broker.settings("postgresql://nobody/", f"{one},{ways.nobody}")
    found = [await check(settings) for _, check in broker_checks.checks(settings)]
    assert [(name, well) for name, well, _ in found] == [
        (f"broker {HOST}:{URL(one).port}", True),
        (f"broker {HOST}:{URL(ways.nobody).port}", False),
    ]
    assert "RabbitMQ" in found[0][2]
    # A single node needs no address.
    alone = broker.settings("postgresql://nobody/", one)
    assert [name for name, _ in broker_checks.checks(alone)] == ["broker"]
    assert await delays.probe(f"{ways.nobody},{one}", "auto") in ("ladder", "plugin")


async def test_what_a_silent_node_does_not_take_is_given_up_and_goes_to_the_next(
    ways: Ways, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat alone takes 18 s."""
    monkeypatch.setattr(publisher, "TIMEOUT", 1.0)
    one, two = await ways.urls(heartbeat=60)
    async with broker.publishing(f"{one},{two}") as service:
        ways.links[0].swallow(SILENCE)
        with pytest.raises(TimeoutError):
            await service.publish(Message(b"{}"), exchange=topology.DEAD.name, routing_key="planner")
        await service.publish(Message(b"{}"), exchange=topology.DEAD.name, routing_key="planner")
        assert 1 in ways.used()


async def test_the_relay_waits_seconds_for_a_silent_node_and_publishes_by_the_next(
    ways: Ways, database_url: str, engine: Engine
) -> None:
    """Seed 310 of the rig: a relay waited without an end for a channel that aio-pika did not restore."""
    one, two = await ways.urls(heartbeat=60)
    async with broker.relaying(database_url, f"{one},{two}", engine) as planner:
        async with database.transaction(engine) as connection:
            await outbox.write(connection, [MakeBroadcast(broadcast_id=1)], now=utc_now())
        ways.links[0].swallow(SILENCE)
        with pytest.raises(TimeoutError):
            await outbox_relay.relay(planner, utc_now())

        async def published() -> bool:
            try:
                return await outbox_relay.relay(planner, utc_now()) == 1
            except outbox_relay.TROUBLE:
                return False

        await until(published, seconds=PATIENCE)


async def test_a_publisher_that_has_nothing_to_publish_connects_again_by_itself(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at readiness gave it two seconds, and ended what it had begun."""
    monkeypatch.setattr(publisher, "CONNECTED_EVERY", 0.1)
    one, two = await ways.urls()
    async with broker.publishing(f"{one},{two}") as service, asyncio.TaskGroup() as tasks:
        staying = tasks.create_task(service.stay_connected())
        gone = tasks.create_task(ways.links[0].refuse(SILENCE))

        async def moved() -> bool:
            return ways.used() == [1]

        await until(moved, seconds=PATIENCE)
        await service.check(PATIENCE)
        for task in (staying, gone):
            task.cancel()
        await asyncio.wait([staying, gone])


async def test_a_broker_that_was_stopped_is_not_connected_again_by_who_only_asks(amqp_url: str) -> None:
    async with broker.consuming(amqp_url, ()) as service:
        assert not (await underlying(service)).is_closed
    with pytest.raises(ConnectionError):
        await underlying(service)
    await reconnect(service)
    assert not await service.ping(0.1)
