"""What was counted of a broadcast is kept as long as nothing happens to it, and no longer."""

from datetime import datetime

from libs.common import database
from libs.common.broadcasts import messages
from libs.common.domain.states import MessageState, SkipReason
from services.api.broadcasts import counts
from services.api.broadcasts.counts import SETTLED
from tests.support.world import NOW, World

PEOPLE = 3
LATER = NOW + 2 * SETTLED
#: A change that no event tells of, which nothing in the product makes: by it one sees what is counted anew.
UNTOLD = """
UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'cancelled' WHERE state = 'pending' AND is_second
"""


async def pending(world: World, broadcast: int, now: datetime) -> int:
    async with database.transaction(world.engine) as connection:
        counted = await counts.read(connection, broadcast, now)
    return sum(each.count for each in counted.messages if each.state is MessageState.PENDING)


async def test_what_was_counted_is_kept_until_something_happens(world: World) -> None:
    broadcast = await world.made(PEOPLE)
    assert await pending(world, broadcast, LATER) == 2 * PEOPLE
    await world.query(UNTOLD)
    assert await pending(world, broadcast, LATER) == 2 * PEOPLE
    async with database.transaction(world.engine) as connection:
        await messages.skip_unsent(connection, broadcast, SkipReason.CANCELLED, NOW)
    assert await pending(world, broadcast, LATER) == 0


async def test_nothing_is_kept_while_a_transaction_may_still_commit_an_earlier_event(world: World) -> None:
    broadcast = await world.made(PEOPLE)
    soon = NOW + SETTLED / 2
    assert await pending(world, broadcast, soon) == 2 * PEOPLE
    await world.query(UNTOLD)
    assert await pending(world, broadcast, soon) == PEOPLE
