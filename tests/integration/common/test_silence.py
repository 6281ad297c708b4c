"""A database that takes a statement and never says a word again: nobody waits for it for ever."""

import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.database import Engine
from tests.chaos.proxy import Link, to_socket, to_tcp
from tests.support.ports import HOST

PARAMETERS = "sslmode=disable"


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
async def by_link(link: Link, database_url: str) -> AsyncIterator[Engine]:
    parts = urlsplit(database_url)
    login = parts.netloc.rpartition("@")[0] or "postgres"
    url = f"postgresql://{login}@{HOST}:{link.ports['us']}{parts.path}?{PARAMETERS}"
    async with database.disposing(database.create_engine(url, size=1, statement_timeout=3.0)) as opened:
        yield opened


async def select(engine: Engine, what: str) -> None:
    async with database.transaction(engine) as connection:
        await connection.execute(text(f"SELECT {what}"))


async def test_an_answer_that_never_comes_is_a_lost_connection(
    link: Link, by_link: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await select(by_link, "1")
    link.swallow(3600)
    began = time.monotonic()
    with pytest.raises(database.DatabaseUnavailable):
        await select(by_link, "1")
    assert time.monotonic() - began < 90
    link.heal()
    await select(by_link, "1")


async def test_long_work_may_take_longer_than_a_statement_and_its_answer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.database.engine.ANSWER_GRACE", 0.5)
    async with database.disposing(database.create_engine(database_url, statement_timeout=1.0, longest=30)) as engine:
        async with database.transaction(engine) as connection:
            await database.set_statement_timeout(connection, 30)
            await connection.execute(text("SELECT pg_sleep(2.5)"))
        with pytest.raises(database.StatementTimeout):
            await select(engine, "pg_sleep(90)")


async def test_a_statement_that_takes_longer_than_it_may_is_ended_by_the_server(database_url: str) -> None:
    async with database.disposing(database.create_engine(database_url, statement_timeout=1.0)) as engine:
        with pytest.raises(database.StatementTimeout):
            await select(engine, "pg_sleep(90)")
        await select(engine, "1")
