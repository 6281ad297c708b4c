"""A database that takes a statement and never says a word again: nobody waits for it for ever."""

import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from libs.common import database
from libs.common.database import BoundedConnection, Pool
from tests.chaos.proxy import Link, to_socket, to_tcp
from tests.support.ports import HOST

PARAMETERS = "sslmode=disable&gssencmode=disable"


@pytest.fixture
async def link(database_url: str) -> AsyncIterator[Link]:
    """A way to the database that can fall silent while its connections stay."""
    parts = urlsplit(database_url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    made = Link("database", to_socket(f"{folder}/.s.PGSQL.5432") if folder else to_tcp(parts.port or 5432))
    await made.listen("us")
    yield made
    await made.close()


@pytest.fixture
async def by_link(link: Link, database_url: str) -> AsyncIterator[Pool]:
    parts = urlsplit(database_url)
    login = parts.netloc.rpartition("@")[0] or "postgres"
    url = f"postgresql://{login}@{HOST}:{link.ports['us']}{parts.path}?{PARAMETERS}"
    async with database.create_pool(url, size=1) as opened:
        yield opened


async def select(pool: Pool, what: str) -> None:
    async with database.transaction(pool) as connection:
        await connection.execute(f"SELECT {what}".encode())


async def test_an_answer_that_never_comes_is_a_lost_connection(
    link: Link, by_link: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "answers_within", 1.0)
    await select(by_link, "1")
    link.swallow(3600)
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        await select(by_link, "1")
    assert time.monotonic() - began < 60
    link.heal()
    await select(by_link, "1")


async def test_a_statement_that_may_take_long_is_waited_for(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "answers_within", 0.3)
    async with database.transaction(pool) as connection:
        await database.allow(connection, 60)
        await connection.execute("SELECT pg_sleep(1)")
    with pytest.raises(psycopg.OperationalError):
        await select(pool, "pg_sleep(1)")
