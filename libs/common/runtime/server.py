"""Running a uvicorn server as a whole process: SIGTERM and SIGINT end it in order, with status 0."""

import asyncio
import gc
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

FAILED = 3
#: Objects made beyond those let go before the collector looks at the young ones. It is Python's own number times ten: a
#: request makes some hundreds, nearly all of which are let go by counting.
YOUNG_OBJECTS = 7_000


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
    _spare_what_stays()
    server.run(sockets=[listening] if listening else None)
    sys.exit(0 if server.started and not server.failed else FAILED)


def _spare_what_stays() -> None:
    """Take modules, routes and schemas out of the garbage collector's sight.

    They stay until the process ends, and a full collection that walks over them makes everybody wait: about a tenth of
    a second, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
