"""Slots of the pace, each used in its time or not at all.

`rate` hands slots out so that no window of the provider's ever sees more than it allows, given that a request comes no
more than `rate.SLACK` later than its slot. Here that bound is kept. Between a slot and its request lie a wait for a
permit, a commit, a connection that is opened, an event loop that is busy: so the time is looked at when all that is
left is to write the request (`carriers.http`), and a slot that is over by then is not used. Another one is reserved and
waited for, on the connection that is open now.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from libs.common import database
from libs.common.database import Engine
from libs.common.messaging import consumer
from libs.common.rate_limits import rate
from libs.common.rate_limits.rate import Limit

#: Seconds that a request waits for another slot. Its connection is open meanwhile, and servers close one that is idle.
REBOOK = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One reserved slot, or the first of several that follow each other. Times are monotonic, in seconds."""

    #: From then on it has begun for certain: the answer that gave it took a while to come.
    begins: float
    #: The earliest that it can have begun.
    earliest: float
    limits: Sequence[Limit]

    def over(self, position: int = 0) -> float:
        """Return when it, or one that follows it, is over."""
        late = [self.earliest + position * limit.interval + limit.late for limit in self.limits]
        return min(late, default=float("inf"))


async def reserve(engine: Engine, limits: Sequence[Limit], *, count: int = 1, within: float) -> Slot | None:
    """Reserve `count` slots; None, and nothing reserved, if the first is more than `within` seconds away."""
    async with database.transaction(engine) as connection:
        asked = time.monotonic()
        delay = await rate.reserve(connection, limits, count=count, within=within)
        answered = time.monotonic()
    if delay is None:
        return None
    return Slot(begins=answered + delay, earliest=asked + delay, limits=limits)


class Turn:
    """One request's slot: the one that was reserved for it, or another in its place."""

    def __init__(self, engine: Engine, slot: Slot, position: int = 0) -> None:
        self._pool = engine
        self._limits = slot.limits
        self._over = slot.over(position)
        self._may_begin = False

    async def ready(self) -> bool:
        """Whether the request may be written now: at once in its time, else once another slot has come. It may wait."""
        while time.monotonic() > self._over:
            try:
                slot = await reserve(self._pool, self._limits, within=REBOOK)
            except consumer.TRANSIENT:
                return False
            if slot is None:
                return False
            await asyncio.sleep(max(0.0, slot.begins - time.monotonic()))
            self._over = slot.over()
        self._may_begin = True
        return True

    def missed(self) -> bool:
        """Whether the slot has passed since the request was ready: then it must not be written after all."""
        return self._may_begin and time.monotonic() > self._over
