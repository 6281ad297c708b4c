"""The schema, forwards and backwards."""

import asyncio

import psycopg
import pytest

from libs.common import database
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


def described(url: str) -> dict[str, str | None] | None:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(database.REVISION).fetchone()


def test_the_schema_says_which_releases_it_serves_at_every_revision() -> None:
    with servers.database(migrated=False) as url:
        migrate(url, "0001")
        assert described(url) == {"revision": "0001", "serves": "0001"}
        migrate(url)
        assert described(url) == {"revision": SCHEMA, "serves": "0001"}
        migrate(url, "0001")
        assert described(url) == {"revision": "0001", "serves": "0001"}


async def test_a_schema_that_serves_only_newer_releases_is_refused_and_says_so() -> None:
    with servers.database() as url:
        async with database.create_pool(url) as pool:
            await database.ready(pool)
            async with pool.connection() as connection:
                await connection.execute("COMMENT ON TABLE alembic_version IS '9999'")
            with pytest.raises(RuntimeError, match="9999 and newer"):
                await database.ready(pool)


@pytest.mark.parametrize(
    ("revision", "serves", "ours", "fits"),
    [
        ("0002", "0001", "0002", True),
        ("0007", "0001", "0002", True),
        ("0007", "0002", "0002", True),
        ("0007", None, "0002", True),
        ("0007", "0003", "0002", False),
        ("0001", "0001", "0002", False),
    ],
)
def test_a_release_works_with_a_newer_schema_that_still_serves_it(
    revision: str, serves: str | None, ours: str, fits: bool
) -> None:
    assert (database.misfit({"revision": revision, "serves": serves}, ours) == "") is fits


def test_a_database_without_a_revision_is_refused() -> None:
    assert "older" in database.misfit(None)
