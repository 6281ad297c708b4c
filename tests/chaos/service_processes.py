"""The processes of the rig, kept running: one that dies, of itself or by a fault, is started again shortly after."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
BACK_OFF = 0.3  # seconds before a process is started again
READY_WITHIN = 60.0  # seconds


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready_url: str
    log: Path
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Children:
    """All processes of a run."""

    logs: Path
    #: How processes ended that nobody had told to, by name and status: a negative one is a signal.
    deaths: Counter[tuple[str, int]] = field(default_factory=Counter)
    _children: dict[str, Child] = field(default_factory=dict)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(
        self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], ready_url: str
    ) -> None:
        """Start `python` with these arguments and keep it running."""
        child = Child(name, arguments, environment, ready_url, self.logs / f"{name}.log")
        child.log.write_bytes(b"")
        self._children[name] = child
        await self._launch(child)
        child.keeper = asyncio.create_task(self._keep(child))

    async def ready(self) -> None:
        """Wait until every process has said that it is ready."""
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            await asyncio.gather(*(self._ready(client, child) for child in self._children.values()))

    async def signal(self, name: str, number: signal.Signals, *, wait: float = 10.0) -> int | None:
        """Send a signal to a process, once it runs, and give its pid; None if it did not run in all that time."""
        child = self._children[name]
        ends = asyncio.get_running_loop().time() + wait
        while child.process is None or child.process.returncode is not None:
            if asyncio.get_running_loop().time() > ends:
                return None
            await asyncio.sleep(0.05)
        child.process.send_signal(number)
        return child.process.pid

    def wake(self, name: str, pid: int) -> None:
        """Have a stopped process go on, if it is still that one."""
        process = self._children[name].process
        if process is not None and process.pid == pid and process.returncode is None:
            process.send_signal(signal.SIGCONT)

    def wake_all(self) -> None:
        """Have every stopped process go on."""
        for child in self._children.values():
            if child.process is not None and child.process.returncode is None:
                child.process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Kill everything and wait until it is gone."""
        self._ending.set()
        for child in self._children.values():
            if child.process is not None and child.process.returncode is None:
                with suppress(ProcessLookupError):
                    child.process.kill()
        keepers = [child.keeper for child in self._children.values() if child.keeper is not None]
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _launch(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable, *child.arguments,
                cwd=ROOT, env=dict(child.environment), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                # Ctrl-C at the terminal is for the rig, which ends the others.
                start_new_session=True,
            )  # fmt: skip

    async def _keep(self, child: Child) -> None:
        while True:
            assert child.process is not None
            status = await child.process.wait()
            if self._ending.is_set():
                return
            self.deaths[child.name, status] += 1
            await asyncio.sleep(BACK_OFF)
            if self._ending.is_set():
                return
            await self._launch(child)
            if self._ending.is_set():  # asked to end while it was being started
                child.process.kill()

    async def _ready(self, client: httpx.AsyncClient, child: Child) -> None:
        ends = asyncio.get_running_loop().time() + READY_WITHIN
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(child.ready_url)).is_success:
                    return
            if asyncio.get_running_loop().time() > ends:
                raise RuntimeError(f"{child.name} did not become ready:\n{child.log.read_text()[-2000:]}")
            await asyncio.sleep(0.1)


def clean_environment() -> dict[str, str]:
    """Return the environment without any setting of Broadsheet's or of the simulator's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BROADSHEET_", "SIMULATOR_"))}
