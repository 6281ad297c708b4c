"""What happens around a handler: a step that comes early, and how late it is."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from prometheus_client import REGISTRY

from libs.common.messaging import topology
from libs.common.messaging.envelope import Envelope
from tests.integration.common.messaging.test_dead_letters import Handled
from tests.support import broker
from tests.support.processes import until


def envelope(*, time: datetime, due: datetime) -> bytes:
    return msgspec.json.encode(
        Envelope(
            id=uuid4(), type="MakeBroadcast", version=1, time=time, due=due, correlation_id=uuid4(),
            causation_id=None, actor="service:planner", data={"broadcast_id": 1},
        )
    )  # fmt: skip


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"broadsheet_{name}", {"type": "MakeBroadcast", **labels}) or 0.0


async def send(amqp_url: str, body: bytes) -> None:
    await broker.publish(amqp_url, topology.COMMANDS.name, "MakeBroadcast", body)


async def handled_at(handled: Handled) -> datetime:
    async def there() -> bool:
        return bool(handled.messages)

    await until(there, every=0.01)
    return datetime.now(UTC)


async def test_a_step_that_comes_early_is_planned_again_for_the_rest_of_its_time(amqp_url: str) -> None:
    """It found that it was too early, did nothing, and came again with the watchdog: up to 4.9 s late."""
    handled = Handled()
    early, late = told("steps_total", result="early"), told("step_lateness_seconds_count")
    async with broker.consuming(amqp_url, handled.routes):
        await asyncio.sleep(1)  # a connection to publish by is made when it is needed
        now = datetime.now(UTC)
        due = now + timedelta(seconds=5)
        await send(amqp_url, envelope(time=now - timedelta(minutes=1), due=due))
        assert due <= await handled_at(handled) < due + timedelta(seconds=60)
    assert told("steps_total", result="early") > early
    assert told("step_lateness_seconds_count") == late + 1


async def test_a_message_for_now_from_a_clock_that_is_ahead_is_handled_at_once_and_is_not_late(amqp_url: str) -> None:
    handled = Handled()
    late = told("step_lateness_seconds_count")
    async with broker.consuming(amqp_url, handled.routes):
        ahead = datetime.now(UTC) + timedelta(minutes=1)
        await send(amqp_url, envelope(time=ahead, due=ahead))
        assert await handled_at(handled) < ahead
    assert told("step_lateness_seconds_count") == late


async def test_a_step_that_is_late_is_counted_as_late(amqp_url: str) -> None:
    handled = Handled()
    seconds = told("step_lateness_seconds_sum")
    async with broker.consuming(amqp_url, handled.routes):
        now = datetime.now(UTC)
        await send(amqp_url, envelope(time=now - timedelta(minutes=2), due=now - timedelta(minutes=1)))
        await handled_at(handled)
    assert told("step_lateness_seconds_sum") >= seconds + 60
