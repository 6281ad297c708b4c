"""The checkouts whose speed is measured: this one, or another beside it.

What is used of a checkout is what all releases share: its services as programs that read the environment, HTTP, the
command line, and the names of the tables.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

from tests.support import servers
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
KEY = "a key for the bench alone"
NUMBER = "+13135550100"
SECRET = "a secret of Missive's rule"
ACCOUNT = "AC" + "0" * 32
PATIENCE = 90.0  # seconds for a service to begin, or to end
LOOK = 0.01  # seconds between two looks whether a service is ready
#: What every service is given. Nothing is sent to anybody: a carrier has an address only where one is measured.
SETTINGS = {
    "FROM_NUMBER": NUMBER,
    "API_KEYS": KEY,
    "MISSIVE_WEBHOOK_SECRET": SECRET,
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": "a token of Twilio's account",
    # Earlier releases do not know `off`: a minute of the night is as good.
    "QUIET_HOURS": "00:00-00:01",
    "SEND_HOLD": "0",
    # Earlier releases want one everywhere; who needs none connects to nothing.
    "AMQP_URL": "amqp://127.0.0.1:9/",
    "LOG_LEVEL": "warning",
}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs."""

    process: psutil.Process
    port: int
    #: Seconds until it was ready.
    start: float

    def processor_time(self) -> float:
        """Return the processor seconds that its processes have taken so far."""
        return float(sum(sum(each.cpu_times()[:2]) for each in self._processes()))

    def memory(self) -> float:
        """Return the megabytes that its processes hold in memory."""
        return float(sum(each.memory_info().rss for each in self._processes())) / 1e6

    def client(self, timeout: float = 60) -> httpx.Client:
        """Return a client of the API."""
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=timeout)

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class Took:
    """What a command took, in seconds."""

    seconds: float
    processor_time: float


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with its environment."""

    root: Path
    python: Path

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yield the URL of an empty database with the checkout's schema, for the time of the block."""
        with servers.database(migrated=False) as url:
            self._broadsheet("db", "upgrade", environment=self._environment(DATABASE_URL=url))
            yield url

    def command(self, *arguments: str, **environment: str) -> Took:
        """Run the command line once; nothing else may end meanwhile. The environment's names are whole."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self._broadsheet(*arguments, environment={**self._environment(), **environment})
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Took(seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)

    @contextmanager
    def service(self, name: str, folder: Path, **settings: str) -> Iterator[Service]:
        """Run a service for the time of the block; its log is in the folder."""
        port = free_port()
        environment = self._environment(API_PORT=str(port), HEALTH_PORT=str(port), **settings)
        log = folder / f"{name}.log"
        began = time.perf_counter()
        with log.open("wb") as output:
            command = [str(self.python), "-m", f"services.{name}"]
            running = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            _await_ready(running, port, log)
            yield Service(psutil.Process(running.pid), port, time.perf_counter() - began)
        finally:
            running.terminate()
            running.wait(PATIENCE)

    def child(self, script: Path) -> "subprocess.Popen[str]":
        """Start a program with the checkout's modules, to which lines are written and which answers by lines."""
        return subprocess.Popen(
            [self.python, script],
            cwd=self.root, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _broadsheet(self, *arguments: str, environment: Mapping[str, str]) -> None:
        subprocess.run(
            [self.python.with_name("broadsheet"), *arguments],
            cwd=self.root, env=environment, check=True, capture_output=True,
        )  # fmt: skip

    def _environment(self, **settings: str) -> dict[str, str]:
        given = {f"BROADSHEET_{name}": value for name, value in (SETTINGS | settings).items()}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root), **given}


THIS = Checkout(ROOT, Path(sys.executable))


def other(root: Path) -> Checkout:
    """Return another checkout. Raise FileNotFoundError if it is none, or is not set up."""
    python = root.resolve() / ".venv/bin/python"
    if not python.exists():
        raise FileNotFoundError(f"{python} does not exist: run `make set-up` in {root}")
    return Checkout(root.resolve(), python)


def _await_ready(running: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        while time.monotonic() < until:
            if running.poll() is not None:
                raise RuntimeError(f"ended with status {running.returncode}:\n{log.read_text()[-2000:]}")
            try:
                if client.get("/health/ready").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(LOOK)
    raise TimeoutError(log.read_text()[-2000:])
