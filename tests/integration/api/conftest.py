from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import sql

from tests.integration.api import support
from tests.integration.api.support import Api
from tests.support import servers

#: Emptying a database takes a tenth of the time that making one takes.
SEQUENCES = ("broadcast_ids", "text_ids")


@pytest.fixture(scope="session")
def shared_database() -> Iterator[str]:
    with servers.database() as url:
        yield url


@pytest.fixture
async def api(shared_database: str) -> AsyncIterator[Api]:
    """An API on a database without any rows. A test that changes more than rows takes `database_url` instead."""
    tables = sql.SQL(", ").join(map(sql.Identifier, support.TABLES))
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(tables))
        for sequence in SEQUENCES:
            connection.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(sequence)))
    async with support.running(support.settings(shared_database)) as running:
        yield running
