"""The API as a process of its own on an empty database, for tools that are programs of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support import servers
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
KEY = "a-key-for-the-contract-tests"
MISSIVE_SECRET = "a secret of Missive's rule"
NUMBER = "+13135550100"  # the number that is written to
#: What the tools are installed in; `make .venv/contract/.set-up` does it.
TOOLS = Path(os.environ.get("BROADSHEET_CONTRACT_TOOLS") or ROOT / ".venv/contract/bin")
PATIENCE = 180.0  # seconds for the API to begin


@dataclass(frozen=True, slots=True)
class Served:
    """An API that runs."""

    port: int
    log: Path
    database_url: str
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)


def start(folder: Path, database_url: str, port: int, *, workers: int = 1) -> "subprocess.Popen[bytes]":
    """Start an API; its log goes to a file in the folder."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BROADSHEET_DATABASE_URL": database_url,
        "BROADSHEET_FROM_NUMBER": NUMBER,
        "BROADSHEET_API_KEYS": KEY,
        "BROADSHEET_API_PORT": str(port),
        "BROADSHEET_API_WORKERS": str(workers),
        "BROADSHEET_MISSIVE_WEBHOOK_SECRET": MISSIVE_SECRET,
        "BROADSHEET_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "BROADSHEET_TWILIO_AUTH_TOKEN": "a token of Twilio's account",
    }
    with (folder / "api.log").open("wb") as output:
        command = [sys.executable, "-m", "services.api"]
        return subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)


@contextmanager
def serving(folder: Path, *, workers: int = 1) -> Iterator[Served]:
    """Run an API on an empty database for the time of the block."""
    port = free_port()
    with servers.database() as url:
        running = start(folder, url, port, workers=workers)
        try:
            served = Served(port, folder / "api.log", url, running)
            _await(served, running)
            yield served
        finally:
            running.terminate()
            running.wait(PATIENCE)


def _await(served: Served, running: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE
    with served.client as client:
        while time.monotonic() < until:
            assert running.poll() is None, served.log.read_text()
            with suppress(httpx.TransportError):
                if client.get("/health/ready").status_code == 204:
                    return
            time.sleep(0.1)
    raise TimeoutError(served.log.read_text())
