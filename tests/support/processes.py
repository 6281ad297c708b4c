"""The services and the simulator as processes, as an operator runs them; only the environment shortens settings."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
KEY = "a key for the tests alone"
FROM_NUMBER = "+13135550100"
SECRETS = {"MISSIVE_TOKEN": "missive-token", "MISSIVE_WEBHOOK_SECRET": "webhook-secret", "TWILIO_AUTH_TOKEN": "twilio"}
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
#: Seconds for what takes moments on a quiet machine; only a test that fails waits for so long.
PATIENCE = 90.0
START_PATIENCE = 180.0  # seconds for a process to be ready
END_PATIENCE = 90.0  # seconds for a process to end


async def until(
    condition: Callable[[], Awaitable[Any]],
    *,
    seconds: float = PATIENCE,
    every: float = 0.1,
    instead: Callable[[], Awaitable[Any]] | None = None,
) -> Any:
    """Wait until the condition gives something true, and give that.

    Fails after `seconds`, and says what was `instead`.
    """
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if asyncio.get_running_loop().time() >= ends:
            said = "" if instead is None else f", but {await instead()}"
            raise AssertionError(f"not within {seconds} s: {condition.__qualname__}{said}")
        await asyncio.sleep(every)


class Processes:
    """Broadsheet on this machine: start, look, kill, end."""

    def __init__(self, folder: Path, database_url: str, amqp_url: str, **settings: str) -> None:
        self.folder = folder
        self.api = f"http://127.0.0.1:{free_port()}"
        self.simulator = f"http://127.0.0.1:{free_port()}"
        self.ports: dict[str, int] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # To make a client takes longer than a request. No connection is kept: processes are ended and started anew.
        self._http = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        given = {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "API_PORT": self.api.rpartition(":")[2],
            "API_KEYS": KEY,
            "PUBLIC_URL": self.api,
            "FROM_NUMBER": FROM_NUMBER,
            "MISSIVE_URL": self.simulator,
            "TWILIO_URL": self.simulator,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            **SECRETS,
            "MISSIVE_WINDOWS": "",
            "SEND_RATE": "40",
            "SECOND_DELAY": "3",
            "SEND_HOLD": "0",
            "LEASE": "2",
            "REQUEST_TIMEOUT": "2",
            "SETTLE_AFTER": "6.5",
            "HANDOVER_AFTER": "8",
            "WATCHDOG_INTERVAL": "0.5",
            "SYNC_INTERVAL": "1",
            "QUIET_HOURS": "",
            "TIMEZONE": "UTC",
            "HOLIDAYS": "",
            "LOG_FORMAT": "json",
            **settings,
        }
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("BROADSHEET_")}
        self.environment |= {f"BROADSHEET_{name}": value for name, value in given.items()}

    async def start(self, *names: str) -> None:
        """Start services by name (`sender`, or `sender2` for another one) and wait until they are ready."""
        for name in names:
            self.launch(name)
        await asyncio.gather(*(self.ready(name) for name in names))

    def launch(self, name: str) -> None:
        """Start a process without waiting for it."""
        module = "libs.simulator" if name == "simulator" else f"services.{name.rstrip('0123456789')}"
        arguments = ["--port", self.simulator.rpartition(":")[2]] if name == "simulator" else []
        self.ports[name] = free_port()
        environment = self.environment | {"BROADSHEET_HEALTH_PORT": str(self.ports[name])}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def health(self, name: str) -> str:
        """Return the base URL of a process's health and metrics."""
        return {"api": self.api, "simulator": self.simulator}.get(name, f"http://127.0.0.1:{self.ports[name]}")

    async def ready(self, name: str) -> None:
        """Wait until a process is ready."""
        url = f"{self.health(name)}/health/{'live' if name == 'simulator' else 'ready'}"

        async def answers() -> bool:
            assert self._running[name].poll() is None, f"{name} has ended:\n{self.log(name)[-3000:]}"
            try:
                return (await self._http.get(url, timeout=5)).is_success
            except httpx.TransportError:
                return False

        await until(answers, seconds=START_PATIENCE)

    def log(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.folder / f"{name}.log").read_text()

    def pid(self, name: str) -> int:
        """Return a process's number."""
        return self._running[name].pid

    def send(self, name: str, what: signal.Signals) -> None:
        """Send a signal to a process."""
        self._running[name].send_signal(what)

    async def end(self, name: str, what: signal.Signals = signal.SIGTERM) -> int:
        """End a process and give its exit status."""
        self.send(name, what)
        return await asyncio.to_thread(self._running.pop(name).wait, END_PATIENCE)

    async def close(self) -> None:
        """End everything that runs."""
        await self._http.aclose()
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            try:
                await asyncio.to_thread(process.wait, END_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API, with its key."""
        headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
        return await self._http.request(method, f"{self.api}{path}", headers=headers, **options)

    async def get(self, path: str) -> Any:
        """Get something from the API that must be there."""
        answer = await self.call("GET", path)
        assert answer.is_success, answer.text
        return answer.json()

    async def post(self, path: str, **options: Any) -> Any:
        """Post something to the API that must be taken."""
        answer = await self.call("POST", path, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def simulate(self, method: str, path: str, body: Any = None) -> Any:
        """Call the simulator's control API."""
        answer = await self._http.request(method, f"{self.simulator}/_simulator{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def configure_simulator(self, **configuration: Any) -> None:
        """Have the simulator know our keys and our webhooks."""
        await self.simulate(
            "PUT",
            "/config",
            {
                "missive_token": SECRETS["MISSIVE_TOKEN"],
                "missive_webhook_url": f"{self.api}/webhooks/missive",
                "missive_webhook_secret": SECRETS["MISSIVE_WEBHOOK_SECRET"],
                "twilio_account_sid": ACCOUNT,
                "twilio_auth_token": SECRETS["TWILIO_AUTH_TOKEN"],
                "twilio_sms_webhook_url": f"{self.api}/webhooks/twilio/sms",
                "limits": {"concurrent": 5, "windows": []},
                **configuration,
            },
        )
