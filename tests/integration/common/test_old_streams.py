"""Streams that an older release wrote: they are read, rebuilt from and gone on with as if this release had."""

from typing import Any

import pytest

from libs.common import database
from libs.common.domain import codec
from libs.common.operations import rebuild
from tests.support.world import World

#: What the older release wrote, as SQL: another name, another unit, a field that did not exist yet.
OLD = {
    "BroadcastScheduled": "data - 'second_delay' || jsonb_build_object('second_delay_minutes', "
    "(data->>'second_delay')::int / 60)",
    "MessageAccepted": "data - 'missive_id' - 'settled' || jsonb_build_object('draft', data->'missive_id')",
}
AGE = "UPDATE events SET schema_version = 1, data = {} WHERE type = %s"


def in_seconds(data: dict[str, Any]) -> dict[str, Any]:
    minutes = data.pop("second_delay_minutes")
    return {**data, "second_delay": 60 * minutes}


def with_its_name(data: dict[str, Any]) -> dict[str, Any]:
    draft = data.pop("draft")
    return {**data, "missive_id": draft}


@pytest.fixture
def newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this release write version 2 of two events, and know what version 1 was."""
    monkeypatch.setitem(codec.VERSIONS, "BroadcastScheduled", 2)
    monkeypatch.setitem(codec.VERSIONS, "MessageAccepted", 2)
    monkeypatch.setitem(codec.UPCASTERS, ("BroadcastScheduled", 1), in_seconds)
    monkeypatch.setitem(codec.UPCASTERS, ("MessageAccepted", 1), with_its_name)


async def grown_old(world: World) -> int:
    """Send half a broadcast, and turn its history into what the older release would have written; return its id."""
    broadcast = await world.made(4, second_delay=120)
    await world.send(broadcast, size=2)
    await world.query("ALTER TABLE events DISABLE TRIGGER events_are_history")
    for name, data in OLD.items():
        await world.query(AGE.format(data), name)
    await world.query("ALTER TABLE events ENABLE TRIGGER events_are_history")
    return broadcast


@pytest.mark.usefixtures("newer_release")
async def test_an_old_stream_is_rebuilt_to_the_same_rows(world: World) -> None:
    await grown_old(world)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


@pytest.mark.usefixtures("newer_release")
async def test_a_broadcast_with_an_old_stream_goes_on(world: World) -> None:
    broadcast = await grown_old(world)
    assert (await world.load(broadcast)).second_delay == 120
    assert len(await world.send(broadcast)) == 2
    assert await world.advance(broadcast) == "waiting"
    versions = await world.column(
        "SELECT DISTINCT schema_version FROM events WHERE type = 'MessageAccepted' ORDER BY 1"
    )
    assert versions == [1, 2]


async def test_an_old_stream_without_an_upcaster_is_refused_whole(world: World) -> None:
    broadcast = await grown_old(world)
    with pytest.raises(Exception, match="BroadcastScheduled"):
        await world.load(broadcast)
