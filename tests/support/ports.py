"""Ports for servers that tests start."""

import fcntl
import random
import socket
import tempfile
from pathlib import Path
from typing import BinaryIO

HOST = "127.0.0.1"
#: Below the ports that the system hands out for outgoing connections, and those of the local brokers.
PORTS = range(10_000, 20_000)
#: Not the generator that each test process seeds in the same way: they would all choose the same.
_chance = random.SystemRandom()
#: A locked file for each port that was given: two test processes that look at the same moment both find it free.
_given: dict[int, BinaryIO] = {}


def free_port() -> int:
    """Return a port that nobody listens on and that no test process of this machine was given: this one keeps it."""
    for port in _chance.sample(PORTS, 200):
        if port not in _given and (lock := _locked(port)) is not None:
            if _is_free(port):
                _given[port] = lock
                return port
            lock.close()
    raise OSError("no port is free")


def _locked(port: int) -> BinaryIO | None:
    folder = Path(tempfile.gettempdir()) / "broadsheet-test-ports"
    folder.mkdir(mode=0o777, exist_ok=True)
    lock = (folder / str(port)).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
