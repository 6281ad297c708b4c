"""Running a uvicorn server as a whole process: SIGTERM and SIGINT end it in order, with status 0."""

import asyncio
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

from libs.common.runtime import starting

FAILED = 3


class Server(uvicorn.Server):
    """A server that says at once that it is to end, so that what is under way can stop, too."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event, *, parent: int | None = None) -> None:
        super().__init__(config)
        self._stopping = stopping
        #: The process without which this one is of no use.
        self._parent = parent

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end, also when what the app runs in the background could not be started or has failed.

        FastStream connects to the broker only after it has said that it started; left alone, a process whose broker
        went away in that moment would stand there for ever.
        """
        if self._parent is not None and os.getppid() != self._parent:
            self._stopping.set()
            return True
        return self.failed or await super().on_tick(counter)

    @property
    def failed(self) -> bool:
        """Whether the app's lifespan ended with an error."""
        return self.lifespan.error_occurred if self.started else False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; at once while it still waits for what it needs to start."""
        if not self.started:
            sys.exit(0)
        self._stopping.set()
        super().handle_exit(sig, frame)


def serve(server: Server, listening: socket.socket | None = None) -> NoReturn:
    """Run until told to end, on a socket that is bound already if one is given.

    Exit status 0, or 3 if the app could not start or has failed.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        # uvicorn takes the signals while it runs, and raises the one that ended it once more when it is done.
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    starting.spare_what_stays()
    server.run(sockets=[listening] if listening else None)
    sys.exit(0 if server.started and not server.failed else FAILED)
