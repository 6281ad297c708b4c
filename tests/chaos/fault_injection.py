"""Makes each fault of a plan happen, and counts those that hit something.

What cannot be done at the moment, the broker being away, waits or is left out. What the simulator is told to do counts
once it has done it.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aio_pika.exceptions
import httpx

from libs.local import Stack
from tests.chaos import messages, silences
from tests.chaos.plan import Fault
from tests.chaos.proxy import Link
from tests.chaos.service_processes import Children
from tests.chaos.traffic import NUMBERS, Api, NotAnswered, Traffic

#: Not in a row, which the senders would take for an outage and wait for longer and longer.
SPREAD = {"every": 4}
#: Faults that the simulator makes, and how it calls them.
CARRIER: Mapping[str, Mapping[str, Any]] = {
    "rate_limited": {"kind": "rate_limited", "on": "send", "retry_after": 1},
    "error_before": {"kind": "error_before", "on": "send", **SPREAD},
    "error_after": {"kind": "error_after", "on": "send", **SPREAD},
    "cut_before": {"kind": "cut_before", "on": "send", **SPREAD},
    "cut_after": {"kind": "cut_after", "on": "send", **SPREAD},
    # A gateway in front of the carrier answers, whose word is not the carrier's.
    "gateway_refuses": {"kind": "error_before", "on": "send", "status": 400, "html": True, **SPREAD},
    "gateway_fails": {"kind": "error_after", "on": "send", "status": 502, "html": True, **SPREAD},
    "slow": {"kind": "slow", "on": "send", **SPREAD},
    "never_handed_over": {"kind": "never_handed_over", "on": "send", **SPREAD},
    "log_unreadable": {"kind": "log_unreadable", "on": "log"},
    "log_lag": {"kind": "log_lag", "on": "log"},
    "log_stands_still": {"kind": "log_frozen", "on": "log"},
    "shift_pages": {"kind": "shift_pages", "on": "log", "entries": 5},
    "skip_entries": {"kind": "skip_entries", "on": "log", "entries": 2},
    "webhook_twice": {"kind": "repeat", "on": "webhook"},
    "webhook_late": {"kind": "slow", "on": "webhook"},
}
#: Kinds whose seconds say how long they last, not how long they hold something up.
LASTING = frozenset({"log_stands_still"})
LATENCIES = (0.02, 0.25)  # seconds that a delayed link takes longer
BROKER_PATIENCE = 20.0  # seconds for which a fault waits for the broker
UNAVAILABLE = (
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    OSError,
    TimeoutError,
    NotAnswered,
    httpx.HTTPError,
)


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Does what a plan says."""

    stack: Stack
    children: Children
    links: Mapping[str, Link]
    simulator_url: str
    api: Api
    traffic: Traffic
    random: Random
    #: How far the carriers' clocks are off.
    clocks: silences.Clocks
    #: What has happened, by kind; `left_out` could not be done, or hit nothing.
    done: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    #: What the simulator is told to do and has not done yet, by the number that it gives it.
    armed: dict[int, str] = field(default_factory=dict)
    #: When each happened, epoch seconds.
    times: list[tuple[float, str]] = field(default_factory=list)
    poisoned: int = 0
    _database: asyncio.Lock = field(default_factory=asyncio.Lock)
    _broker: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def make(self, fault: Fault, now: Callable[[], float]) -> None:
        """Make a fault happen, and end it where it has an end."""
        began = now()
        try:
            happened = await self._act(fault)
        except UNAVAILABLE:
            happened = False
        if happened:
            self._count(fault.kind, began)
        elif happened is False:
            self.left_out[fault.kind] += 1

    async def tally(self) -> int:
        """Count what the simulator has done of what it was told to do; return how many faults have happened in all."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.get(f"{self.simulator_url}/_simulator/faults")
        for fault in answer.raise_for_status().json():
            if fault["fired"] and fault["n"] in self.armed:
                self._count(self.armed.pop(fault["n"]), fault["fired_at"])
        return self.done.total()

    def _count(self, kind: str, at: float) -> None:
        self.done[kind] += 1
        self.times.append((at, kind))

    async def heal(self) -> None:
        """End everything that is still wrong."""
        for link in self.links.values():
            link.heal()
        self.children.wake_all()
        await self.tally()
        self.left_out.update(self.armed.values())
        self.armed.clear()
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            (await client.delete(f"{self.simulator_url}/_simulator/faults")).raise_for_status()

    async def settle(self) -> None:
        """Wait until no server is being ended or started."""
        async with self._database, self._broker:
            pass

    async def _act(self, fault: Fault) -> bool | None:
        """Return whether it happened; None if the simulator is to tell later."""
        if fault.kind in CARRIER:
            return await self._misbehave(fault)
        if fault.kind in silences.ACTS:
            return await silences.ACTS[fault.kind](self, fault)
        act: Callable[[Fault], Awaitable[bool | None]] = getattr(self, f"_{fault.kind}")
        return await act(fault)

    # processes

    async def _kill(self, fault: Fault) -> bool:
        return await self.children.signal(fault.target, signal.SIGKILL) is not None

    async def _terminate(self, fault: Fault) -> bool:
        return await self.children.signal(fault.target, signal.SIGTERM) is not None

    async def _stop_briefly(self, fault: Fault) -> bool:
        pid = await self.children.signal(fault.target, signal.SIGSTOP)
        if pid is None:
            return False
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self.children.wake(fault.target, pid)
        return True

    _stop_past_the_lease = _stop_briefly

    # servers

    async def _database_crash(self, _fault: Fault) -> bool:
        assert self.stack.postgres is not None
        async with self._database:
            await _finish(asyncio.to_thread(self.stack.postgres.restart, immediate=True))
        return True

    async def _broker_crash(self, _fault: Fault) -> bool:
        assert self.stack.rabbitmq is not None
        async with self._broker:
            await _finish(asyncio.to_thread(self.stack.rabbitmq.restart, immediate=True))
        return True

    async def _broker_wiped(self, _fault: Fault) -> bool:
        broker = self.stack.rabbitmq
        assert broker is not None

        def wipe_and_start() -> None:
            broker.wipe()
            broker.start()

        async with self._broker:
            await _finish(asyncio.to_thread(wipe_and_start))
        return True

    async def _queues_deleted(self, _fault: Fault) -> bool:
        return await self._at_broker(messages.delete_queues)

    # links

    async def _cut(self, fault: Fault) -> bool:
        link, user = self._link(fault)
        return link.cut(user) > 0

    async def _refuse(self, fault: Fault) -> bool:
        link, user = self._link(fault)
        return await link.refuse(fault.seconds, user) > 0

    async def _delay(self, fault: Fault) -> bool:
        link, user = self._link(fault)
        before = link.hits(user)
        link.delay(self.random.uniform(*LATENCIES), fault.seconds, user)
        await asyncio.sleep(fault.seconds)
        return link.hits(user) > before

    async def _swallow(self, fault: Fault) -> bool:
        link, user = self._link(fault)
        before = link.hits(user)
        link.swallow(fault.seconds, user)
        await asyncio.sleep(fault.seconds)
        return link.hits(user) > before

    def _link(self, fault: Fault) -> tuple[Link, str | None]:
        name, _, user = fault.target.partition("/")
        return self.links[name], user or None

    # messages

    async def _duplicate(self, fault: Fault) -> bool:
        return await self._at_broker(
            lambda url: messages.publish_again(url, self.random, count=fault.count, copies=2, seconds=0.0)
        )

    async def _reorder(self, fault: Fault) -> bool:
        return await self._at_broker(
            lambda url: messages.publish_again(url, self.random, count=fault.count, copies=1, seconds=fault.seconds)
        )

    async def _poison(self, fault: Fault) -> bool:
        self.poisoned += fault.count
        return await self._at_broker(lambda url: messages.publish_nonsense(url, self.random, fault.count))

    async def _at_broker(self, act: Callable[[str], Awaitable[object]]) -> bool:
        """Do something at the broker as soon as it is there; an exchange that is missing comes back, too."""
        ends = asyncio.get_running_loop().time() + BROKER_PATIENCE
        while True:
            try:
                async with self._broker:
                    url = self.stack.servers.amqp_url
                return await act(url) != 0
            except UNAVAILABLE:
                if asyncio.get_running_loop().time() > ends:
                    raise
                await asyncio.sleep(0.5)

    # the carriers

    async def _misbehave(self, fault: Fault) -> bool | None:
        body = {**CARRIER[fault.kind], "count": fault.count}
        if fault.seconds:
            body["lasts" if fault.kind in LASTING else "seconds"] = fault.seconds
        [number] = await self.simulate("/faults", body)
        self.armed[number] = fault.kind
        return None

    async def simulate(self, path: str, body: Any, method: str = "POST") -> Any:
        """Send the simulator a request."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.request(method, f"{self.simulator_url}/_simulator{path}", json=body)
        return answer.raise_for_status().json()

    # people

    async def _make_twice(self, fault: Fault) -> bool:
        return await self.traffic.make_at_once(fault.count) > 1

    async def _batch_by_hand(self, fault: Fault) -> bool:
        return await self._ask(fault.count, "/broadcasts/draft/{}?isSecond=false", "/broadcasts/draft/{}?isSecond=true")

    async def _sync_by_hand(self, fault: Fault) -> bool:
        return await self._ask(fault.count, "/broadcasts/twilio/{}")

    async def _pause(self, fault: Fault) -> bool:
        broadcast_id = self.one_that_sends()
        if broadcast_id is None:
            return False
        answer = await self.api.post(f"/broadcasts/{broadcast_id}/pause")
        await asyncio.sleep(fault.seconds)
        with suppress(NotAnswered):
            await self.api.post(f"/broadcasts/{broadcast_id}/resume")
        return answer.is_success

    async def _opt_out_by_staff(self, fault: Fault) -> bool:
        for _ in range(fault.count):
            contact = self.random.randint(1, 2 * self.traffic.recipients)
            await self.api.patch(f"/contacts/{contact}", {"opted_out": True})
        return True

    async def _change_of_mind(self, fault: Fault) -> bool:
        """Have people say STOP and then START, or the other way round, and some of it twice."""
        for _ in range(fault.count):
            number, to = self.traffic.number(self.random), self.random.choice(NUMBERS)
            words = ["STOP", "START"] if self.random.random() < 0.5 else ["START", "STOP"]
            for word in (*words, self.random.choice(words)):
                await self.simulate("/inbound", {"from": number, "to": to, "body": word})
                await asyncio.sleep(fault.seconds)
        return True

    async def _ask(self, times: int, *paths: str) -> bool:
        broadcast_id = self.one_that_sends()
        if broadcast_id is None:
            return False
        answers = [await self.api.post(self.random.choice(paths).format(broadcast_id)) for _ in range(times)]
        return any(answer.is_success for answer in answers)

    def one_that_sends(self) -> int | None:
        """Choose a broadcast that sends; None if none does."""
        sending = self.traffic.situations[-1].sending if self.traffic.situations else ()
        return self.random.choice(sending) if sending else None


async def _finish(work: Awaitable[None]) -> None:
    """Wait for a thread to its end, even if we are cancelled meanwhile: it starts a server that has to be ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
