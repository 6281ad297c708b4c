"""When what the log says, or does not say, is believed."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from libs.common.carriers.outcomes import Accepted
from tests.integration.twilio_sync.lost import LOST, settle, uncertain
from tests.support import world as worlds
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(503),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"messages": [{"sid": "SM1", "to": 7}]}),
        httpx.Response(429, headers={"Retry-After": "300"}),
    ],
    ids=["away", "no JSON", "an entry that cannot be read", "too many requests"],
)
async def test_a_log_that_cannot_be_read_says_nothing(world: World, log: TwilioLog, failure: httpx.Response) -> None:
    broadcast, _ = await uncertain(world)
    log.failures = [failure]
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"]
    [again] = await world.planned("SettleUncertain")
    wait = again["deliver_at"] - world.clock.now
    assert wait >= timedelta(seconds=300 if failure.status_code == 429 else world.settings.sync_interval)


async def test_who_reads_the_log_leaves_it_alone_for_as_long_as_it_asks(world: World, log: TwilioLog) -> None:
    """The watchdog asks again every half minute, whatever `Retry-After` says."""
    broadcast, _ = await uncertain(world)
    log.failures = [httpx.Response(429, headers={"Retry-After": "300"})]
    for _ in range(3):
        await settle(world, log, broadcast)
    assert len(log.asked) == 1
    assert (await world.planned("SettleUncertain"))[-1]["deliver_at"] > world.clock.now + timedelta(seconds=290)
    await world.query("UPDATE pace SET held_until = now()")
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending"]


async def test_a_log_that_lags_says_nothing(world: World, log: TwilioLog) -> None:
    """The carrier took a text after this one, and the log has neither yet."""
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    lost, taken = await world.start(batch)
    await world.answer(lost, LOST)
    await world.answer(taken, Accepted(missive_id="M1"))
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain", "accepted"]
    log.add("SM2", taken.attempt.to, FIRST, NOW)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["pending", "accepted"]


async def test_a_log_that_stands_still_is_not_believed_however_much_it_holds(world: World, log: TwilioLog) -> None:
    """It shows page after page of what came before, and nothing of the last minutes."""
    paged = replace(world, settings=worlds.settings(world.settings.database_url, sync_page_size=2))
    broadcast = await world.made(6)
    for item in await world.send(broadcast, size=3):
        log.add(f"SM{item.attempt.text}", item.attempt.to, FIRST, world.clock.now)
    world.clock.forward(seconds=10)  # from here on the log has nothing
    await world.send(broadcast, size=1)
    [lost] = await world.start(await world.claimed(broadcast, size=1), count=1)
    await world.answer(lost, LOST)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(paged, log, broadcast)
    assert (await world.states(broadcast)).count("uncertain") == 1


@pytest.mark.parametrize("gap", [1, 2, 3, 4])  # seconds
async def test_a_log_that_stopped_a_moment_before_the_attempt_is_not_believed(
    world: World, log: TwilioLog, gap: int
) -> None:
    """What it shows of that moment is of texts that were taken before; one that was taken later it lacks."""
    broadcast = await world.made(3)
    [taken] = await world.send(broadcast, size=1)
    log.add("SM1", taken.attempt.to, FIRST, world.clock.now)  # the last that it shows
    world.clock.forward(seconds=gap)
    [lost] = await world.start(await world.claimed(broadcast, size=1))
    await world.answer(lost, LOST)
    await world.send(broadcast, size=1)
    world.clock.forward(seconds=world.settings.settle_after)
    await settle(world, log, broadcast)
    assert (await world.states(broadcast)).count("uncertain") == 1


async def test_a_log_without_words_says_nothing(world: World, log: TwilioLog) -> None:
    """Where an account has bodies redacted, every text would look as if it had never left."""
    broadcast, [started] = await uncertain(world)
    log.add("SM1", started.attempt.to, "", NOW)
    await settle(world, log, broadcast)
    assert await world.states(broadcast) == ["uncertain"]
