"""The schema, forwards and backwards."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from libs.common import database
from libs.common.database import SCHEMA, SchemaVersion
from libs.common.database.migrate import head, migrate
from libs.common.database.probe import Probe
from tests.support import revisions, servers


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


def indexes(url: str) -> dict[str, str]:
    """Return the indexes that can be used, by name."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON"
            " c.oid = indrelid WHERE indisvalid AND c.relnamespace = 'public'::regnamespace"
        ).fetchall()
    return dict(rows)


def test_an_index_whose_building_was_cut_off_is_built_anew() -> None:
    with servers.database() as url, revisions.second():
        before = indexes(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE INDEX outgoing_messages_made_up ON outgoing_messages (id)")
        migrate(url)
        assert "attempt_started_at" in indexes(url)["outgoing_messages_made_up"]
        migrate(url, "0001")
        assert indexes(url) == before


def test_a_migration_that_waits_for_another_does_not_hold_up_its_indexes() -> None:
    """An index that is built concurrently waits for whatever statement is under way, one that waits for it included."""
    with servers.database() as url, revisions.second():
        with ThreadPoolExecutor(3) as pool:
            for _ in range(3):
                [each.result(timeout=90) for each in [pool.submit(migrate, url) for _ in range(3)]]
                migrate(url, "0001")
        migrate(url)
        assert asyncio.run(described(url)) == SchemaVersion("0002", "0001")


async def described(url: str) -> SchemaVersion | None:
    async with (
        database.disposing(database.create_engine(url, size=1)) as engine,
        database.transaction(engine) as connection,
    ):
        return await database.read_version(connection)


def test_the_schema_says_which_releases_it_serves_at_every_revision() -> None:
    with servers.database() as url:
        assert asyncio.run(described(url)) == SchemaVersion(SCHEMA, "0001")
        with revisions.second():
            migrate(url)
            assert asyncio.run(described(url)) == SchemaVersion("0002", "0001")
            migrate(url, "0001")
        assert asyncio.run(described(url)) == SchemaVersion("0001", "0001")


def test_a_migration_that_breaks_older_releases_is_told_until_it_is_taken_back() -> None:
    with servers.database() as url, revisions.second(serves="0002"):
        migrate(url)
        assert asyncio.run(described(url)) == SchemaVersion("0002", "0002")
        migrate(url, "0001")
        assert asyncio.run(described(url)) == SchemaVersion("0001", "0001")


async def test_a_schema_that_serves_only_newer_releases_is_refused_and_says_so() -> None:
    with servers.database() as url:
        probe = Probe(url)
        await probe.ready()
        with psycopg.connect(url) as connection:
            connection.execute("COMMENT ON TABLE alembic_version IS '9999'")
        with pytest.raises(RuntimeError, match="9999 and newer"):
            await probe.ready()
        await probe.close()


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
    assert (database.schema_mismatch(SchemaVersion(revision, serves), ours) == "") is fits


def test_a_database_without_a_revision_is_refused() -> None:
    assert "older" in database.schema_mismatch(None)
