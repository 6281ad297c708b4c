"""Texts whose answer is lost, and the settling of them."""

from libs.common.carriers.outcomes import Unknown
from libs.common.commands import SettleUncertain
from services.sender.batches import Started
from services.twilio_sync.settle import Settle
from tests.support.twilio_log import TwilioLog
from tests.support.world import World

LOST = Unknown(reason="connection_lost")


async def settle(world: World, log: TwilioLog, broadcast_id: int) -> None:
    """Handle one step of a broadcast's settling, with this log."""
    handler = Settle(world.worker, world.settings, log.twilio())
    await handler.settle_uncertain(SettleUncertain(broadcast_id=broadcast_id))


async def lose(world: World, broadcast_id: int, *, is_second: bool = False) -> list[Started]:
    """Lose the answers to all that is left of a phase."""
    batch = await world.claimed(broadcast_id, is_second=is_second)
    started = await world.start(batch)
    for item in started:
        await world.answer(item, LOST)
    await world.close(batch, started=len(started))
    return started


async def uncertain(world: World, contacts: int = 1) -> tuple[int, list[Started]]:
    """Make a broadcast whose first answers are lost, and let enough time pass to look them up."""
    broadcast = await world.made(contacts)
    started = await lose(world, broadcast)
    world.clock.forward(seconds=world.settings.settle_after)
    return broadcast, started
