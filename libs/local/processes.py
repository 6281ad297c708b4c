"""Server processes, known by a mark in their command line.

A pid on a disk can be stale, or belong to another program by now. So none is kept: each server is started with an
argument that only it has, and is looked up by that argument whenever it is needed.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from libs.local.errors import NotOurs, StartFailed

POLL = 0.02  # seconds
KILL_PATIENCE = 10.0  # seconds; a killed process is gone when the kernel has written back what it must
#: What this process has started and has to reap: here, since a server may outlive the object that stands for it.
_spawned: "list[subprocess.Popen[bytes]]" = []


def marked(mark: str) -> list[int]:
    """Return the pids that carry the mark, without the children that a server has forked."""
    parents = {}
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                parents[pid] = process.ppid()
        except psutil.Error:  # gone meanwhile, or someone else's
            continue
    return [pid for pid, parent in parents.items() if parent not in parents]


def family(pids: Sequence[int]) -> list[psutil.Process]:
    """Return these processes and all that descend from them."""
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    user: int | None = None,
    group: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a server in a session of its own, so that an interrupt at the terminal is not for it."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  # the commands are ours
            command,
            cwd="/",
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    _spawned.append(process)
    return process


def wait_until(
    ready: Callable[[], bool], process: "subprocess.Popen[bytes]", *, name: str, log: Path, patience: float
) -> None:
    """Wait for a server that was just spawned; one that ended or is late is an error, and is not left behind."""
    deadline = time.monotonic() + patience
    while not ready():
        if process.poll() is not None:
            raise StartFailed(name, last_words(log), log)
        if time.monotonic() > deadline:
            kill(family([process.pid]))
            raise StartFailed(name, f"it was not ready within {patience:.0f} s", log)
        time.sleep(POLL)


def end(pids: Sequence[int], *, ask: signal.Signals, patience: float) -> None:
    """Ask servers to end; kill what remains of them when the patience is over."""
    processes = family(pids)
    for pid in pids:
        _send(pid, ask)
    kill(_wait(processes, patience))


def kill(processes: Sequence[psutil.Process]) -> None:
    """End processes at once, as a power cut would, and wait until they are gone."""
    for process in processes:
        _send(process.pid, signal.SIGKILL)
    if _wait(processes, KILL_PATIENCE):
        raise NotOurs("A killed server is still there; look at it with `ps`, and try again when it is gone.")
    _spawned[:] = [process for process in _spawned if process.poll() is None]


def last_words(log: Path, *, with_words: Sequence[str] = ("FATAL", "PANIC", "[error]", "rror:", "ERROR")) -> str:
    """Return the line of a log that most likely says why its server ended."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()[-200:] if line.strip()]
    found = [line for line in lines if any(word in line for word in with_words)]
    return (found or lines or ["it said nothing"])[-1][:300]


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NotOurs(
            f"The local server with pid {pid} was started by another user of this machine: they have to stop it."
        ) from error


def _wait(processes: Sequence[psutil.Process], patience: float) -> list[psutil.Process]:
    """Wait for processes to go, and return those that stay; one that only waits to be reaped is gone."""
    deadline = time.monotonic() + patience
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(POLL)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
