"""Ending tasks for certain.

One `cancel` may not do. asyncio delivers a cancellation once, and code that awaits a future which is done at that very
moment may take the result and let the cancellation go: `asyncio.wait_for` did so before Python 3.12. The task then goes
on as if nobody had asked.
"""

import asyncio
from collections.abc import Iterable

AGAIN = 1.0  # seconds for a task to end before it is told again


async def cancel_and_wait(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, as often as it takes, and return once all have ended. What they raise is not raised here."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
