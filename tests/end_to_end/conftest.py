"""All of Broadsheet as processes, a test at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.processes import Processes

PLAN = {
    "reply": 0.2,
    "stop": 0.06,
    "unreachable": 0.05,
    "invalid": 0.04,
    "hand_over_delay": [0.05, 0.4],
    "delivery_delay": [0.2, 1.0],
    "reply_delay": [0.2, 2.0],
}


@pytest.fixture
async def broadsheet(tmp_path: Path, database_url: str, amqp_url: str) -> AsyncIterator[Processes]:
    """The simulator and the four services, ready."""
    processes = Processes(tmp_path, database_url, amqp_url)
    try:
        await processes.start("simulator")
        await processes.configure_simulator(plan=PLAN)
        await processes.start("api", "planner", "sender", "twilio_sync")
        yield processes
    finally:
        await processes.close()
