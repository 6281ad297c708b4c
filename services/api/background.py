"""Work that goes on after the answer: it is ended with the process, and whoever looks sees how far it came."""

import asyncio
from collections.abc import Coroutine

import structlog

from libs.common.runtime import tasks

log = structlog.stdlib.get_logger(__name__)


class Background:
    """Tasks that nobody waits for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Begin some work."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End all that is under way."""
        await tasks.cancel_and_wait(list(self._tasks))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_work_failed", error=type(error).__name__)
