"""`tables/` describes the schema that the migrations make: equal in PostgreSQL's catalogue, whatever made it.

Alembic's own comparison looks neither at predicates of indexes nor at checks.
"""

from collections.abc import Iterator

import psycopg
import pytest

from libs.common import database
from libs.common.database import tables
from tests.support import servers

#: What there is of each kind, as the server itself writes it down; `alembic_version` is Alembic's.
CATALOGUE = {
    "columns": """
        SELECT c.table_name, c.column_name, c.ordinal_position, c.data_type, c.udt_name, c.is_nullable,
            c.column_default, c.generation_expression, c.identity_generation, c.collation_name
        FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'""",
    "indexes": """
        SELECT tablename, indexname, indexdef, indisvalid FROM pg_indexes
        JOIN pg_index ON indexrelid = ('public.' || indexname)::regclass
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "sequences": """
        SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size
        FROM pg_sequences WHERE schemaname = 'public'""",
    "storage options": """
        SELECT relname, relkind::text, reloptions::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%'""",
    "comments": """
        SELECT objoid::regclass::text, objsubid, description FROM pg_description
        WHERE classoid = 'pg_class'::regclass AND objoid IN (
            SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname <> 'alembic_version')""",
}


@pytest.fixture(scope="module")
def described() -> Iterator[str]:
    """A database made from `tables/`, without migrations."""
    with servers.database(migrated=False) as url:
        yield url


async def make_as_described(url: str) -> None:
    async with database.disposing(database.create_engine(url, size=1)) as engine, engine.begin() as connection:
        await connection.run_sync(tables.Base.metadata.create_all)


def catalogue(url: str, what: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return set(connection.execute(CATALOGUE[what].encode()).fetchall())


@pytest.fixture(scope="module")
def migrated() -> Iterator[str]:
    with servers.database() as url:
        yield url


@pytest.mark.parametrize("what", CATALOGUE)
async def test_the_tables_that_are_described_and_those_that_migrations_make_are_equal(
    what: str, described: str, migrated: str
) -> None:
    if not catalogue(described, "columns"):
        await make_as_described(described)
    ours, made = catalogue(described, what), catalogue(migrated, what)
    assert made, "the catalogue shows nothing of this kind"
    assert sorted(map(str, made - ours)) == [], "only the migrations make it"
    assert sorted(map(str, ours - made)) == [], "only the classes have it"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("columns", "ALTER TABLE contacts ALTER COLUMN name DROP DEFAULT"),
        ("constraints", "ALTER TABLE permits ADD CHECK (n > 0)"),
        ("constraints", "ALTER TABLE outgoing_messages RENAME CONSTRAINT outgoing_messages_once_a_number TO once"),
        (
            "indexes",
            (
                "DROP INDEX broadcasts_under_way;"
                "CREATE INDEX broadcasts_under_way ON broadcasts (run_at) WHERE completed_at IS NULL"
            ),
        ),
        ("triggers", "ALTER TABLE events DISABLE TRIGGER events_are_history"),
        ("storage options", "ALTER TABLE outgoing_messages RESET (fillfactor)"),
        ("comments", "COMMENT ON TABLE outbox IS 'another one'"),
        ("sequences", "ALTER SEQUENCE message_ids INCREMENT 2"),
        (
            "functions",
            "CREATE OR REPLACE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        ),
    ],
)
def test_a_difference_is_seen(what: str, change: str, migrated: str) -> None:
    with servers.copied(migrated) as other:
        with psycopg.connect(other) as connection:
            connection.execute(change.encode())
        assert catalogue(other, what) != catalogue(migrated, what)


def test_every_constraint_and_every_index_is_named_after_its_table(migrated: str) -> None:
    """So an error in a log can be looked up, and `grep` finds where it is written."""
    named = [(table, name) for table, name, *_ in catalogue(migrated, "constraints")]
    assert [name for table, name in named if not str(name).startswith(f"{table}_")] == []
