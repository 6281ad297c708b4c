"""Fixtures: servers by way of `tests.support.servers`, nothing else."""

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common import database
from tests.support import servers


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
async def pool(database_url: str) -> AsyncIterator[database.Pool]:
    """An open pool of connections to this test's database."""
    async with database.create_pool(database_url) as opened:
        yield opened


@pytest.fixture
async def amqp_url() -> str:
    """A broker without anything of Broadsheet's on it."""
    await servers.clean_broker()
    return servers.amqp_url()
