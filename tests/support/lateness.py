"""How late the machine was, for tests whose subject is a time: a busy machine is not a fault of what they test."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

NAP = 0.01  # seconds


@dataclass(slots=True)
class Lateness:
    """What was measured so far, in seconds."""

    #: By how much the latest nap was too long.
    worst: float = 0.0


@contextmanager
def measured() -> Iterator[Lateness]:
    """Measure how late this process is woken, for the time of the block."""
    lateness, over = Lateness(), threading.Event()

    def nap() -> None:
        while not over.is_set():
            began = time.monotonic()
            time.sleep(NAP)
            lateness.worst = max(lateness.worst, time.monotonic() - began - NAP)

    napping = threading.Thread(target=nap, daemon=True)
    napping.start()
    try:
        yield lateness
    finally:
        over.set()
        napping.join()
