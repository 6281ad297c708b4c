"""A world to broadcast in, for all tests but the API's, which have their own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common import database
from tests.support import servers, witness
from tests.support.world import World, make_settings


@pytest.fixture(scope="session")
def emptied_database() -> Iterator[str]:
    with servers.database() as url:
        yield url


@pytest.fixture
async def world(emptied_database: str) -> AsyncIterator[World]:
    """An empty world. A test that changes more than rows builds one on `database_url` instead."""
    servers.empty(emptied_database)
    opened = database.disposing(database.create_engine(emptied_database, size=20))
    async with witness.keeping(emptied_database), opened as engine:
        yield World(engine=engine, settings=make_settings(emptied_database))
