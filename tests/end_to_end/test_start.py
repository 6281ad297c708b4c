"""How a service begins, or refuses to."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Processes, until

SERVICES = ("api", "planner", "sender", "twilio_sync")


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_setting_ends_a_service_at_start_with_one_line_that_names_it(service: str, tmp_path: Path) -> None:
    environment = Processes(tmp_path, "postgresql://x/y", "amqp://x/").environment
    environment["BROADSHEET_TIMEZONE"] = "Mars/Olympus"
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "BROADSHEET_TIMEZONE" in lines[0]


async def test_a_worker_waits_for_a_broker_that_is_not_there_and_the_api_needs_none(
    tmp_path: Path, database_url: str
) -> None:
    broadsheet = Processes(tmp_path, database_url, "amqp://guest:guest@127.0.0.1:9/")
    try:
        broadsheet.launch("planner")
        await broadsheet.start("api")
        assert (await broadsheet.call("GET", "/broadcasts")).is_success

        async def waits() -> bool:
            return "waiting_for_broker" in broadsheet.log("planner")

        await until(waits, seconds=20)
        assert await broadsheet.end("planner") == 0
    finally:
        await broadsheet.close()
