"""Fixtures: servers by way of `tests.support.servers`, nothing else."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from libs.common import database
from tests.support import servers

# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Nothing that is imported or collected becomes garbage: to look through it again and again is a third of collecting.
_threshold = gc.get_threshold()
gc.set_threshold(500_000)


def pytest_collection_finish() -> None:
    """Look for garbage as ever, but never again in what is there by now."""
    gc.freeze()
    gc.set_threshold(*_threshold)


# The workers of pytest-xdist get these from readline, which their parent has loaded; a console that is made with them
# keeps them, whatever a test sets later.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


#: What takes longest, so that no worker is left with it at the end: folders, and files that take minutes by themselves.
LONG_FIRST = (
    "chaos/test_rig_can_fail.py",
    "chaos/test_each_phase.py",
    "integration/test_local_stack.py",
    "end_to_end",
    "browser",
    "integration/test_",
    "integration",
    "chaos",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have long tests begin first, those of a place in the order that chance gave them."""
    here = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        return next((place for place, long in enumerate(LONG_FIRST) if path.startswith(long)), len(LONG_FIRST))

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def _servers() -> Iterator[None]:
    yield
    servers.close()


@pytest.fixture
def database_url() -> Iterator[str]:
    """A migrated database of this test's own."""
    with servers.database() as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[database.Engine]:
    """An open engine of connections to this test's database."""
    async with database.disposing(database.create_engine(database_url)) as opened:
        yield opened


@pytest.fixture
async def amqp_url() -> str:
    """A broker without anything of Broadsheet's on it."""
    await servers.clean_broker()
    return servers.amqp_url()
