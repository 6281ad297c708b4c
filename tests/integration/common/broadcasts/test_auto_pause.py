"""When a broadcast is turned away."""

from libs.common.broadcasts.auto_pause import RUN
from libs.common.carriers.outcomes import Accepted, Outcome, Refused
from tests.support.world import World

NO = Refused(code="http_400", reason="no")


async def answered(world: World, broadcast_id: int, *outcomes: Outcome) -> str:
    """Have the provider answer the next messages, one after the other; return the broadcast's state then."""
    for outcome in outcomes:
        batch = await world.claimed(broadcast_id, size=1)
        for started in await world.start(batch):
            await world.answer(started, outcome)
        await world.close(batch, started=1)
    return await world.state(broadcast_id)


async def test_a_provider_that_refuses_message_after_message_by_the_same_code_pauses_the_broadcast(
    world: World,
) -> None:
    """Missive has no codes: where it does not know the sending number, it answers 400 to everybody."""
    broadcast = await world.made(2 * RUN)
    assert await answered(world, broadcast, *[NO] * (RUN - 1)) == "sending_first"
    assert await answered(world, broadcast, NO) == "paused"
    assert await world.value("SELECT pause_reason FROM broadcasts") == "http_400"
    assert (await world.states(broadcast)).count("refused") == RUN


async def test_bad_numbers_among_good_ones_pause_nothing(world: World) -> None:
    broadcast = await world.made(2 * RUN + 2)
    assert await answered(world, broadcast, *[NO] * (RUN - 1), Accepted(missive_id="M"), *[NO] * (RUN - 1)) == (
        "sending_first"
    )


async def test_refusals_for_different_reasons_pause_nothing(world: World) -> None:
    broadcast = await world.made(RUN + 1)
    other = Refused(code="21211", reason="no such number")
    assert await answered(world, broadcast, *[NO] * (RUN - 1), other) == "sending_first"


async def test_what_was_refused_before_staff_resumed_does_not_count_again(world: World) -> None:
    broadcast = await world.made(3 * RUN)
    await answered(world, broadcast, *[NO] * RUN)
    await world.resume(broadcast)
    assert await answered(world, broadcast, *[NO] * (RUN - 1)) == "sending_first"
    assert await answered(world, broadcast, NO) == "paused"
