import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libs.local import processes
from libs.local.errors import StartFailed

Spawn = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


@pytest.fixture
def spawn(tmp_path: Path, mark: str) -> Iterator[Spawn]:
    spawned = []

    def spawn_marked(script: str) -> "subprocess.Popen[bytes]":
        process = processes.spawn(["/bin/sh", "-c", script, mark], environment={}, log=tmp_path / "log")
        spawned.append(process)
        return process

    yield spawn_marked
    for process in spawned:
        process.kill()
        process.wait()


def test_a_server_is_found_by_its_mark(spawn: Spawn, mark: str) -> None:
    process = spawn("while :; do /bin/sleep 1; done")

    assert processes.marked(mark) == [process.pid]


def test_what_carries_another_mark_is_left_alone(spawn: Spawn, mark: str) -> None:
    process = spawn("while :; do /bin/sleep 1; done")

    processes.end(processes.marked(mark[:-1]), ask=signal.SIGTERM, patience=1)

    assert process.poll() is None


def test_the_children_a_server_forks_are_not_taken_for_servers(spawn: Spawn, mark: str) -> None:
    process = spawn("(while :; do /bin/sleep 1; done) & wait")
    while len(processes.family([process.pid])) < 3:
        assert process.poll() is None

    assert processes.marked(mark) == [process.pid]


def test_a_server_that_ended_and_was_not_reaped_yet_does_not_run(spawn: Spawn, mark: str) -> None:
    process = spawn("while :; do /bin/sleep 1; done")

    processes.kill(processes.family([process.pid]))

    assert processes.marked(mark) == []


def test_a_server_that_does_not_listen_is_killed_when_the_patience_is_over(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("trap '' TERM; echo deaf; while :; do /bin/sleep 1; done")
    while "deaf" not in (tmp_path / "log").read_text():
        assert process.poll() is None

    processes.end([process.pid], ask=signal.SIGTERM, patience=0.2)

    assert process.wait(timeout=60) == -signal.SIGKILL


def test_a_server_that_ends_while_it_starts_is_an_error_with_its_last_words(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("echo 'FATAL: no room'; echo goodbye; exit 1")

    with pytest.raises(StartFailed, match=r"Thing did not start: FATAL: no room \(its log: .+log\)"):
        processes.wait_until(lambda: False, process, name="Thing", log=tmp_path / "log", patience=10)


def test_a_server_that_does_not_get_ready_is_not_left_behind(spawn: Spawn, mark: str, tmp_path: Path) -> None:
    process = spawn("while :; do /bin/sleep 1; done")

    with pytest.raises(StartFailed, match="not ready within"):
        processes.wait_until(lambda: False, process, name="Thing", log=tmp_path / "log", patience=0.1)

    assert processes.marked(mark) == []
