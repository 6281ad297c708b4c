"""The supervisor: starts anew what dies, ends what runs."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from libs.console.failures import DidNotStart
from libs.console.supervisor import Supervisor, free_port
from tests.support.processes import until


def web(port: int) -> tuple[str, ...]:
    return (str(port), "--bind", "127.0.0.1")


async def test_a_process_that_dies_is_started_anew_and_all_are_ended(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(tmp_path, told.append)
    port = free_port()
    await supervisor.start("web", "http.server", *web(port), environment={}, ready_url=f"http://127.0.0.1:{port}/")
    await supervisor.ready()
    first = supervisor.pid("web")
    os.kill(first, signal.SIGKILL)

    async def another() -> bool:
        return supervisor.pid("web") != first

    await until(another)
    await supervisor.ready()
    second = supervisor.pid("web")
    await supervisor.stop()
    assert [line for line in told if "web ended with status -9" in line]
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_a_process_that_does_not_become_ready_is_told_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.console.supervisor.READY_WITHIN", 1.0)
    supervisor = Supervisor(tmp_path, lambda _: None)
    await supervisor.start("none", "no_such_module", environment={}, ready_url=f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(DidNotStart, match="No module named no_such_module"):
        await supervisor.ready()
    await asyncio.wait_for(supervisor.stop(), 90)
