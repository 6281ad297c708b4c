"""A carrier that answers as a test says. It stands for the network alone: what it is asked is what would be texted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from libs.common.carriers.clocks import Meter
from libs.common.carriers.http import Ready, at_once
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome

Answer = Outcome | Callable[[], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What would have left."""

    to: str
    from_number: str
    body: str
    #: Monotonic, in seconds.
    at: float
    labels: tuple[str, ...] = ()
    #: Seconds.
    valid_for: int | None = None


@dataclass(slots=True)
class ScriptedCarrier:
    """Answers the first requests by `script`, and takes all that come after."""

    script: Sequence[Answer] = ()
    name: str = "missive"
    meter: Meter = field(default_factory=Meter)
    #: Seconds that every answer takes.
    seconds: float = 0.0
    #: Seconds that it takes to be connected.
    connecting: Callable[[], float] = lambda: 0.0
    requests: list[Request] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0

    async def send(
        self,
        *,
        to: str,
        from_number: str,
        body: str,
        may_still_send: Callable[[], bool],
        ready: Ready = at_once,
        labels: Sequence[str] = (),
        valid_for: int | None = None,
    ) -> Outcome:
        if not may_still_send():
            return Deferred(code="not_started", reason="")
        if seconds := self.connecting():
            await asyncio.sleep(seconds)
        if not await ready() or not may_still_send():
            return Deferred(code="not_started", reason="")
        number = len(self.requests)
        self.requests.append(
            Request(
                to=to,
                from_number=from_number,
                body=body,
                at=time.monotonic(),
                labels=tuple(labels),
                valid_for=valid_for,
            )
        )
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(self.seconds)
            answer = self.script[number] if number < len(self.script) else None
            if answer is None:
                return Accepted(missive_id=f"M{number}-{to}")
            return await answer() if callable(answer) else answer
        finally:
            self.busy -= 1

    async def aclose(self) -> None:
        pass


async def never() -> Outcome:
    """Answer when it is too late for everybody."""
    await asyncio.sleep(3600)
    raise AssertionError
