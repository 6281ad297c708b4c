"""Whom Broadsheet writes to, and what they answer, stands in its registers alone.

A broadcast with all that goes wrong at once, every service logging at `debug` and traced, and then a search through all
that people other than staff get to see: logs, metrics, traces, dead letters, events and what waits to be published.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aio_pika
import httpx
import psycopg
import pytest

from libs.common.messaging import topology
from libs.common.messaging.envelope import Envelope, amqp_message
from tests.end_to_end.conftest import PLAN
from tests.end_to_end.test_broadcast import NAME, completed, messages, scheduled
from tests.support.collector import Collector, collecting
from tests.support.processes import Processes, until

SERVICES = ("api", "planner", "sender", "twilio_sync")
#: Any number of the test's, ours included, however it is written.
NUMBERS = r"(?:1[ .-]?)?\(?313\)?[ .-]?555[ .-]?\d{4}"
#: Machinery that is neither a register nor filled from one.
TABLES = ("events", "outbox", "inbox", "streams", "batches", "syncs", "traces", "pace", "permits")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


async def everything_at_once(broadsheet: Processes, amqp_url: str) -> tuple[int, set[str]]:
    """Have a broadcast with replies, STOPs, refusals and lost answers, bad requests and dead letters beside it.

    Gives its id, and what people wrote.
    """
    await broadsheet.simulate(
        "POST",
        "/faults",
        [
            {"kind": "cut_after", "on": "send", "skip": 5, "count": 2, "every": 7},
            {"kind": "rate_limited", "on": "send", "skip": 9, "count": 2},
            {"kind": "log_unreadable", "on": "log", "count": 1},
        ],
    )
    broadcast_id = await scheduled(broadsheet, count=60)
    await broadsheet.post("/make")
    letter = {"message": {"from_field": {"phone_number": "+13135552003"}, "body": f"{NAME} here", "delivered_at": 1}}
    for path, options in (
        ("/webhooks/missive", {"json": letter}),  # without a signature
        ("/webhooks/twilio/sms", {"data": {"From": "+13135552003", "Body": NAME}}),
        ("/segments", {"json": {"name": NAME, "filter": {"any": NAME}}}),
        ("/contacts/import", {"content": f'phone_number,name\n+1313,"{NAME}', "headers": {"Content-Type": "text/csv"}}),
        (f"/broadcasts/{NAME}/pause", {}),
        (f"/contacts?phone_number=%2B13135552003&name={NAME}", {}),
    ):
        answer = await broadsheet.call("POST", path, **options)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
    await broadsheet.call("GET", f"/contacts?phone_number=%2B13135552003&q={NAME}")
    await put_aside(amqp_url)
    await completed(broadsheet, broadcast_id)
    await messages(broadsheet, broadcast_id)
    ledger = await broadsheet.simulate("GET", "/ledger")
    return broadcast_id, {item["body"] for item in ledger["inbound"] if len(item["body"]) > 6}


async def put_aside(amqp_url: str) -> None:
    """Send what cannot be read, and what cannot be handled: there is no such broadcast."""
    now = datetime.now(UTC)
    unknown = Envelope(
        id=uuid4(), type="SyncStatuses", version=1, time=now, due=now, correlation_id=uuid4(), causation_id=None,
        actor="service:planner",
        data={"broadcast_id": 999_999, "number": 1},
    )  # fmt: skip
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange(topology.COMMANDS.name)
        for message in (amqp_message(unknown), aio_pika.Message(b'{"id": 7}')):
            await exchange.publish(message, routing_key="SyncStatuses", mandatory=True)

        async def arrived() -> bool:
            queue = await channel.declare_queue("twilio_sync.dead", passive=True)
            return queue.declaration_result.message_count == 2

        await until(arrived)


async def dead(amqp_url: str) -> str:
    """Return all dead letters, with their headers."""
    found = []
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for service in topology.SERVICES:
            queue = await channel.get_queue(f"{service}.dead", ensure=False)
            while (message := await queue.get(fail=False)) is not None:
                found.append(f"{message.headers} {message.body!r}")
    assert len(found) == 2
    return "\n".join(found)


async def test_people_are_named_in_no_log_metric_trace_dead_letter_event_or_message(
    tmp_path: Path, database_url: str, amqp_url: str, collector: Collector
) -> None:
    broadsheet = Processes(tmp_path, database_url, amqp_url, LOG_LEVEL="debug")
    broadsheet.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    seen: dict[str, str] = {}
    try:
        await broadsheet.start("simulator")
        await broadsheet.configure_simulator(plan=PLAN)
        await broadsheet.start(*SERVICES)
        _, written = await everything_at_once(broadsheet, amqp_url)
        async with httpx.AsyncClient(follow_redirects=True) as client:
            for name in SERVICES:
                page = (await client.get(f"{broadsheet.health(name)}/metrics")).text
                assert "# TYPE broadsheet_" in page
                seen[f"metrics of {name}"] = page
        for name in SERVICES:
            assert await broadsheet.end(name) == 0
            entries = map(json.loads, broadsheet.log(name).splitlines())
            seen[f"log of {name}"] = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    finally:
        await broadsheet.close()
    assert {span.service for span in collector.spans} == set(SERVICES)
    seen["traces"] = b"\n".join(collector.raw).decode("latin-1")
    seen["dead letters"] = await dead(amqp_url)
    with psycopg.connect(database_url) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t".encode()).fetchall()
            seen[f"table {table}"] = "\n".join(row[0] for row in rows)

    assert "the handler failed" in seen["log of twilio_sync"]
    assert "message_not_taken" in seen["log of sender"]
    assert len(written) > 3
    personal = re.compile("|".join([NUMBERS, NAME, *map(re.escape, written)]))
    for where, text in seen.items():
        found = personal.search(text)
        assert found is None, f"{where}: {text[max(0, found.start() - 200) : found.end() + 50]}"
        # The last guard of the logs had nothing to do.
        assert "[number]" not in text, where
        if where not in ("table events", "table outbox"):  # which say what is to be sent, to whom it may concern
            assert "DROP TABLE contacts" not in text, where
            assert "5 o'clock" not in text, where
