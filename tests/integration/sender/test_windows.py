"""The provider's windows, as the provider sees them."""

import asyncio
import time
from bisect import bisect_left
from dataclasses import replace

import pytest

from libs.common import database
from libs.common.database import Engine
from libs.common.domain.commands import SendBatch
from libs.common.domain.rate_windows import Window, parse_windows
from libs.common.rate_limits import rate, slots
from libs.common.rate_limits.slots import Slot, Turn
from services.sender.batch_sender import Sender
from tests.support.deliveries import delivery
from tests.support.scripted import ScriptedCarrier
from tests.support.world import Clock, World, make_settings

WINDOW = "20/2"


@pytest.fixture
def window() -> Window:
    [found] = parse_windows(WINDOW)
    return found


def most_within(times: list[float], seconds: float) -> int:
    """Return how many came within a window, wherever it begins."""
    return max(bisect_left(times, begins + seconds) - first for first, begins in enumerate(times))


async def test_a_window_never_holds_more_than_it_may_though_connections_open_slowly(
    world: World, window: Window
) -> None:
    """Fault: 96 requests in a window of 95 per 10 s, since slots were used late."""
    settings = make_settings(
        world.settings.database_url, send_rate=100, missive_windows=WINDOW, send_concurrency=50, batch_size=30
    )
    world = replace(world, clock=Clock(None), settings=settings)
    broadcast = await world.made(60)
    # Those that come first meet slow connections, and would arrive together with those that come after them.
    slow = iter([1.5] * 12)
    carrier = ScriptedCarrier(connecting=lambda: next(slow, 0.0))
    senders = [Sender(world.worker, settings, carrier) for _ in range(2)]
    for _ in range(4):  # what lost its slot comes again
        steps = [
            SendBatch(broadcast_id=broadcast, batch_id=await world.plan(broadcast), is_second=False) for _ in senders
        ]
        await asyncio.gather(
            *(sender.send_batch(step, delivery()) for sender, step in zip(senders, steps, strict=True))
        )
        if await world.states(broadcast) == ["accepted"] * 60:
            break
    times = sorted(item.at for item in carrier.requests)
    assert len(times) == 60
    assert most_within(times, window.seconds) <= window.requests


async def prepared(engine: Engine, *limits: rate.Limit) -> tuple[rate.Limit, ...]:
    async with database.transaction(engine) as connection:
        await rate.prepare(connection, [limit.key for limit in limits])
    return limits


async def test_a_slot_that_is_over_is_reserved_anew(engine: Engine) -> None:
    limits = await prepared(engine, rate.window_limit("missive", 10, 1))
    slot = await slots.reserve(engine, limits, within=5)
    assert slot is not None
    turn = Turn(engine, slot)
    await asyncio.sleep(slot.over() - time.monotonic() + 0.01)
    began = time.monotonic()
    # Somebody else has the next ones.
    assert await slots.reserve(engine, limits, count=3, within=5) is not None
    assert await turn.ready()
    assert time.monotonic() - began > 2 * limits[0].interval
    assert not turn.missed()


async def test_a_slot_in_its_time_is_used_as_it_is(engine: Engine) -> None:
    limits = await prepared(engine, rate.window_limit("missive", 10, 600))
    slot = await slots.reserve(engine, limits, within=5)
    assert slot is not None
    assert await Turn(engine, replace(slot, earliest=time.monotonic() + 60)).ready()
    following = await slots.reserve(engine, limits, within=600)
    assert following is not None
    assert following.earliest - slot.earliest < 1.5 * limits[0].interval


async def test_a_request_gives_up_where_no_slot_is_near(engine: Engine) -> None:
    limits = await prepared(engine, rate.window_limit("missive", 1, 60))
    slot = await slots.reserve(engine, limits, within=5)
    assert slot is not None
    assert not await Turn(engine, replace(slot, earliest=slot.earliest - 1)).ready()


async def test_a_number_without_windows_takes_its_time(engine: Engine) -> None:
    slot = Slot(begins=0.0, earliest=0.0, limits=[rate.number_limit(1, 1.0), rate.provider_hold("twilio")])
    assert await Turn(engine, slot).ready()


def test_the_messages_of_a_block_are_over_one_after_the_other() -> None:
    window = rate.window_limit("missive", 10, 1)
    slot = Slot(begins=5.0, earliest=5.0, limits=[rate.number_limit(1, 1.0), window])
    assert slot.over(3) - slot.over() == pytest.approx(3 * window.interval)


async def test_a_slot_that_passes_between_the_last_two_looks_is_missed(engine: Engine) -> None:
    limits = await prepared(engine, rate.window_limit("missive", 10, 1))
    slot = await slots.reserve(engine, limits, within=5)
    assert slot is not None
    over = time.monotonic() + 3
    turn = Turn(engine, replace(slot, earliest=over - rate.LATENESS))
    assert not turn.missed()
    assert await turn.ready()
    await asyncio.sleep(max(0.0, over - time.monotonic()) + 0.05)
    assert turn.missed()
