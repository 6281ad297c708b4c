"""Time that never goes backwards, what happens later, and carriers whose own clocks are wrong."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime


class Clock:
    """Epoch seconds, counted from one reading of the wall clock, and timers that a reset forgets."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._timers: set[asyncio.TimerHandle] = set()

    def now(self) -> float:
        """Return the time."""
        return self._offset + time.monotonic()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something in so many seconds; at once, if it is none."""
        if seconds <= 0:
            do()
            return

        def fire() -> None:
            self._timers.discard(handle)
            do()

        handle = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(handle)

    def forget(self) -> None:
        """Drop everything that was to come."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()


@dataclass(frozen=True, slots=True)
class Setting:
    """How far a clock is off from some moment on: by `offset` seconds, and by `drift` more with each second."""

    since: float
    offset: float
    drift: float


class CarrierClock:
    """A carrier's clock. What it said of a moment stays so when it is set to something else later."""

    def __init__(self) -> None:
        self._settings = [Setting(float("-inf"), 0.0, 0.0)]

    def set(self, *, offset: float, drift: float, at: float) -> None:
        """Have it be off from a moment on, which does not lie before the last one."""
        self._settings.append(Setting(at, offset, drift))

    def read(self, at: float) -> float:
        """Return what it says, or said, at a moment of true time."""
        setting = next(item for item in reversed(self._settings) if item.since <= at)
        return at + setting.offset + (setting.drift * (at - setting.since) if setting.drift else 0.0)


def http_date(at: float) -> str:
    """Write a time as the `Date` header has it."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)
