"""A TCP proxy that can cut, refuse, delay and swallow, between each process and each server.

Every process has a port of its own for each link, so that one can be cut off while the others go on. What is swallowed
is held, not lost, as TCP would have it: it arrives when the hole is over, even if its sender has gone by then.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from tests.support.ports import HOST, free_port

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[asyncio.BaseTransport, asyncio.Protocol]]]


def to_tcp(port: int) -> Connect:
    """Connect to a port of this machine."""
    return lambda factory: asyncio.get_running_loop().create_connection(factory, HOST, port)


def to_socket(path: str) -> Connect:
    """Connect to a Unix socket."""
    return lambda factory: asyncio.get_running_loop().create_unix_connection(factory, path)


class Link:
    """The way from several processes to one server."""

    def __init__(self, name: str, connect: Connect) -> None:
        self.name = name
        self.connect = connect
        self.ports: dict[str, int] = {}
        self.sides: set[_Side] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, asyncio.Server] = {}
        #: Loop time until which nothing passes, by process.
        self._held: dict[str, float] = {}
        #: Seconds that everything takes longer, and the loop time until which it does, by process.
        self._slow: dict[str, tuple[float, float]] = {}
        #: What was held or delayed so far, by process.
        self.hit: Counter[str] = Counter()

    async def listen(self, user: str) -> int:
        """Open the port of one process."""
        self.ports[user] = port = self.ports.get(user) or free_port()
        loop = asyncio.get_running_loop()
        self._listeners[user] = await loop.create_server(lambda: _Side(self, user), HOST, port, reuse_address=True)
        return port

    def held_until(self, user: str) -> float:
        """Return the time until which nothing passes."""
        return self._held.get(user, 0.0)

    def latency(self, user: str, now: float) -> float:
        """Return the seconds that everything takes longer now."""
        seconds, until = self._slow.get(user, (0.0, 0.0))
        return seconds if now < until else 0.0

    def hits(self, user: str | None = None) -> int:
        """Count what was held or delayed so far, of a process, or of all."""
        return sum(self.hit[name] for name in self._users(user))

    def cut(self, user: str | None = None) -> int:
        """Break the connections of a process, or of all; return how many there were."""
        sides = [side for side in self.sides if user in (None, side.user)]
        for side in sides:
            side.abort()
        return len(sides)

    def swallow(self, seconds: float, user: str | None = None) -> None:
        """Let nothing pass for a while; connections stay."""
        until = asyncio.get_running_loop().time() + seconds
        for name in self._users(user):
            self._held[name] = max(until, self.held_until(name))

    def delay(self, latency: float, seconds: float, user: str | None = None) -> None:
        """Let everything pass later for a while."""
        until = asyncio.get_running_loop().time() + seconds
        self._slow |= dict.fromkeys(self._users(user), (latency, until))

    async def refuse(self, seconds: float, user: str | None = None) -> int:
        """Break the connections and take no new ones for a while; return how many were broken."""
        users = [name for name in self._users(user) if name in self._listeners]
        broken = 0
        for name in users:
            self._listeners.pop(name).close()
            broken += self.cut(name)
        try:
            await asyncio.sleep(seconds)
        finally:
            for name in users:
                await self.listen(name)
        return broken

    def heal(self) -> None:
        """Let everything pass again."""
        self._held.clear()
        self._slow.clear()

    async def close(self) -> None:
        """Break and close everything."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self.cut()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _users(self, user: str | None) -> list[str]:
        return list(self.ports) if user is None else [user]


class _Side(asyncio.Protocol):
    """One end of a connection; what comes in here goes out at the peer's."""

    def __init__(self, link: Link, user: str, peer: "_Side | None" = None) -> None:
        self.link = link
        self.user = user
        self.peer = peer
        self._transport: asyncio.Transport | None = None
        self._outgoing: deque[tuple[float, bytes | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.link.sides.add(self)
        if self.peer is None:
            self.peer = _Side(self.link, self.user, self)
            task = asyncio.get_running_loop().create_task(self._connect(self.peer))
            self.link.tasks.add(task)
            task.add_done_callback(self.link.tasks.discard)
        elif self.peer._gone:
            transport.abort()
        else:
            self._pump()

    async def _connect(self, peer: "_Side") -> None:
        try:
            await self.link.connect(lambda: peer)
        except OSError:
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.pass_on(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._gone = True
        self.link.sides.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self.peer is not None and not self.peer._gone:
            self.peer.pass_on(None)

    def pass_on(self, data: bytes | None) -> None:
        """Send what the peer got, in order, when the link lets it; None closes."""
        now = asyncio.get_running_loop().time()
        latency = self.link.latency(self.user, now)
        idle = not self._outgoing and not latency and now >= self.link.held_until(self.user)
        if idle and self._transport is not None:
            self._write(data)
            return
        if not idle:
            self.link.hit[self.user] += 1
        self._outgoing.append((now + latency, data))
        self._pump()

    def abort(self) -> None:
        """Break the connection on both sides at once."""
        for side in (self, self.peer):
            if side is not None:
                side._outgoing.clear()
                if side._transport is not None:
                    side._transport.abort()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._outgoing and self._transport is not None and not self._gone:
            due = max(self._outgoing[0][0], self.link.held_until(self.user))
            if loop.time() < due:
                self._timer = loop.call_at(due, self._pump)
                return
            self._write(self._outgoing.popleft()[1])

    def _write(self, data: bytes | None) -> None:
        assert self._transport is not None
        if data is None:
            self._transport.close()
        else:
            self._transport.write(data)
