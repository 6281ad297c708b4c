"""A broadcast that nothing holds back: how many messages a second leave, and what one costs.

All services run as programs, against a carrier that answers at once.
"""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.bench import audience
from tests.bench.checkouts import Checkout
from tests.bench.starting import SERVICES
from tests.support import servers

#: The fastest that may be set; nothing reaches it.
UNPACED = {"SEND_RATE": "1000", "SEND_CONCURRENCY": "20"}
PATIENCE = 300.0  # seconds for the whole broadcast
LOOK = 0.1  # seconds between two looks whether it is over

ACCEPTED = "SELECT count(*) FROM outgoing_messages WHERE NOT is_second AND state = 'accepted'"
A_SECOND = """
SELECT count(*) / extract(epoch FROM max(attempt_started_at) - min(attempt_started_at))
FROM outgoing_messages WHERE NOT is_second
"""


def measure(checkout: Checkout, folder: Path, carrier: str, messages: int) -> dict[str, float]:
    """Send so many messages; return the figures by name."""
    asyncio.run(servers.clean_broker())
    with ExitStack() as stack:
        url = stack.enter_context(checkout.database())
        settings = {"DATABASE_URL": url, "AMQP_URL": servers.amqp_url(), "CARRIER": "twilio", "TWILIO_URL": carrier}
        running = {
            name: stack.enter_context(checkout.service(name, folder, **settings, **UNPACED)) for name in SERVICES
        }
        with running["api"].client() as client:
            broadcast = audience.schedule(client, url, messages)
            before = {name: service.processor_time() for name, service in running.items()}
            client.post(f"/broadcasts/{broadcast}/send-now").raise_for_status()
        _await_all(url, messages)
        spent = {name: service.processor_time() - before[name] for name, service in running.items()}
        with psycopg.connect(url) as connection:
            row = connection.execute(A_SECOND).fetchone()
        assert row is not None
        figures = {
            "messages a second": float(row[0]),
            "sender, CPU ms a message": spent["sender"] / messages * 1000,
            "planner, CPU ms a message": spent["planner"] / messages * 1000,
        }
        for name, service in running.items():
            figures[f"{name}, MB after them"] = service.memory()
    return figures


def _await_all(url: str, messages: int) -> None:
    until = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(ACCEPTED).fetchone()
            if row is not None and row[0] == messages:
                return
            time.sleep(LOOK)
    raise TimeoutError(f"{messages} messages were not sent in {PATIENCE:.0f} s")
