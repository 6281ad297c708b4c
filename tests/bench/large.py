"""A large broadcast: the making of it, and what the API answers about it."""

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench import audience
from tests.bench.checkouts import ROOT, Checkout, Service

STEPS = ROOT / "tests/bench/steps_child.py"
PATIENCE = 900.0  # seconds that making may take
REQUESTS = 10  # of each kind in a round
LOOK_UPS = {
    "GET messages": "/broadcasts/{id}/messages?limit=100",
    "GET report": "/broadcasts/{id}/report",
    "GET events": "/broadcasts/{id}/events?limit=100",
    "GET contacts": "/contacts?limit=100",
}


@dataclass(frozen=True, slots=True)
class Large:
    """An API with a large broadcast that has just been made."""

    api: Service
    broadcast: int
    steps: "subprocess.Popen[str]"
    #: Seconds that `/make` took.
    make: float

    def send(self, batches: int) -> dict[str, float]:
        """Have the messages of so many batches claimed, started and answered; return milliseconds a message."""
        assert self.steps.stdin is not None
        assert self.steps.stdout is not None
        print(batches, file=self.steps.stdin, flush=True)
        answer: dict[str, float] = json.loads(self.steps.stdout.readline())
        return {f"{step}, ms a message": value for step, value in answer.items()}

    def look_up(self) -> dict[str, float]:
        """Ask the API about the broadcast; return the median of milliseconds of each kind of request."""
        figures = {}
        with self.api.client() as client:
            for name, path in LOOK_UPS.items():
                took = []
                for _ in range(REQUESTS):
                    began = time.perf_counter()
                    client.get(path.format(id=self.broadcast)).raise_for_status()
                    took.append(time.perf_counter() - began)
                figures[f"{name}, ms"] = statistics.median(took) * 1000
        return figures


@contextmanager
def made(checkout: Checkout, folder: Path, people: int) -> Iterator[Large]:
    """Make a broadcast to so many people by `/make`, and yield it for the time of the block."""
    with (
        checkout.database() as url,
        checkout.service("api", folder, DATABASE_URL=url, TIMEZONE=audience.zone_at_noon()) as api,
    ):
        with api.client(PATIENCE) as client:
            broadcast = audience.schedule(client, url, people)
            began = time.perf_counter()
            client.post("/make").raise_for_status()
            seconds = time.perf_counter() - began
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        steps = checkout.child(STEPS)
        assert steps.stdin is not None
        print(url, file=steps.stdin, flush=True)
        try:
            yield Large(api, broadcast, steps, seconds)
        finally:
            steps.stdin.close()
            steps.wait(PATIENCE)
