"""`broadsheet up`, and that every command finds what it runs without being told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import holidays
import pytest

from tests.support.processes import ROOT, until

Call = Callable[..., Awaitable[tuple[int, str]]]
PROC = Path("/proc")

pytestmark = pytest.mark.timeout(600)

SHORT = {
    "BROADSHEET_QUIET_HOURS": "off", "BROADSHEET_LEASE": "3", "BROADSHEET_REQUEST_TIMEOUT": "3",
    "BROADSHEET_SETTLE_AFTER": "10",
    "BROADSHEET_HANDOVER_AFTER": "12",
}  # fmt: skip
BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


async def broadsheet(folder: Path, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.console.main", *arguments, cwd=folder, env={**BARE, **environment},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture
async def running(database_url: str, amqp_url: str, tmp_path: Path) -> AsyncIterator[Call]:
    """All services with simulated carriers, and a function that runs a command beside them, in an empty environment."""
    servers = {"BROADSHEET_DATABASE_URL": database_url, "BROADSHEET_AMQP_URL": amqp_url}
    up = await broadsheet(tmp_path, "up", "--simulator", **SHORT, **servers)

    async def recorded() -> bool:
        assert up.returncode is None, (await up.communicate())[0].decode()
        return (tmp_path / ".broadsheet" / "running.json").exists()

    async def call(*arguments: str) -> tuple[int, str]:
        process = await broadsheet(tmp_path, *arguments)
        said = (await process.communicate())[0].decode()
        assert process.returncode is not None
        return process.returncode, said

    try:
        await until(recorded, seconds=180)
        yield call
    finally:
        if up.returncode is None:
            up.send_signal(signal.SIGINT)
        await up.communicate()


async def test_every_command_finds_the_stack_that_runs_in_this_folder(
    running: Call, tmp_path: Path, amqp_url: str
) -> None:
    status, said = await running("doctor")
    assert status == 0, said
    for part in ("the log can be read", "the token is accepted", "quiet hours OFF", _next_holiday(), "which simulated"):
        assert part in said
    assert "No dead letters" in (await running("dead-letters", "list"))[1]
    assert (await running("rebuild", "--yes"))[0] == 0
    assert "The schema is at head" in (await running("db", "upgrade"))[1]
    assert (await running("broadcast", "list", "--json"))[1].strip() == "[]"
    assert (await running("prune", "--older-than", "90", "--yes"))[0] == 0
    status, said = await running("reconcile", "--since", datetime.now(UTC).isoformat())
    # It has read the log, in which nobody has written since: that is not believed.
    assert (status, "Write any SMS" in said) == (1, True), said
    if sys.platform != "linux":
        return
    api = api_process(tmp_path)
    environment = (api / "environ").read_bytes().split(b"\0")
    assert b"BROADSHEET_AMQP_URL=" in environment
    assert not [variable for variable in environment if amqp_url.encode() in variable], "the API needs no broker"
    # With its API frozen it is still the same stack.
    os.kill(int(api.name), signal.SIGSTOP)
    try:
        assert (await running("dead-letters", "list"))[0] == 0
    finally:
        os.kill(int(api.name), signal.SIGCONT)


def _next_holiday() -> str:
    """Return the name of the next US holiday from today on."""
    today = datetime.now(UTC).date()
    us = holidays.country_holidays("US", years=range(today.year, today.year + 2))
    return str(us[min(day for day in us if day >= today)])


def api_process(folder: Path) -> Path:
    """Return the folder of this stack's API in /proc, by the port that it listens on."""
    port = json.loads((folder / ".broadsheet" / "running.json").read_text())["settings"]["API_PORT"]
    for path in PROC.glob("[0-9]*"):
        with suppress(OSError):
            given = (path / "environ").read_bytes().split(b"\0")
            if f"BROADSHEET_API_PORT={port}".encode() in given and b"services.api" in (path / "cmdline").read_bytes():
                return path
    raise AssertionError("no API runs")


def test_up_with_nothing_set_says_in_one_line_what_to_do_and_offers_the_simulator(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "libs.console.main", "up"], cwd=tmp_path, env=BARE, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert ".env" in line
    assert "make up ARGS=--simulator" in line
