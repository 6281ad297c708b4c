"""The event store."""

import asyncio
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest

from libs.common import database
from libs.common.domain import actors
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.commands import SyncStatuses
from libs.common.domain.states import ConsentSource
from libs.common.errors import ConcurrencyError
from libs.common.eventstore import store
from libs.common.messaging import outbox
from tests.support.world import NOW, World

EVENT = e.SecondPhaseStarted(broadcast_id=1)


async def append(world: World, *, expected: int | None = None, count: int = 1, stream: str = "s") -> int:
    async with database.transaction(world.engine) as connection:
        return await store.append(connection, stream, [EVENT] * count, now=NOW, expected=expected)


async def test_events_name_the_cause_of_the_transaction_that_appends_them(world: World) -> None:
    cause = Cause(causation_id=uuid4())
    async with database.transaction(world.engine, cause) as connection:
        await store.append(connection, "s", [EVENT], now=NOW)
        await store.append_each(connection, {"contact-7": e.OptedIn(contact_id=7, source=ConsentSource.STAFF)}, now=NOW)
    rows = await world.query("SELECT correlation_id, causation_id FROM events")
    assert [(row["correlation_id"], row["causation_id"]) for row in rows] == [
        (cause.correlation_id, cause.causation_id)
    ] * 2


async def test_what_one_transaction_begins_belongs_together(world: World) -> None:
    for _ in range(2):
        async with database.transaction(world.engine) as connection:
            await store.append(connection, "s", [EVENT], now=NOW)
            await store.append(connection, "t", [EVENT], now=NOW)
    found = "SELECT count(DISTINCT correlation_id) FROM events WHERE causation_id IS NULL"
    assert await world.value(found) == 2


async def test_what_was_appended_is_read_in_order_with_its_time(world: World) -> None:
    events: list[e.Event] = [e.BroadcastPaused(broadcast_id=1), e.BroadcastResumed(broadcast_id=1)]
    async with database.transaction(world.engine) as connection:
        assert await store.append(connection, "s", events, now=NOW, expected=0) == 2
        recorded, version = await store.read(connection, "s")
    assert [item.event for item in recorded] == events
    assert {item.at for item in recorded} == {NOW}
    assert version == 2


async def test_of_two_writers_who_read_the_same_version_one_wins(world: World) -> None:
    """Fault 8: nothing was locked."""
    await append(world, count=3)
    results = await asyncio.gather(*(append(world, expected=3) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConcurrencyError", "int"]
    assert await world.value("SELECT count(*) FROM events") == 4


async def test_of_two_who_begin_a_stream_one_wins(world: World) -> None:
    results = await asyncio.gather(*(append(world, expected=0) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["ConcurrencyError", "int"]


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_version_that_the_stream_is_not_at_is_refused_and_nothing_is_written(
    world: World, expected: int
) -> None:
    await append(world, count=2)
    with pytest.raises(ConcurrencyError):
        await append(world, expected=expected)
    assert await world.value("SELECT count(*) FROM events") == 2


async def test_a_stream_that_does_not_exist_is_not_at_version_5(world: World) -> None:
    with pytest.raises(ConcurrencyError):
        await append(world, expected=5)
    assert await world.value("SELECT count(*) FROM streams") == 0


async def test_many_writers_at_once_leave_no_gap_in_the_versions(world: World) -> None:
    await asyncio.gather(*(append(world, count=1 + n % 3) for n in range(20)))
    versions = await world.column("SELECT version FROM events ORDER BY version")
    assert versions == list(range(1, len(versions) + 1))
    assert await world.value("SELECT version FROM streams") == len(versions)


async def test_a_writer_who_gives_up_leaves_no_gap(world: World) -> None:
    await append(world)
    async with database.transaction(world.engine) as connection:
        await store.append(connection, "s", [EVENT], now=NOW)
        await connection.rollback()
    await append(world)
    assert await world.column("SELECT version FROM events ORDER BY version") == [1, 2]


@pytest.mark.parametrize("change", ["UPDATE events SET type = 'Other'", "DELETE FROM events"])
async def test_history_cannot_be_changed(world: World, change: str) -> None:
    """Invariant 6."""
    await append(world)
    with pytest.raises(psycopg.errors.RaiseException, match="appended, never changed"):
        await world.query(change)


async def test_a_reader_by_position_does_not_skip_what_is_not_yet_committed(world: World) -> None:
    """Positions are handed out before commits."""

    async def seen(after: int = 0) -> list[int]:
        async with database.transaction(world.engine) as connection:
            return [event.position for event in await store.of_broadcast(connection, 1, after=after)]

    async with database.transaction(world.engine) as connection:
        await store.append(connection, "slow", [EVENT], now=NOW)
        await append(world, stream="fast")
        assert await seen() == []
    both = await seen()
    assert len(both) == 2
    assert await world.column("SELECT stream FROM events ORDER BY position") == ["slow", "fast"]


async def test_a_reader_page_by_page_sees_everything_once(world: World) -> None:
    await append(world, count=25)
    seen: list[int] = []
    while True:
        async with database.transaction(world.engine) as connection:
            page = await store.of_broadcast(connection, 1, after=seen[-1] if seen else 0, limit=10)
        if not page:
            break
        seen += [event.position for event in page]
    assert len(seen) == 25
    assert all(one < other for one, other in pairwise(seen))


async def test_a_reader_by_position_sees_what_was_dumped_in_another_cluster_and_loaded_here(world: World) -> None:
    """The numbers of the transactions there mean nothing here: most have not begun yet."""
    await append(world, count=2)
    await world.query("ALTER TABLE events DISABLE TRIGGER events_are_history")
    await world.query("UPDATE events SET transaction_id = '9000000000000'")
    await world.query("ALTER TABLE events ENABLE TRIGGER events_are_history")
    async with database.transaction(world.engine) as connection:
        assert len(await store.of_broadcast(connection, 1)) == 2


async def test_many_streams_get_an_event_each_behind_whatever_they_hold(world: World) -> None:
    said = {f"contact-{n}": e.OptedOut(contact_id=n, source=ConsentSource.FILE) for n in range(1, 501)}
    async with database.transaction(world.engine) as connection:
        await store.append(connection, "contact-7", [e.OptedIn(contact_id=7, source=ConsentSource.STAFF)] * 2, now=NOW)
        await store.append_each(connection, said, now=NOW)
        await store.append_each(connection, {}, now=NOW)
        recorded, version = await store.read(connection, "contact-7")
        other = await store.read(connection, "contact-500")
    assert ([type(item.event) for item in recorded], version) == ([e.OptedIn, e.OptedIn, e.OptedOut], 3)
    assert ([item.event for item in other[0]], other[1]) == ([said["contact-500"]], 1)
    assert await world.value("SELECT count(*) FROM events") == 502


async def test_events_and_messages_name_who_wrote_them(world: World) -> None:
    url = world.settings.database_url.get_secret_value()
    event, command = e.BroadcastResumed(broadcast_id=1), SyncStatuses(broadcast_id=1)
    async with database.disposing(database.create_engine(url, size=1, actor=actors.service("planner"))) as engine:
        for cause in (None, Cause(actor=actors.user(7)), Cause()):
            async with database.transaction(engine, cause) as connection:
                await store.append(connection, "a", [event], now=NOW)
                await store.append_each(connection, {"b": event}, now=NOW)
                await outbox.write(connection, [command], now=NOW)
    written = ["service:planner", "user:7", "service:planner"]
    assert await world.column("SELECT actor FROM outbox ORDER BY id") == written
    for stream in ("a", "b"):
        assert await world.column("SELECT actor FROM events WHERE stream = %s ORDER BY version", stream) == written


async def test_history_shows_the_name_of_the_user_who_did_it(world: World) -> None:
    await world.query("INSERT INTO users (email, name, role) VALUES ('ana@example.org', 'Ana', 'editor')")
    for actor in (actors.user(1), actors.key("website")):
        async with database.transaction(world.engine, Cause(actor=actor)) as connection:
            await store.append(connection, "a", [e.BroadcastResumed(broadcast_id=1)], now=NOW)
    found = await world.query(f"SELECT actor, {store.ACTOR_NAME} AS name FROM events ORDER BY position")
    assert [(row["actor"], row["name"]) for row in found] == [("user:1", "Ana"), ("key:website", None)]
