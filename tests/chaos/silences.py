"""A log that shows nothing new while answers are lost, and carriers' clocks that drift: a log that is hard to believe.

A silence begins before the first answer is lost and goes on long after the last one: what the log shows meanwhile is
all from before, and looks like a log in which those messages never were. All answers are lost for a while, one after
the other, so that no later message is known to have been taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import httpx

from tests.chaos.plan import SETTLE_AFTER, Fault
from tests.chaos.traffic import LEAD, Api, NotAnswered, Situation, Traffic

#: Seconds in which every answer is lost: what was sent first is looked up before they are over.
LOST = (1.2 * SETTLE_AFTER, 2.0 * SETTLE_AFTER)
#: Messages are lost at the end of an answer as well as in the middle of it.
LOSSES = ("cut_after", "error_after")
COMES_WITHIN = 30.0  # seconds for a broadcast to come to the phase that a silence is for
CARRIERS = ("missive", "twilio")
OFF = (2.0, 5.0)  # seconds by which a clock is off from the start, either way
DRIFTS = (0.01, 0.05)  # seconds a second, either way; a day of the rig is a few minutes
FURTHEST = 6.0  # seconds by which a clock is off at the most


class Breaker(Protocol):
    """What of the breaker is used here."""

    api: Api
    traffic: Traffic
    random: Random
    armed: dict[int, str]
    clocks: "Clocks"

    async def simulate(self, path: str, body: Any, method: str = "POST") -> Any:
        """Send the simulator a request."""
        ...

    def one_that_sends(self) -> int | None:
        """Choose a broadcast that sends."""
        ...


@dataclass(slots=True)
class Clocks:
    """The carriers' clocks: off from the start, by what the seed says, and drifting now and then, without a jump."""

    random: Random
    now: Callable[[], float]
    offsets: dict[str, float] = field(default_factory=dict)
    #: The drift of each that drifts, and since when.
    drifts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Set them off."""
        for carrier in CARRIERS:
            self.offsets[carrier] = self.random.choice((-1, 1)) * self.random.uniform(*OFF)

    def read(self, carrier: str) -> dict[str, float]:
        """Return how one is set now."""
        drift, since = self.drifts.get(carrier, (0.0, 0.0))
        return {"offset": self.offsets[carrier] + drift * (self.now() - since if drift else 0.0), "drift": drift}

    def drift(self, carrier: str, rate: float) -> dict[str, float]:
        """Have one drift from now on; it goes on from where it is."""
        self.offsets[carrier] = self.read(carrier)["offset"]
        # Not further and further away.
        rate = -rate if rate * self.offsets[carrier] > 0 and abs(self.offsets[carrier]) > FURTHEST / 2 else rate
        self.drifts[carrier] = (rate, self.now())
        return self.read(carrier)

    def settings(self) -> dict[str, dict[str, float]]:
        """Return what the simulator is told of them."""
        return {carrier: self.read(carrier) for carrier in CARRIERS}


async def at_the_start(breaker: Breaker, fault: Fault) -> bool | None:
    """Lose the first answers of a broadcast: none of its messages is known to have been taken."""
    await breaker.traffic.schedule(recipients=max(5, breaker.traffic.recipients // 8))
    return await _fall_silent(breaker, fault, lead=LEAD)


async def in_the_middle(breaker: Breaker, fault: Fault) -> bool | None:
    """Lose answers when some messages are known to have been taken, all before the silence."""
    return await _fall_silent(breaker, fault) if breaker.one_that_sends() is not None else False


async def after_a_pause(breaker: Breaker, fault: Fault) -> bool | None:
    """Lose the first answers after staff have paused a broadcast."""
    broadcast_id = breaker.one_that_sends()
    if broadcast_id is None:
        return False
    await breaker.api.post(f"/broadcasts/{broadcast_id}/pause")
    try:
        return await _fall_silent(breaker, fault)
    finally:
        with suppress(NotAnswered):
            await breaker.api.post(f"/broadcasts/{broadcast_id}/resume")


async def in_the_second_phase(breaker: Breaker, fault: Fault) -> bool | None:
    """Lose the first answers of the second phase: what is known to have been taken are first messages."""

    def comes(seen: Situation) -> bool:
        return "waiting" in seen.states

    if not await breaker.traffic.until(comes, seconds=COMES_WITHIN):
        return False
    await _silence(breaker, fault, lead=COMES_WITHIN)
    if not await breaker.traffic.until(lambda seen: "sending_second" in seen.states, seconds=COMES_WITHIN):
        return False
    await _lose(breaker, fault)
    return None


async def clock_drifts(breaker: Breaker, fault: Fault) -> bool:
    """Have a carrier's clock drift for a while; it stays where it got to."""
    rate = breaker.random.choice((-1, 1)) * breaker.random.uniform(*DRIFTS)
    await breaker.simulate("/config", {"clocks": {fault.target: breaker.clocks.drift(fault.target, rate)}}, "PUT")
    try:
        await asyncio.sleep(fault.seconds)
    finally:
        settings = {"clocks": {fault.target: breaker.clocks.drift(fault.target, 0.0)}}
        with suppress(httpx.HTTPError):
            await breaker.simulate("/config", settings, "PUT")
    return True


async def _fall_silent(breaker: Breaker, fault: Fault, *, lead: float = 0.0) -> bool | None:
    await _silence(breaker, fault, lead=lead)
    await _lose(breaker, fault, lead=lead)
    return None


async def _silence(breaker: Breaker, fault: Fault, *, lead: float = 0.0) -> None:
    await breaker.simulate("/faults", {"kind": "log_frozen", "on": "log", "lasts": lead + fault.seconds})


async def _lose(breaker: Breaker, fault: Fault, *, lead: float = 0.0) -> None:
    """Lose every answer for a while; it has happened once the first is lost."""
    lasts = lead + breaker.random.uniform(*LOST)
    loss = {"kind": breaker.random.choice(LOSSES), "on": "send", "lasts": lasts}
    [number] = await breaker.simulate("/faults", loss)
    breaker.armed[number] = fault.kind


ACTS: Mapping[str, Callable[[Breaker, Fault], Awaitable[bool | None]]] = {
    "silence_at_the_start": at_the_start,
    "silence_in_the_middle": in_the_middle,
    "silence_after_a_pause": after_a_pause,
    "silence_in_the_second_phase": in_the_second_phase,
    "clock_drifts": clock_drifts,
}
