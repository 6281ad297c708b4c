"""Settling by a carrier's clock that is not ours."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.carriers import clock_records
from libs.common.carriers.clocks import Meter, Offset
from tests.integration.twilio_sync.lost import lose, settle, uncertain
from tests.integration.twilio_sync.test_status_sync import statuses, sync
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World


@pytest.mark.parametrize("fraction", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("ahead", [-59, -12.3, -3.5, -2.5, -2.0, -0.7, 0, 0.7, 2.0, 3.5, 12.3, 57])
async def test_a_message_that_arrived_is_found_whatever_the_carriers_clock_says(
    world: World, log: TwilioLog, ahead: float, fraction: float
) -> None:
    """Fault 35: from two seconds behind messages went twice, since the log's times are cut to seconds."""
    world.clock.now = NOW + timedelta(seconds=fraction)
    log.ahead = timedelta(seconds=ahead)
    broadcast = await world.made(1)
    [started] = await lose(world, broadcast)
    log.add("SM1", started.attempt.to, FIRST, world.clock.now)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted"]


@pytest.mark.parametrize("ahead", [-30, -3.5, 0, 3.5, 30])
async def test_what_proves_that_the_log_has_got_there_does_so_by_a_corrected_clock(
    world: World, log: TwilioLog, ahead: float
) -> None:
    """By a clock that is 30 s ahead every entry would seem to be newer than the message."""
    log.ahead = timedelta(seconds=ahead)
    broadcast, _ = await uncertain(world)
    log.stranger(world.clock.now - timedelta(seconds=5))  # before the message can last have arrived
    world.clock.forward(seconds=60)
    await settle(world, log, broadcast, proof=False)
    assert await world.states(broadcast) == ["uncertain"]
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


@pytest.mark.parametrize("ahead", [-70, 70])
async def test_beyond_a_minute_nothing_is_settled_as_not_found(world: World, log: TwilioLog, ahead: float) -> None:
    log.ahead = timedelta(seconds=ahead)
    broadcast, started = await uncertain(world, 2)
    log.add("SM1", started[0].attempt.to, FIRST, NOW)
    for _ in range(5):
        world.clock.forward(minutes=5)
        await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted", "uncertain"]


async def test_a_carrier_that_does_not_tell_its_time_settles_nothing_as_not_found(world: World, log: TwilioLog) -> None:
    log.tells_its_time = False
    broadcast, started = await uncertain(world, 2)
    log.add("SM1", started[0].attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted", "uncertain"]


async def test_a_clock_that_is_set_between_the_attempt_and_the_look_counts_as_both(
    world: World, log: TwilioLog
) -> None:
    """The entry has the time of the clock as it was then."""
    broadcast = await world.made(1)
    log.ahead = timedelta(seconds=-20)
    await sync(world, log, broadcast)  # a pass while messages leave
    [started] = await lose(world, broadcast)
    log.add("SM1", started.attempt.to, FIRST, NOW)
    log.ahead = timedelta(0)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["accepted"]


@pytest.mark.parametrize("ahead", [-40, 40])
async def test_a_pass_over_the_log_goes_by_the_corrected_clock(world: World, log: TwilioLog, ahead: float) -> None:
    """Behind, an accepted message seemed older than its attempt, and was never settled."""
    log.ahead = timedelta(seconds=ahead)
    broadcast = await world.made(1)
    [started] = await world.send(broadcast)
    log.add("SM1", started.attempt.to, FIRST, NOW)
    for _ in range(2):  # the first measures
        await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]


async def test_what_processes_measure_is_put_together_by_the_minute(world: World) -> None:
    """Agreeing, they narrow it down; where a clock was set in between, both hold, and for as long as it matters."""

    class Fixed(Meter):
        def __init__(self, low: float, high: float) -> None:
            super().__init__()
            self._offset = Offset(low=timedelta(seconds=low), high=timedelta(seconds=high))

    async def share(low: float, high: float) -> None:
        await clock_records.share(connection, "twilio", Fixed(low, high), world.clock.now)

    async def since(minutes: int) -> Offset | None:
        return await clock_records.since(
            connection, "twilio", world.clock.now - timedelta(minutes=minutes), world.clock.now
        )

    async with database.transaction(world.engine) as connection:
        assert await since(5) is None
        await share(-1, 1)
        await share(0, 2)
        assert await since(0) == Offset(low=timedelta(0), high=timedelta(seconds=1))
        world.clock.forward(minutes=5)
        await share(10, 11)
        assert await since(0) == Offset(low=timedelta(seconds=10), high=timedelta(seconds=11))
        assert await since(4) == Offset(low=timedelta(0), high=timedelta(seconds=11))
        await share(-9, -8)
        assert await since(0) == Offset(low=timedelta(seconds=-9), high=timedelta(seconds=11))
        assert [item.carrier for item in await clock_records.latest(connection, world.clock.now)] == ["twilio"]
        world.clock.forward(minutes=61)
        assert await since(120) is None
        assert await clock_records.latest(connection, world.clock.now) == []
        world.clock.forward(days=3)
        await clock_records.prune(connection, world.clock.now)
    assert await world.value("SELECT count(*) FROM carrier_clocks") == 0
