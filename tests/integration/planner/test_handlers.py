"""What the planner's messages lead to, and what they leave to others."""

from datetime import timedelta
from typing import Any

from libs.common.domain import events as e
from libs.common.domain.broadcast import EDITABLE
from services.planner.handlers import Handlers
from tests.support.deliveries import delivery_of
from tests.support.world import NOW, World


async def scheduled(world: World) -> int:
    await world.contacts(3, "all")
    return await world.scheduled(await world.segment("all"), run_at=NOW + timedelta(hours=1))


async def hear(world: World, name: str) -> None:
    """Hand the planner the event of a name that waits in the outbox, with its own cause, as a relay that was late."""
    [row] = await world.planned(name)
    message: Any = getattr(e, name)
    [event] = [
        recorded
        for recorded in await world.events_of(f"broadcast-{row['data']['broadcast_id']}")
        if isinstance(recorded, message)
    ]
    await Handlers(world.worker).event(event, delivery_of(row["message_id"], row["correlation_id"]))


async def test_a_schedule_that_is_heard_of_late_claims_nothing_of_what_a_hand_has_begun(world: World) -> None:
    """Each step belongs to what led to it: one correlation id, one trace, from the press of the button on."""
    broadcast = await scheduled(world)
    await world.make(broadcast)
    await hear(world, "BroadcastScheduled")
    assert await world.planned("SendBatch") == []
    await hear(world, "BroadcastMade")
    [made] = await world.planned("BroadcastMade")
    [step] = await world.planned("SendBatch")
    assert step["correlation_id"] == made["correlation_id"]


async def test_an_edit_that_is_heard_of_late_does_not_either(world: World) -> None:
    broadcast = await scheduled(world)
    before = await world.load(broadcast)
    fields = {name: getattr(before, name) for name in EDITABLE}
    await world.apply(broadcast, e.BroadcastEdited(broadcast_id=broadcast, **fields))
    await world.make(broadcast)
    await hear(world, "BroadcastEdited")
    assert await world.planned("SendBatch") == []


async def test_an_event_that_comes_again_plans_nothing_more(world: World) -> None:
    broadcast = await scheduled(world)
    await world.make(broadcast)
    for _ in range(2):
        await hear(world, "BroadcastMade")
    assert len(await world.planned("SendBatch")) == 1
