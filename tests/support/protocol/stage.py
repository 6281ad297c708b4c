"""The order in which actors commit, as the one who looks on wants it.

An actor is a service at work: a task that stops before each commit, and after each look into the carrier's log. One
commit is let through at a time; an actor may be held there while others go on (and wait for its locks), or be lost.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from unittest import mock
from uuid import UUID

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import scheduling
from libs.common.database import Connection, Engine
from libs.common.domain.cause import Cause
from tests.support import servers, witness
from tests.support.world import NOW, Clock

if TYPE_CHECKING:
    from tests.support.protocol.sender import Sender

STILL = 0.002  # seconds between two looks whether an actor waits for a lock

T = TypeVar("T")

transact = database.transaction


@dataclass(eq=False, slots=True)
class Actor:
    """A service at work on one thing."""

    name: str
    #: The worker in whose process it runs; None for services that keep nothing in mind.
    sender: "Sender | None"
    task: "asyncio.Task[None] | None" = None
    #: Where it stands: before a commit, or behind a look into the log; None while it runs, or waits for a lock.
    at: Literal["commit", "log"] | None = None
    held: bool = False
    since: datetime = NOW
    pid: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> bool:
        return self.task is None or self.task.done()


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


class Stage:
    """Where actors act: a database, a loop, and the order in which they commit. One for all examples."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.actors: list[Actor] = []
        #: That of the example under way.
        self.clock = Clock()
        #: Whether the last that was run ended without an error.
        self.sound = True
        self._runner = asyncio.Runner()
        self._moved = asyncio.Event()
        self._ids = 0
        self.engine = database.create_engine(url, size=12)
        #: For looking on: it takes part in nothing.
        self.monitor = database.create_engine(url, size=2)
        self._witness = AsyncExitStack()
        self.run(self._witness.enter_async_context(witness.keeping(url)))
        self._gates = mock.patch.object(database, "transaction", self._transaction)
        self._gates.start()

    @asynccontextmanager
    async def _transaction(self, engine: Engine, cause: Cause | None = None) -> AsyncIterator[Connection]:
        """Stand in for `database.transaction`: ask the stage before the commit."""
        actor = _actor.get()
        async with transact(engine, cause) as connection:
            if actor is not None:
                pid = await connection.execute(text("SELECT pg_backend_pid()"))
                actor.pid = pid.scalar_one()
            yield connection
            if engine is self.engine:
                await self.gate("commit")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        self.sound = False
        # Batches are taken in the order of their ids: the same steps must give the same order.
        with mock.patch.object(scheduling, "uuid4", self._next_id):
            result = self._runner.run(coroutine)
        self.sound = True
        return result

    def _next_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def close(self) -> None:
        self._gates.stop()
        self.run(self._witness.aclose())
        self.run(self.monitor.dispose())
        self.run(self.engine.dispose())
        self._runner.close()

    def empty(self) -> None:
        servers.empty(self.url)

    async def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        return await witness.query(self.url, statement, *parameters)

    async def gate(self, at: Literal["commit", "log"]) -> None:
        """Stop here until the stage says go."""
        actor = _actor.get()
        if actor is None:
            return
        actor.at, actor.since = at, self.clock.now
        self._moved.set()
        await actor.go.wait()
        actor.go.clear()

    async def act(self, actor: Actor, work: Coroutine[Any, Any, None]) -> None:
        """Start an actor, and let everybody go as far as they can."""
        token = _actor.set(actor)
        actor.task = asyncio.create_task(work)
        _actor.reset(token)
        actor.task.add_done_callback(lambda _task: self._moved.set())
        self.actors.append(actor)
        await self.go_on()

    async def release(self, actor: Actor, *, again: bool) -> None:
        """Let an actor go on, to be held at the next gate `again`, or not."""
        actor.held = False
        self._let_go(actor)
        actor.held = again
        await self.go_on()

    async def lose(self, actor: Actor) -> None:
        """End an actor where it stands: what it has not committed never was."""
        assert actor.task is not None
        actor.task.cancel()
        with suppress(asyncio.CancelledError):
            await actor.task
        self.actors.remove(actor)
        await self.go_on()

    async def go_on(self) -> None:
        """Let whoever is not held commit, one after the other, until nobody moves any more."""
        while True:
            await self._still()
            for actor in [actor for actor in self.actors if actor.done]:
                self.actors.remove(actor)
                assert actor.task is not None
                actor.task.result()
            ready = [actor for actor in self.actors if actor.at is not None and not self._kept(actor)]
            if not ready:
                return
            self._let_go(ready[0])

    @staticmethod
    def _kept(actor: Actor) -> bool:
        return actor.held or (actor.sender is not None and actor.sender.stopped_at is not None)

    @staticmethod
    def _let_go(actor: Actor) -> None:
        actor.at = None
        actor.go.set()

    async def _still(self) -> None:
        """Wait until every actor is done, stands at a gate or waits for another's lock."""
        while running := [actor for actor in self.actors if not actor.done and actor.at is None]:
            somebody_stands = any(actor.at is not None for actor in self.actors)
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), STILL if somebody_stands else None)
            except TimeoutError:
                waiting = await self.rows(
                    "SELECT pid FROM unnest(%s::int[]) AS pid WHERE cardinality(pg_blocking_pids(pid)) > 0",
                    [actor.pid for actor in running],
                )
                still_running = [actor for actor in running if not actor.done and actor.at is None]
                if still_running and len(waiting) >= len(running):
                    return
