"""The way to the database, with what goes wrong on it: each trouble is one error of ours, and then the engine works."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.database import Connection, Engine
from libs.common.database.engine import IDLE_TIMEOUT, LOCK_TIMEOUT, STATEMENT_TIMEOUT
from tests.support.witness import query

CANCELLED = 20
SHORT = 1.0  # seconds
BACKEND = text("SELECT pg_backend_pid()")
SETTING = text("SELECT current_setting(:name)")
KEPT = text("SELECT count(*) > 0 FROM pg_prepared_statements WHERE name <> ''")
TAKE = text("SELECT pg_try_advisory_xact_lock(7)")
MADE = text("INSERT INTO made (n) VALUES (:n)")


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Engine]:
    """An engine of one connection: what is not given back is missed at once."""
    await query(database_url, "CREATE TABLE made (n integer PRIMARY KEY)")
    async with database.disposing(database.create_engine(database_url, size=1)) as engine:
        yield engine


async def nobody(url: str, statement: str) -> None:
    """Wait until a statement finds no connection."""
    async with asyncio.timeout(90):
        while await query(url, statement):  # noqa: ASYNC110  the server tells nobody when a connection has ended
            await asyncio.sleep(0.05)


async def backend(engine: Engine) -> int:
    async with database.transaction(engine) as connection:
        return int((await connection.execute(BACKEND)).scalar_one())


# --- What waits for a commit ------------------------------------------------------------------------------------------


async def test_what_waits_for_the_commit_is_called_after_it_and_in_order(one: Engine, database_url: str) -> None:
    called: list[str] = []
    async with database.transaction(one) as connection:
        database.on_commit(connection, lambda: called.append("first"))
        database.on_commit(connection, lambda: called.append("second"))
        await connection.execute(MADE, {"n": 1})
        assert called == []
    assert called == ["first", "second"]
    assert await query(database_url, "SELECT n FROM made") == [{"n": 1}]
    async with database.transaction(one):
        pass
    assert called == ["first", "second"], "it was called again, by the next transaction of the same connection"


async def test_what_waits_for_a_commit_is_not_called_after_a_rollback(one: Engine, database_url: str) -> None:
    called: list[str] = []

    async def fails() -> None:
        async with database.transaction(one) as connection:
            database.on_commit(connection, lambda: called.append("never"))
            await connection.execute(MADE, {"n": 1})
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    async with database.transaction(one):
        pass
    assert called == []
    assert await query(database_url, "SELECT n FROM made") == []


async def test_what_waits_for_a_commit_that_the_server_refuses_is_not_called(one: Engine, database_url: str) -> None:
    await query(
        database_url, "ALTER TABLE made ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED, DROP CONSTRAINT made_pkey"
    )
    called: list[str] = []

    async def fails() -> None:
        async with database.transaction(one) as connection:
            database.on_commit(connection, lambda: called.append("never"))
            await connection.execute(MADE, [{"n": 1}, {"n": 1}])

    with pytest.raises(database.NotUnique):
        await fails()
    assert called == []
    await backend(one)


# --- LISTEN, COPY, locks ----------------------------------------------------------------------------------------------


async def test_whoever_listens_hears_each_notification_and_when_the_connection_is_lost(database_url: str) -> None:
    heard = database.listen(database_url, "made")
    assert await anext(heard) == "", "it does not say that it listens"
    await query(database_url, "SELECT pg_notify('made', 'a'), pg_notify('made', 'b')")
    assert [await anext(heard), await anext(heard)] == ["a", "b"]
    listener = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%made%%'"
    assert len(await query(database_url, listener)) == 1
    with pytest.raises(database.DatabaseUnavailable):
        async with asyncio.timeout(90):
            await anext(heard)
    # Whoever listens again hears what comes from then on.
    again = database.listen(database_url, "made")
    assert await anext(again) == ""
    await query(database_url, "SELECT pg_notify('made', 'c')")
    assert await anext(again) == "c"
    await again.aclose()  # type: ignore[attr-defined]


async def test_whoever_stops_listening_leaves_no_connection_behind(database_url: str) -> None:
    heard = database.listen(database_url, "made")
    await anext(heard)
    await heard.aclose()  # type: ignore[attr-defined]
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%made%%'"
    await nobody(database_url, listening)


async def test_nobody_listens_to_a_server_that_is_not_there() -> None:
    with pytest.raises(database.DatabaseUnavailable):
        await anext(database.listen("postgresql://nobody@127.0.0.1:1/nothing", "made"))


async def test_copied_rows_belong_to_the_transaction(one: Engine, database_url: str) -> None:
    async def fails() -> None:
        async with database.transaction(one) as connection:
            await database.copy_in(connection, "made", ["n"], [(n,) for n in range(5)])
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    assert await query(database_url, "SELECT n FROM made") == []
    async with database.transaction(one) as connection:
        await database.copy_in(connection, "made", ["n"], ((n,) for n in range(1000)))
        assert (await connection.execute(text("SELECT count(*) FROM made"))).scalar_one() == 1000
    assert await query(database_url, "SELECT count(*) AS n FROM made") == [{"n": 1000}]


async def test_rows_that_break_a_rule_are_no_error_of_the_driver_when_they_are_copied(one: Engine) -> None:
    with pytest.raises(database.NotUnique) as refused:
        async with database.transaction(one) as connection:
            await database.copy_in(connection, "made", ["n"], [(1,), (1,)])
    assert refused.value.constraint == "made_pkey"
    await backend(one)


async def test_an_advisory_lock_is_the_transactions_alone(engine: Engine) -> None:
    async def taken(connection: Connection) -> bool:
        return bool((await connection.execute(TAKE)).scalar_one())

    async with database.transaction(engine) as first:
        assert await taken(first)
        async with database.transaction(engine) as second:
            assert not await taken(second)
    async with database.transaction(engine) as third:
        assert await taken(third)


# --- Time-outs --------------------------------------------------------------------------------------------------------


async def test_a_connections_time_outs_are_ours(one: Engine) -> None:
    wanted = {
        "statement_timeout": STATEMENT_TIMEOUT,
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
    }
    async with database.transaction(one) as connection:
        for name, seconds in wanted.items():
            assert (await connection.execute(SETTING, {"name": name})).scalar_one() == f"{seconds:.0f}s"


async def test_a_statement_that_takes_too_long_is_ended_and_the_connection_kept(database_url: str) -> None:
    async with database.disposing(database.create_engine(database_url, size=1, statement_timeout=SHORT)) as engine:
        before = await backend(engine)
        with pytest.raises(database.StatementTimeout):
            async with database.transaction(engine) as connection:
                await connection.execute(text("SELECT pg_sleep(90)"))
        assert await backend(engine) == before


async def test_a_transaction_may_have_more_time_and_the_next_one_has_not(database_url: str) -> None:
    async with database.disposing(
        database.create_engine(database_url, size=1, statement_timeout=20.0, longest=30.0)
    ) as engine:
        async with database.transaction(engine) as connection:
            await database.set_statement_timeout(connection, 17)
            assert (await connection.execute(SETTING, {"name": "statement_timeout"})).scalar_one() == "17s"
        async with database.transaction(engine) as connection:
            assert (await connection.execute(SETTING, {"name": "statement_timeout"})).scalar_one() == "20s"


@pytest.mark.parametrize(("longest", "kept"), [(0.0, True), (database.LONG_WORK, False)])
async def test_only_the_statements_of_long_work_are_planned_anew_each_time(
    database_url: str, longest: float, kept: bool
) -> None:
    async with database.disposing(database.create_engine(database_url, size=1, longest=longest)) as engine:
        async with database.transaction(engine) as connection:
            await connection.execute(SETTING, {"name": "statement_timeout"})
        async with database.transaction(engine) as connection:
            assert (await connection.execute(KEPT)).scalar_one() is kept


async def test_long_work_keeps_the_plans_by_which_foreign_keys_are_checked(database_url: str) -> None:
    """A check of each row that is planned anew doubles the cost of a draw."""
    async with (
        database.disposing(database.create_engine(database_url, size=1, longest=database.LONG_WORK)) as engine,
        database.transaction(engine) as connection,
    ):
        await database.set_statement_timeout(connection, database.LONG_WORK)
        assert (await connection.execute(SETTING, {"name": "plan_cache_mode"})).scalar_one() == "auto"


async def test_who_waits_too_long_for_a_lock_gives_up(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.database.engine.LOCK_TIMEOUT", SHORT)
    take = text("SELECT pg_advisory_xact_lock(7)")
    async with database.disposing(database.create_engine(database_url, size=2)) as engine:
        async with database.transaction(engine) as holder:
            await holder.execute(take)
            with pytest.raises(database.Collision):
                async with database.transaction(engine) as connection:
                    await connection.execute(take)
        async with database.transaction(engine) as connection:
            await connection.execute(take)


async def test_a_transaction_that_does_nothing_lets_go_of_its_locks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.database.engine.IDLE_TIMEOUT", SHORT)
    async with database.disposing(database.create_engine(database_url, size=2)) as engine:

        async def idle() -> None:
            async with database.transaction(engine) as holder:
                await holder.execute(text("SELECT pg_advisory_xact_lock(7)"))
                async with database.transaction(engine) as other:
                    await other.execute(text("SELECT pg_advisory_xact_lock(7)"))
                await holder.execute(BACKEND)

        with pytest.raises(database.DatabaseUnavailable):
            await idle()
        await backend(engine)


async def test_who_finds_no_free_connection_in_time_is_told_so(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr("libs.common.database.engine.CHECKOUT_TIMEOUT", SHORT)
    engine = database.create_engine(database_url, size=1, patience=0.0)
    async with database.disposing(engine), database.transaction(engine):
        with pytest.raises(database.DatabaseUnavailable):
            async with database.transaction(engine):
                pass


# --- What is lost, cancelled or changed meanwhile ---------------------------------------------------------------------


async def use(engine: Engine, n: int) -> None:
    async with database.transaction(engine) as connection:
        await connection.execute(MADE, {"n": n})
        await connection.execute(text("SELECT pg_sleep(0.004)"))


async def test_a_task_that_is_cancelled_at_any_moment_gives_its_connection_back(one: Engine, database_url: str) -> None:
    await use(one, -1)
    began = time.monotonic()
    await use(one, -2)
    takes = time.monotonic() - began
    moments = random.Random(12)
    for n in range(CANCELLED):
        task = asyncio.create_task(use(one, n))
        await asyncio.sleep(moments.uniform(0, takes))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(90):
            await use(one, 1000 + n)
    ours = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%%'"
    await nobody(database_url, ours)
    kept = {row["n"] for row in await query(database_url, "SELECT n FROM made")}
    assert {1000 + n for n in range(CANCELLED)} <= kept


async def ended_ones_are_met_once(engine: Engine) -> None:
    """Use an engine after its connections were ended: they are replaced before, or one of them is met, once."""
    with suppress(database.DatabaseUnavailable, database.Collision):
        await backend(engine)
    await backend(engine)


async def test_a_connection_that_the_server_ended_is_one_error_at_most(one: Engine, database_url: str) -> None:
    before = await backend(one)
    await query(database_url, "SELECT pg_terminate_backend(%s)", before)
    await ended_ones_are_met_once(one)
    assert await backend(one) != before


async def test_a_connection_that_the_server_ends_within_a_transaction_is_one_error(
    one: Engine, database_url: str
) -> None:
    async def ended() -> None:
        async with database.transaction(one) as connection:
            pid = (await connection.execute(BACKEND)).scalar_one()
            await query(database_url, "SELECT pg_terminate_backend(%s)", pid)
            await connection.execute(BACKEND)

    with pytest.raises((database.DatabaseUnavailable, database.Collision)):
        await ended()
    await backend(one)


async def test_of_many_connections_that_the_server_ended_one_is_met_at_most(engine: Engine, database_url: str) -> None:
    await asyncio.gather(*(use_for(engine, 0.2) for _ in range(5)))
    ended = await query(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'broadsheet'",
    )
    assert len(ended) == 5
    await ended_ones_are_met_once(engine)
    await asyncio.gather(*(use_for(engine, 0.2) for _ in range(5)))


async def use_for(engine: Engine, seconds: float) -> None:
    async with database.transaction(engine) as connection:
        await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


async def test_a_plan_that_a_migration_made_stale_is_a_collision_and_then_made_anew(
    one: Engine, database_url: str
) -> None:
    async def read() -> list[object]:
        async with database.transaction(one) as connection:
            return list((await connection.execute(text("SELECT * FROM made"))).scalars())

    await use(one, 1)
    for _ in range(8):
        assert await read() == [1]
    await query(database_url, "ALTER TABLE made ALTER COLUMN n TYPE text")
    with pytest.raises(database.Collision):
        await read()
    assert await read() == ["1"]


async def test_the_options_of_the_environment_are_heeded_as_by_other_clients(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore gives the migration leave to write by them: the new driver passed them over, and nothing was held."""
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    async with (
        database.disposing(database.create_engine(database_url, size=1)) as engine,
        database.transaction(engine) as connection,
    ):
        assert (await connection.execute(text("SHOW default_transaction_read_only"))).scalar_one() == "on"
