"""Starts Broadsheet's processes, starts those anew that die, and ends them all in order."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from libs.console.failures import DidNotStart

READY_WITHIN = 60.0  # seconds
END_WITHIN = 40.0  # seconds; a sender waits for the answers to what it has started
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before a process that died is started again
STEADY = 30.0  # seconds after which a process has recovered


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    ready_url: str
    log: Path
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    deaths: int = 0


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nobody listens there, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")


class Supervisor:
    """Keeps processes running. `tell` hears of what happens to them."""

    def __init__(self, logs: Path, tell: Callable[[str], None]) -> None:
        self._logs = logs
        self._tell = tell
        self._children: dict[str, Child] = {}
        self._ending = False
        logs.mkdir(parents=True, exist_ok=True)

    async def start(
        self, name: str, module: str, *arguments: str, environment: Mapping[str, str], ready_url: str
    ) -> None:
        """Start `python -m module`, log to a file of its own, and keep it running."""
        child = Child(name, module, arguments, {**os.environ, **environment}, ready_url, self._logs / f"{name}.log")
        child.log.write_bytes(b"")
        self._children[name] = child
        await self._launch(child)
        child.keeper = asyncio.create_task(self._keep(child))

    async def _launch(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", child.module, *child.arguments,
                env=child.environment, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C at the terminal is for the supervisor, which then ends the others in order.
                start_new_session=True,
            )  # fmt: skip

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            assert child.process is not None
            status = await child.process.wait()
            if self._ending:
                return
            child.deaths = 1 if loop.time() - began > STEADY else child.deaths + 1
            wait = BACK_OFF[min(child.deaths, len(BACK_OFF)) - 1]
            self._tell(f"{child.name} ended with status {status}; it is started again in {wait:g} s (see {child.log})")
            await asyncio.sleep(wait)
            await self._launch(child)

    async def ready(self) -> None:
        """Wait until every process is ready. Raise DidNotStart with the end of the log of one that is not."""
        await asyncio.gather(*(self._ready(child) for child in self._children.values()))

    async def _ready(self, child: Child) -> None:
        ends = asyncio.get_running_loop().time() + READY_WITHIN
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                try:
                    if (await client.get(child.ready_url)).is_success:
                        return
                except httpx.TransportError:
                    pass
                if asyncio.get_running_loop().time() > ends or child.deaths >= len(BACK_OFF):
                    raise DidNotStart(f"{child.name} did not become ready:\n{self.last_lines(child.name)}")
                await asyncio.sleep(0.1)

    def last_lines(self, name: str, count: int = 12) -> str:
        """Return the end of a process's log."""
        lines = self._children[name].log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-count:])

    def pid(self, name: str) -> int:
        """Return the process id that a name has now."""
        process = self._children[name].process
        assert process is not None
        return process.pid

    async def stop(self) -> None:
        """End all processes, those started last first, and wait for each; one that does not end is killed."""
        self._ending = True
        services = [child for child in self._children.values() if child.name != "simulator"]
        await asyncio.gather(*(self._end(child) for child in services))
        # The simulator is last: senders still wait for its answers.
        await asyncio.gather(*(self._end(child) for child in self._children.values() if child not in services))
        self._children.clear()

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                async with asyncio.timeout(END_WITHIN):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if child.keeper is not None:
            child.keeper.cancel()
            await asyncio.gather(child.keeper, return_exceptions=True)
