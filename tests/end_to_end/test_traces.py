"""A whole broadcast as one trace, as a collector sees it."""

import re
from pathlib import Path

import psycopg
import pytest

from libs.common.observability.spans import NAMES
from tests.end_to_end.conftest import PLAN
from tests.end_to_end.test_broadcast import FIRST, NAME, SECOND, completed, messages, scheduled
from tests.support.collector import Collected, Collector, collecting
from tests.support.processes import Processes

SERVICES = ("api", "planner", "sender", "twilio_sync")
PERSONAL = re.compile(rb"1?313555\d{4}|" + NAME.encode())

pytestmark = pytest.mark.timeout(600)


async def run(folder: Path, database_url: str, amqp_url: str, collector: Collector) -> tuple[Processes, int]:
    """Make a broadcast, wait for its end, and end the services, which hand over their last spans."""
    broadsheet = Processes(folder, database_url, amqp_url, LOG_LEVEL="debug")
    broadsheet.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    broadsheet.environment["OTEL_BSP_SCHEDULE_DELAY"] = "500"
    try:
        await broadsheet.start("simulator")
        await broadsheet.configure_simulator(plan=PLAN)
        await broadsheet.simulate("POST", "/faults", [{"kind": "cut_after", "on": "send", "skip": 5, "count": 1}])
        await broadsheet.start(*SERVICES)
        broadcast_id = await scheduled(broadsheet, count=30)
        await broadsheet.post("/make")
        await completed(broadsheet, broadcast_id)
        await messages(broadsheet, broadcast_id)
        for name in SERVICES:
            assert await broadsheet.end(name) == 0
    finally:
        await broadsheet.close()
    return broadsheet, broadcast_id


def of(spans: list[Collected], broadcast_id: int) -> list[Collected]:
    return [span for span in spans if span.attributes.get("broadsheet.broadcast_id") == broadcast_id]


async def test_a_broadcast_is_one_trace_from_the_request_through_every_message_to_the_carrier_and_its_end(
    tmp_path: Path, database_url: str, amqp_url: str
) -> None:
    with collecting() as collector:
        broadsheet, broadcast_id = await run(tmp_path, database_url, amqp_url, collector)
        spans = collector.spans
        [made] = collector.named("POST /make")
        assert (made.service, made.kind, made.parent) == ("api", "server", "")
        assert made.attributes["http.response.status_code"] == 201

        everything = of(spans, broadcast_id)
        planned = {span.name for span in everything if span.trace != made.trace}
        # Planned for an hour later, when the broadcast was created: not part of what happens to it.
        assert planned <= {"publish BroadcastScheduled", "handle BroadcastScheduled"}

        sent = collector.named("send message")
        assert len(sent) >= 30
        for span in sent:
            assert collector.ancestry(span)[:3] == ["send message", "handle SendBatch", "publish SendBatch"]
            assert collector.ancestry(span)[-2:] == ["make", "POST /make"]
        asked = [span for span in spans if span.service == "sender" and span.kind == "client"]
        assert {collector.ancestry(span)[1] for span in asked} == {"send message"}
        assert {span.attributes["server.address"] for span in asked} == {"127.0.0.1"}
        assert {span.attributes["broadsheet.outcome"] for span in sent} >= {"accepted", "unknown"}

        for end in ("handle BroadcastCompleted", "handle PhaseFinished", "handle StatusesSynced", "handle BatchSent"):
            for span in collector.named(end):
                assert (span.service, span.kind, span.trace) == ("planner", "consumer", made.trace)
                assert collector.ancestry(span)[-1] == "POST /make"
            assert collector.named(end), f"no {end}"
        assert {span.service for span in everything} == set(SERVICES)
        assert collector.named("handle SettleUncertain"), "the lost answer was settled without a trace"

        # Nobody is in it, and nothing that the list of attributes does not name.
        known = {*NAMES.values(), "error.type"}
        assert {name for span in spans for name in span.attributes} <= known
        for raw in collector.raw:
            assert PERSONAL.search(raw) is None
            assert FIRST.encode() not in raw
            assert SECOND.encode() not in raw

        # What is logged can be found by the trace, and the trace by what is logged.
        assert f'"trace_id": "{made.trace}"' in broadsheet.log("sender")
        with psycopg.connect(database_url) as connection:
            found = connection.execute("SELECT traceparent FROM traces WHERE broadcast_id = %s", (broadcast_id,))
            assert made.trace in str(found.fetchone())
