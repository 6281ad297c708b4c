"""Replies at a rate: what one costs the API, and whether all are on record in time.

The API is a process of its own, or several behind one port; the load comes over connections that stay open, from here.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from tests.bench.checkouts import NUMBER, SECRET, Checkout, Service

CONNECTIONS = 16
FIRST_NUMBER = 3_132_000_000  # without its country


@dataclass(frozen=True, slots=True)
class Answered:
    """An API with a broadcast under way that people may reply to."""

    api: Service
    database_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What became of the replies."""

    sent: int
    #: How many more are on record than before.
    recorded: int
    #: Milliseconds of processor time that the API took for a reply, all its processes together.
    cpu: float
    #: Milliseconds until the answer, at the 99th hundredth.
    p99: float
    seconds: float

    @property
    def a_second(self) -> float:
        return self.sent / self.seconds


@contextmanager
def answered(checkout: Checkout, folder: Path, *, people: int, workers: int = 1) -> Iterator[Answered]:
    """Run an API with a broadcast under way to which so many people may reply."""
    with (
        checkout.database() as url,
        checkout.service("api", folder, DATABASE_URL=url, API_WORKERS=str(workers)) as api,
        api.client(timeout=300) as client,
    ):
        lines = "".join(f"+1{FIRST_NUMBER + number}\n" for number in range(people))
        kind = {"Content-Type": "text/csv"}
        client.post("/contacts/import", content=f"phone_number\n{lines}", headers=kind).raise_for_status()
        segment = client.post("/segments", json={"name": "all", "filter": {"all": []}}).raise_for_status().json()
        wish = {
            "run_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "first_message": "What should we look into?", "second_message": "Still there?", "recurring": False,
            "segments": [{"segment_id": segment["id"], "ratio": 100}], "max_recipients": people,
        }  # fmt: skip
        made = client.post("/broadcasts", json=wish).raise_for_status().json()
        client.post(f"/broadcasts/{made['id']}/send-now").raise_for_status()
        with psycopg.connect(url) as connection:
            connection.execute(
                "UPDATE outgoing_messages SET state = 'accepted', attempts = 1, attempt_started_at = now()"
                " WHERE NOT is_second"
            )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        yield Answered(api, url)


async def load(where: Answered, people: range, *, rate: float | None = None) -> Measured:
    """Have each of these people reply once, so many a second, or as fast as it goes."""
    queue = iter(enumerate(people))
    took: list[float] = []
    recorded = _recorded(where)
    before, began = where.api.processor_time(), time.perf_counter()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", where.api.port)
        for place, number in queue:
            due = began + place / rate if rate else 0.0
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            sent = max(due, began) if rate else time.perf_counter()
            writer.write(_request(number))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 OK" in head, head
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            took.append(time.perf_counter() - sent)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - began
    return Measured(
        sent=len(people),
        recorded=_recorded(where) - recorded,
        cpu=(where.api.processor_time() - before) / len(people) * 1000,
        p99=sorted(took)[int(len(people) * 0.99)] * 1000,
        seconds=seconds,
    )


def _recorded(where: Answered) -> int:
    with psycopg.connect(where.database_url) as check:
        row = check.execute("SELECT count(*) FROM replies WHERE broadcast_id IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


def _request(number: int) -> bytes:
    body = json.dumps({
        "rule": {"id": "rule", "type": "incoming_sms"},
        "message": {
            "id": f"m{number}", "external_id": f"SM{number:032x}", "preview": "Potholes on Main Street",
            "type": "twilio", "delivered_at": int(time.time()),
            "from_field": {"phone_number": f"+1{FIRST_NUMBER + number}"},
            "to_fields": [{"phone_number": NUMBER}],
        },
    }).encode()  # fmt: skip
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/missive HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        f"X-Hook-Signature: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
