"""Following broadcasts while they run. However many watch one in a process, it is counted once a change.

A task looks at each broadcast that is watched. A look is cheap: it asks for the last event. Everything is counted when
that has changed, and now and then in any case, since an event with a lower position may be committed later. A look has
its connection for itself; nobody who waits holds one. Counting a large broadcast takes its time, so the pause grows
with it: all who watch it together cost the database a tenth of its time at most. Why nobody is notified instead:
docs/decisions/0012-live-pages-look.md.
"""

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import structlog

from libs.common import database
from libs.common.clock import Clock
from libs.common.database import Engine
from libs.common.domain.broadcast import FINAL
from libs.common.domain.states import BroadcastState
from libs.common.settings import Settings
from services.api.broadcasts import queries, snapshot
from services.api.broadcasts.snapshot import Snapshot

log = structlog.stdlib.get_logger(__name__)

INTERVAL = 0.5  # seconds between two looks, at least
SHARE = 10  # times as long as a look takes, the next one is put off
RECOUNT = 5.0  # seconds after which everything is counted though no event is known
HEARTBEAT = 15.0  # seconds without news after which a follower is told so

#: States after which there is nothing to watch.
LAST = (*FINAL, BroadcastState.MISSED)


@dataclass(slots=True, eq=False)
class _Watched:
    """A broadcast that somebody follows."""

    broadcast_id: int
    followers: int = 0
    latest: Snapshot | None = None
    #: Whether no news will come.
    ended: bool = False
    #: Set at the next news; another one takes its place then.
    news: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when nobody follows it any more.
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wake all followers."""
        self.news.set()
        self.news = asyncio.Event()


class Hub:
    """The broadcasts that are followed in this process."""

    def __init__(self, engine: Engine, settings: Settings, clock: Clock, stopping: asyncio.Event) -> None:
        """Make a hub of nobody. `stopping` is set when the process is to end."""
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._stopping = stopping
        self._watched: dict[int, _Watched] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def followers(self, broadcast_id: int) -> int:
        """Return how many follow a broadcast."""
        watched = self._watched.get(broadcast_id)
        return watched.followers if watched else 0

    def latest(self, broadcast_id: int) -> Snapshot | None:
        """Return what those who follow a broadcast were told last; None where nobody does."""
        watched = self._watched.get(broadcast_id)
        return watched.latest if watched else None

    async def follow(self, broadcast_id: int) -> AsyncGenerator[Snapshot | None]:
        """Yield a broadcast as it is, then after each change, until its state is final; None after each silence."""
        watched = self._join(broadcast_id)
        seen: Snapshot | None = None
        try:
            while True:
                if watched.latest is not None and watched.latest is not seen:
                    seen = watched.latest
                    yield seen
                elif watched.ended:
                    return
                else:
                    try:
                        async with asyncio.timeout(HEARTBEAT):
                            await watched.news.wait()
                    except TimeoutError:
                        yield None
        finally:
            self._leave(watched)

    async def close(self) -> None:
        """End all looks, and with them all that follow."""
        for watched in list(self._watched.values()):
            watched.left.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _join(self, broadcast_id: int) -> _Watched:
        watched = self._watched.get(broadcast_id)
        if watched is None:
            watched = self._watched[broadcast_id] = _Watched(broadcast_id)
            # It is nobody's: a context of its own keeps it from the first follower's.
            task = asyncio.create_task(self._look_until_the_end(watched), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        watched.followers += 1
        return watched

    def _leave(self, watched: _Watched) -> None:
        watched.followers -= 1
        if not watched.followers:
            watched.left.set()
            self._forget(watched)

    def _forget(self, watched: _Watched) -> None:
        if self._watched.get(watched.broadcast_id) is watched:
            del self._watched[watched.broadcast_id]

    async def _look_until_the_end(self, watched: _Watched) -> None:
        position, counted_at = None, 0.0
        try:
            while not (self._stopping.is_set() or watched.left.is_set()):
                began = time.monotonic()
                is_due = watched.latest is None or began - counted_at >= RECOUNT
                try:
                    found = await self._look(watched.broadcast_id, None if is_due else position)
                except database.TRANSIENT:
                    found = None  # the followers get heartbeats until the database is back
                if found is not None:
                    position, now = found
                    counted_at = time.monotonic()
                    if watched.latest is None or watched.latest.version != now.version:
                        watched.latest = now
                        watched.tell()
                    if now.broadcast.state in LAST:
                        return
                await self._pause(watched, max(INTERVAL, SHARE * (time.monotonic() - began)))
        except Exception:  # its followers come again, and see what is wrong
            log.exception("watching_failed", broadcast_id=watched.broadcast_id)
        finally:
            watched.ended = True
            self._forget(watched)
            watched.tell()

    async def _look(self, broadcast_id: int, known: int | None) -> tuple[int | None, Snapshot] | None:
        """Return the last event's position with everything counted; None if it is still the one that is known."""
        async with database.transaction(self._engine) as connection:
            await queries.take_one_snapshot(connection)
            position = await snapshot.last_event(connection, broadcast_id)
            if known is not None and position == known:
                return None
            return position, await snapshot.read(connection, broadcast_id, self._settings, self._clock())

    async def _pause(self, watched: _Watched, seconds: float) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._stopping, watched.left)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
