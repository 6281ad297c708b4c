"""Fixtures: servers by way of `tests.support.servers`, nothing else."""

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

# The workers of pytest-xdist get these from readline, which their parent has loaded; a console that is made with them
# keeps them, whatever a test sets later.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


#: Folders whose tests take longest, so that no worker is left with them at the end.
LONG_FIRST = ("end_to_end", "chaos", "browser", "integration")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have long tests begin first, each folder in the order that chance gave it."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

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
