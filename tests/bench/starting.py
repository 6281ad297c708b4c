"""What it takes to start: each service by itself until it is ready, and the command line.

A service waits for what is around it, so its processor time is measured, too: on a busy machine that is the figure to
be trusted.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.checkouts import Checkout
from tests.support import servers

SERVICES = ("api", "planner", "sender", "twilio_sync")
#: What a shell asks at the tab key after `broadsheet `, by the interface that typer gives a program.
COMPLETION = {"_BROADSHEET_COMPLETE": "complete_bash", "COMP_WORDS": "broadsheet ", "COMP_CWORD": "1"}


@contextmanager
def started(checkout: Checkout, folder: Path) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Yield a function that starts everything once and returns the figures by name, for the time of the block."""
    with checkout.database() as url:
        yield lambda: {**_services(checkout, folder, url), **_command_line(checkout)}


def _services(checkout: Checkout, folder: Path, url: str) -> dict[str, float]:
    asyncio.run(servers.clean_broker())
    figures = {}
    for name in SERVICES:
        with checkout.service(name, folder, DATABASE_URL=url, AMQP_URL=servers.amqp_url(), CARRIER="twilio") as service:
            figures[f"{name}, s to start"] = service.start
            figures[f"{name}, CPU s to start"] = service.processor_time()
            figures[f"{name}, MB at its start"] = service.memory()
    return figures


def _command_line(checkout: Checkout) -> dict[str, float]:
    figures = {}
    for name, took in {
        "broadsheet --help": checkout.command("--help"),
        "a completion": checkout.command(**COMPLETION),
    }.items():
        figures[f"{name}, s"] = took.seconds
        figures[f"{name}, CPU s"] = took.processor_time
    return figures
