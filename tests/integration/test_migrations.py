"""The schema, forwards and backwards."""

import asyncio

import psycopg

from libs.common.database import SCHEMA
from libs.common.migrate import head, migrate
from tests.support import servers


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def test_migrating_forwards_backwards_and_forwards_again_gives_the_same_tables() -> None:
    with servers.database(migrated=False) as url:
        migrate(url)
        there = tables(url)
        migrate(url, "base")
        assert tables(url) <= {"alembic_version"}
        migrate(url)
        assert tables(url) == there


async def test_two_migrations_at_once_make_one_schema() -> None:
    with servers.database(migrated=False) as url:
        await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(4)))
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(),)]


def test_services_ask_for_the_newest_revision() -> None:
    assert head() == SCHEMA
