"""One statement on the driver's own connection: it is a transaction, and trouble on it is one error of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, event, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Engine, EnumText
from libs.common.domain.states import MessageKind
from tests.support.witness import query

SHORT = 1.0  # seconds
PATIENT = 60.0  # seconds
MADE = text("INSERT INTO made (n) VALUES (:n) RETURNING n, n + :more AS later")
NONE = text("SELECT 1 AS pid WHERE false AND CAST(:n AS integer) = 1")
BACKEND = text("SELECT pg_backend_pid() AS pid")
TYPED = text("""
SELECT n, CASE WHEN n > 1 THEN 'event' END AS kind, jsonb_build_object('n', n) AS data FROM generate_series(1, :n) AS n
""").columns(data=JSONB, kind=EnumText(MessageKind))
SLEEP = text("SELECT 1 AS slept FROM pg_sleep(:seconds)")


@dataclass(frozen=True, slots=True)
class Made:
    n: int
    later: int


@dataclass(frozen=True, slots=True)
class Backend:
    pid: int


@dataclass(frozen=True, slots=True)
class Slept:
    slept: int


@dataclass(frozen=True, slots=True)
class Typed:
    n: int
    kind: MessageKind | None
    data: dict[str, int]


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Engine]:
    """An engine of one connection: what is not given back is missed at once."""
    await query(database_url, "CREATE TABLE made (n integer PRIMARY KEY)")
    async with database.disposing(database.create_engine(database_url, size=1)) as engine:
        yield engine


@contextmanager
def heard(engine: Engine) -> Iterator[list[str]]:
    """Yield what the driver sends to the server in the block."""
    sent: list[str] = []

    def watch(driver: Any, *_rest: Any) -> None:
        driver.driver_connection.add_query_logger(lambda query: sent.append(query.query))

    event.listen(engine.sync_engine, "checkout", watch)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "checkout", watch)


async def test_a_statement_alone_is_committed_in_one_round_trip(one: Engine, database_url: str) -> None:
    with heard(one) as sent:
        row = await database.execute_alone(one, MADE, {"n": 1, "more": 2, "unused": "by this statement"}, Made)
    assert row == Made(1, 3)
    assert len(sent) == 1, sent
    assert await query(database_url, "SELECT n FROM made") == [{"n": 1}]


async def test_a_statement_without_rows_returns_none(one: Engine) -> None:
    assert await database.execute_alone(one, NONE, {"n": 1}, Backend) is None


async def test_behind_a_pooler_a_statement_alone_has_a_transaction_around_it(database_url: str) -> None:
    await query(database_url, "CREATE TABLE made (n integer PRIMARY KEY)")
    engine = database.create_engine(database_url, size=1, pooler="transaction")
    async with database.disposing(engine):
        with heard(engine) as sent:
            await database.execute_alone(engine, MADE, {"n": 1, "more": 2}, Made)
    assert [each.split()[0].rstrip(";") for each in sent] == ["BEGIN", "INSERT", "COMMIT"]
    assert await query(database_url, "SELECT n FROM made") == [{"n": 1}]


async def test_what_the_database_refuses_is_an_error_of_ours_and_costs_no_connection(one: Engine) -> None:
    await database.execute_alone(one, MADE, {"n": 1, "more": 2}, Made)
    before = await database.execute_alone(one, BACKEND, {}, Backend)
    with pytest.raises(database.NotUnique):
        await database.execute_alone(one, MADE, {"n": 1, "more": 2}, Made)
    assert await database.execute_alone(one, BACKEND, {}, Backend) == before


async def test_a_server_that_says_nothing_is_unavailable_and_its_connection_is_replaced(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr("libs.common.database.engine.ANSWER_GRACE", SHORT - PATIENT)
    engine = database.create_engine(database_url, size=1, statement_timeout=PATIENT)
    async with database.disposing(engine):
        before = await database.execute_alone(engine, BACKEND, {}, Backend)
        with pytest.raises(database.DatabaseUnavailable):
            await database.execute_alone(engine, SLEEP, {"seconds": PATIENT}, Slept)
        assert await database.execute_alone(engine, BACKEND, {}, Backend) != before


async def test_a_connection_that_the_server_ends_is_unavailable_and_replaced(one: Engine, database_url: str) -> None:
    row = await database.execute_alone(one, BACKEND, {}, Backend)
    assert row is not None
    waiting = asyncio.create_task(database.execute_alone(one, SLEEP, {"seconds": PATIENT}, Slept))
    ended: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not ended:
            ended = await query(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND query LIKE '%%pg_sleep%%'",
                row.pid,
            )
    with pytest.raises(database.DatabaseUnavailable):
        await waiting
    assert await database.execute_alone(one, BACKEND, {}, Backend) != row


async def test_of_many_connections_that_the_server_ended_one_is_met_at_most(database_url: str) -> None:
    async with database.disposing(database.create_engine(database_url, size=5)) as engine:
        for _ in range(3):
            sleeps = [database.execute_alone(engine, SLEEP, {"seconds": 0.2}, Slept) for _ in range(5)]
            await asyncio.gather(*sleeps)
            await query(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'broadsheet'",
            )
            with suppress(database.DatabaseUnavailable):
                await database.execute_alone(engine, BACKEND, {}, Backend)
            await database.execute_alone(engine, BACKEND, {}, Backend)


async def test_a_task_that_is_cancelled_leaves_a_connection_that_works(one: Engine) -> None:
    for _ in range(5):
        task = asyncio.create_task(database.execute_alone(one, SLEEP, {"seconds": PATIENT}, Slept))
        await asyncio.sleep(0.05)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await database.execute_alone(one, BACKEND, {}, Backend) is not None


async def test_a_parameter_of_a_wrong_type_is_refused(one: Engine) -> None:
    with pytest.raises(database.DatabaseError):
        await database.execute_alone(one, MADE, {"n": datetime.now(UTC), "more": 2}, Made)


async def test_a_row_that_does_not_fit_its_class_is_refused(one: Engine) -> None:
    with pytest.raises(TypeError, match="has other fields"):
        await database.execute_alone(one, BACKEND, {}, Slept)


async def test_a_statement_with_typed_parameters_is_refused(one: Engine) -> None:
    typed = text("SELECT :data").bindparams(bindparam("data", type_=JSONB))
    with pytest.raises(AssertionError, match="has a type"):
        await database.execute_alone(one, typed, {"data": {}}, Slept)


async def test_all_rows_are_read_with_the_types_of_the_statements_columns(one: Engine) -> None:
    first, second = await database.fetch_alone(one, TYPED, {"n": 2}, Typed)
    assert first == Typed(n=1, kind=None, data={"n": 1})
    assert second == Typed(n=2, kind=MessageKind.EVENT, data={"n": 2})
    assert second.kind is MessageKind.EVENT
    assert await database.fetch_alone(one, TYPED, {"n": 0}, Typed) == []
