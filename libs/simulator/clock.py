"""Time that never goes backwards, and what happens later."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Epoch seconds, counted from one reading of the wall clock, and timers that a reset forgets."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._timers: set[asyncio.TimerHandle] = set()

    def now(self) -> float:
        """Give the time."""
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
