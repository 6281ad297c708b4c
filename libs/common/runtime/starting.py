"""What a service does without at its start: the collector's rounds over modules, and what is for command lines alone.

Used by the programs (`python -m services.sender`) before anything else is imported; this module imports the standard
library alone.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Packages that libraries use where they are installed, and without which they do as much of what a service needs:
#: httpx for its command line, structlog for tracebacks, which we format ourselves. The command line needs them.
NOT_NEEDED = ("pygments", "rich")
#: Objects made beyond those let go before the collector looks at the young ones. It is Python's own number times ten: a
#: request makes some hundreds, nearly all of which are let go by counting.
YOUNG_OBJECTS = 7_000


@contextmanager
def imports() -> Iterator[None]:
    """Import a service within this block, for a fifth less of processor time.

    The collector stays off until `spare_what_stays`: what is made until then is modules and classes, which stay, and it
    would walk over all of them again and again. The packages in NOT_NEEDED are as if they were not installed
    (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    gc.disable()
    absent = [name for name in NOT_NEEDED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def spare_what_stays() -> None:
    """Take modules, routes and schemas out of the garbage collector's sight; it looks at what is made from now on.

    They stay until the process ends, and a full collection that walks over them makes everybody wait: about a tenth of
    a second, every few seconds under load. What the start leaves to be collected, not a hundredth of it, stays with
    them: to look for it would take a tenth of the start.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
