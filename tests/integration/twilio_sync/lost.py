"""Messages whose answer is lost, and the settling of them."""

from libs.common.carriers.outcomes import Unknown
from libs.common.domain.commands import SettleUncertain
from services.sender.batches import StartedAttempt
from services.twilio_sync.settling import Settle
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import World

LOST = Unknown(reason="connection_lost")


#: Seconds after which an entry that is created then is certainly younger than what was old enough to be looked up.
LATER = 10


def prove(world: World, log: TwilioLog) -> None:
    """Have the log get past everything that is old enough to be looked up: a stranger writes to the account."""
    world.clock.forward(seconds=LATER)
    log.stranger()


async def settle(world: World, log: TwilioLog, broadcast_id: int, *, proof: bool = True) -> None:
    """Handle one step of a broadcast's settling, with this log, which has got past its messages unless that is said."""
    if proof:
        prove(world, log)
    handler = Settle(world.worker, world.settings, log.twilio())
    await handler.settle_uncertain(SettleUncertain(broadcast_id=broadcast_id), delivery())


async def lose(world: World, broadcast_id: int, *, is_second: bool = False) -> list[StartedAttempt]:
    """Lose the answers to all that remains of a phase."""
    batch = await world.claimed(broadcast_id, is_second=is_second)
    started = await world.start(batch)
    for item in started:
        await world.answer(item, LOST)
    await world.close(batch, started=len(started))
    return started


async def uncertain(world: World, contacts: int = 1) -> tuple[int, list[StartedAttempt]]:
    """Make a broadcast whose first answers are lost, and let enough time pass to look them up."""
    broadcast = await world.made(contacts)
    started = await lose(world, broadcast)
    world.clock.forward(seconds=world.settings.settle_after)
    return broadcast, started
