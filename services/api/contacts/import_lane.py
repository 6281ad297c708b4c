"""A lane for what takes long: so many at once, some more wait for a while, the rest are told to come again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.api.http.errors import TooBusy


class Lane:
    """Lets `places` requests pass at once, and `line` wait for at most `patience` seconds each."""

    def __init__(self, *, places: int, line: int, patience: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._free_in_line = line
        self._patience = patience

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the time of the block. Raise TooBusy."""
        await self._wait()
        try:
            yield
        finally:
            self._places.release()

    async def _wait(self) -> None:
        if self._places.locked() and not self._free_in_line:
            raise TooBusy
        self._free_in_line -= 1
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise TooBusy from None
        finally:
            self._free_in_line += 1
