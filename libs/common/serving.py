"""Running a uvicorn server as a whole process: SIGTERM and SIGINT end it in order, with status 0."""

import asyncio
import signal
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

DID_NOT_START = 3


class Server(uvicorn.Server):
    """A server that says at once that it is to end, so that what is under way can stop, too."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; at once while it still waits for what it needs to start."""
        if not self.started:
            sys.exit(0)
        self._stopping.set()
        super().handle_exit(sig, frame)


def serve(server: Server) -> NoReturn:
    """Run until told to end. Exit status 0, or 3 if the server could not start."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        # uvicorn takes the signals while it runs, and raises the one that ended it once more when it is done.
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run()
    sys.exit(0 if server.started else DID_NOT_START)
