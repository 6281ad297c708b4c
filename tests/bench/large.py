"""Large broadcasts: the making of them, and what the API answers about one."""

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.bench import audience
from tests.bench.checkouts import ROOT, Checkout, Service

STEPS = ROOT / "tests/bench/steps_child.py"
PATIENCE = 900.0  # seconds that making may take
REQUESTS = 10  # of each kind in a round
FIRST = 1  # the broadcast that is sent and looked at, as `steps_child.py` knows it
LOOK_UPS = {
    "GET messages": "/broadcasts/{id}/messages?limit=100",
    "GET report": "/broadcasts/{id}/report",
    "GET events": "/broadcasts/{id}/events?limit=100",
    "GET contacts": "/contacts?limit=100",
}


@dataclass(frozen=True, slots=True)
class Large:
    """An API with many people in one segment, and the broadcasts that are made to all of them."""

    api: Service
    url: str
    people: int
    segment: int
    steps: "subprocess.Popen[str]"

    def make(self) -> dict[str, float]:
        """Make one more broadcast by `/make`; return the seconds that it took."""
        with self.api.client(PATIENCE) as client:
            audience.plan(client, self.segment, self.people)
            self._execute("CHECKPOINT")  # what was written before is not to be paid for by who comes next
            began = time.perf_counter()
            client.post("/make").raise_for_status()
            return {"/make, s": time.perf_counter() - began}

    def settle(self) -> None:
        """Have PostgreSQL count what was made."""
        self._execute("VACUUM ANALYZE")

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
                    client.get(path.format(id=FIRST)).raise_for_status()
                    took.append(time.perf_counter() - began)
                figures[f"{name}, ms"] = statistics.median(took) * 1000
        return figures

    def _execute(self, command: LiteralString) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(command)


@contextmanager
def filled(checkout: Checkout, folder: Path, people: int) -> Iterator[Large]:
    """Run an API on a database with so many people for the time of the block."""
    with (
        checkout.database() as url,
        checkout.service("api", folder, DATABASE_URL=url, TIMEZONE=audience.zone_at_noon()) as api,
    ):
        with api.client(PATIENCE) as client:
            segment = audience.fill(client, url, people)
        steps = checkout.child(STEPS)
        assert steps.stdin is not None
        print(url, file=steps.stdin, flush=True)
        try:
            yield Large(api, url, people, segment, steps)
        finally:
            steps.stdin.close()
            steps.wait(PATIENCE)
