"""Several processes of the API behind one port: each listens on it, and the system deals out who connects.

A parent holds the port (SO_REUSEPORT) and answers nothing. It starts the workers, starts another for one that dies,
hands the signal to end on to them and ends with them. A worker whose parent is gone ends by itself. Each counts what it
does into files that are shared, so that `/metrics` of any of them tells of all.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import FrameType
from typing import NoReturn

import structlog
from prometheus_client import multiprocess

from libs.common.runtime.server import FAILED
from libs.common.settings import PREFIX
from libs.common.settings.api import ApiSettings

log = structlog.stdlib.get_logger(__name__)

#: What the parent tells a worker: the port, which it holds, and its own process id. A worker that looked for its parent
#: itself could find another one: its own may be gone by then.
PORT = f"{PREFIX}API_WORKER_PORT"
PARENT = f"{PREFIX}API_WORKER_PARENT"
#: Where prometheus_client has processes count together; read when it is imported.
COUNTS = "PROMETHEUS_MULTIPROC_DIR"
GRACE = 25.0  # seconds that workers have to end: a little more than they give their requests
YOUNG = 10.0  # seconds; a worker that ends within them could not start, and its like would not either
LOOK = 0.1  # seconds between two looks at the workers

Worker = subprocess.Popen[bytes]


def shared(settings: ApiSettings) -> socket.socket | None:
    """Return a worker's own socket on the port that its parent holds; None where there is no parent."""
    port = os.environ.get(PORT)
    return _bound(settings.api_host, int(port)) if port else None


def parent() -> int | None:
    """Return the process id of a worker's parent; None where there is no parent."""
    number = os.environ.get(PARENT)
    return int(number) if number else None


def supervise(settings: ApiSettings) -> NoReturn:
    """Run workers until told to end. Exit status 0, or that of a worker that could not start."""
    try:
        held = _bound(settings.api_host, settings.api_port)
    except OSError as error:
        log.error("port_not_free", reason=error.strerror)  # noqa: TRY400 - a trace would say no more
        sys.exit(FAILED)
    counts = tempfile.mkdtemp(prefix="broadsheet-metrics-")
    try:
        with held:  # it does not listen, so nobody is dealt to it
            status = _Supervisor(settings.api_workers, held.getsockname()[1], counts).run()
    finally:
        shutil.rmtree(counts, ignore_errors=True)
    sys.exit(status)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


class _Supervisor:
    def __init__(self, count: int, port: int, counts: str) -> None:
        self._count = count
        self._port = port
        self._counts = counts
        self._workers: dict[Worker, float] = {}
        self._ending = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        status = 0
        while not self._ending and not status:
            while len(self._workers) < self._count:
                self._start()
            time.sleep(LOOK)
            status = self._bury()
        self._stop()
        return status

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._ending = True

    def _start(self) -> None:
        environment = {**os.environ, PORT: str(self._port), PARENT: str(os.getpid()), COUNTS: self._counts}
        worker = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment)
        self._workers[worker] = time.monotonic()

    def _bury(self) -> int:
        """Forget workers that have ended; return the status of one that could not start, which ends us all."""
        for worker, began in list(self._workers.items()):
            if worker.poll() is None:
                continue
            del self._workers[worker]
            multiprocess.mark_process_dead(worker.pid, self._counts)  # type: ignore[no-untyped-call]
            if self._ending:
                continue
            log.error("worker_ended", status=worker.returncode)
            if worker.returncode > 0 and time.monotonic() - began < YOUNG:
                return worker.returncode
        return 0

    def _stop(self) -> None:
        self._ending = True
        for worker in self._workers:
            worker.terminate()
        until = time.monotonic() + GRACE
        while self._workers and time.monotonic() < until:
            time.sleep(LOOK)
            self._bury()
        for worker in self._workers:
            worker.kill()
            worker.wait()
