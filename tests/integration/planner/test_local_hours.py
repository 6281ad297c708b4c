"""A broadcast to people in several time zones: who gets it when, who waits for the morning, and who does not get it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import messages, places
from libs.common.carriers.outcomes import Accepted
from libs.common.domain.quiet_hours import parse
from libs.common.domain.states import Late, SkipReason
from libs.common.domain.wall_clock import at_wall_clock
from libs.common.operations import rebuild
from tests.support.world import World, make_settings

NEW_YORK, HONOLULU, DENVER = "+12125550101", "+18085550101", "+13035550101"
LONDON, FLORIDA = "+447400123456", "+18505550101"
#: Who is where, from east to west.
PEOPLE = (LONDON, NEW_YORK, DENVER, HONOLULU)


@pytest.fixture
def quiet(world: World) -> World:
    return replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00"))


def detroit(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at_wall_clock(at.date(), at.time(), make_settings().zone)


async def made(
    world: World, *numbers: str, now: str = "2026-03-04T10:00", late: Late = Late.WAIT, pool: tuple[int, ...] = (),
    **fields: str,
) -> int:  # fmt: skip
    """Make a broadcast to some numbers, at a time in Detroit."""
    world.clock.now = detroit(now)
    for number in numbers:
        await world.query("INSERT INTO contacts (phone_number, tags) VALUES (%s, '{all}')", number)
    for number, zone in fields.items():
        await world.query("UPDATE contacts SET time_zone = %s WHERE phone_number = %s", zone, f"+{number[1:]}")
    broadcast = await world.scheduled(await world.segment("all"), late=late, pool=pool)
    await world.make(broadcast)
    return broadcast


async def send(world: World, broadcast: int, *, is_second: bool = False) -> list[str]:
    """Have the batches sent that are due; return to whom messages left, in order."""
    await world.advance(broadcast)
    left = []
    for batch_id in await world.column(
        "SELECT id FROM batches WHERE broadcast_id = %s AND is_second = %s AND closed_at IS NULL AND due_at <= %s",
        broadcast, is_second, world.clock.now,
    ):  # fmt: skip
        batch = await world.take(batch_id)
        assert batch is not None
        # One at a time, as the slots come.
        while await world.claim(batch, size=1) and (started := await world.start(batch, count=1)):
            left.append(started[0].attempt.to)
            await world.answer(started[0], Accepted(missive_id=f"M{started[0].attempt.message_id}"))
        await world.close(batch, started=len(left))
    await world.advance(broadcast)
    return left


async def due(world: World, broadcast: int) -> datetime:
    """Return when the next batch is due."""
    found: datetime = await world.value(
        "SELECT min(due_at) FROM batches WHERE broadcast_id = %s AND closed_at IS NULL", broadcast
    )
    return found


async def reasons(world: World, broadcast: int, *, is_second: bool = False) -> dict[str, str | None]:
    rows = await world.messages(broadcast, is_second=is_second)
    return {row["recipient_phone_number"]: row["skip_reason"] for row in rows}


async def test_each_message_has_the_place_of_its_recipient(quiet: World) -> None:
    await made(quiet, *PEOPLE, "+18005550101", n13035550101="America/Phoenix")
    found = await quiet.query("SELECT DISTINCT recipient_phone_number AS number, place FROM outgoing_messages")
    assert {row["number"]: parse(row["place"]).zones for row in found} == {
        LONDON: ("Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey", "Europe/London"),
        NEW_YORK: ("America/New_York",),
        DENVER: ("America/Phoenix",),  # as is known of them, whatever their number says
        HONOLULU: ("Pacific/Honolulu",),
        "+18005550101": (),
    }


async def test_a_rebuild_from_history_has_the_same_places(quiet: World) -> None:
    await made(quiet, *PEOPLE)
    before = await quiet.query("SELECT id, place FROM outgoing_messages ORDER BY id")
    assert len({row["place"] for row in before}) == len(PEOPLE)
    await quiet.query("UPDATE outgoing_messages SET place = ''")
    async with database.transaction(quiet.engine) as connection:
        await rebuild.rebuild(connection)
    assert await quiet.query("SELECT id, place FROM outgoing_messages ORDER BY id") == before


async def test_who_is_up_gets_it_and_the_others_when_it_is_morning_there(quiet: World) -> None:
    broadcast = await made(quiet, *PEOPLE)
    # Ten in Detroit: five in the morning in Honolulu. The evening comes to London first.
    assert await send(quiet, broadcast) == [LONDON, NEW_YORK, DENVER]
    assert await quiet.state(broadcast) == "sending_first"
    assert await due(quiet, broadcast) == detroit("2026-03-04T13:00")
    quiet.clock.now = detroit("2026-03-04T12:59")
    assert await send(quiet, broadcast) == []
    quiet.clock.now = detroit("2026-03-04T13:00")
    assert await send(quiet, broadcast) == [HONOLULU]
    assert await quiet.state(broadcast) == "waiting"


async def test_the_follow_ups_are_timed_from_the_last_first_message_and_keep_the_same_hours(quiet: World) -> None:
    broadcast = await made(quiet, *PEOPLE)
    await send(quiet, broadcast)
    quiet.clock.now = detroit("2026-03-04T13:00")
    await send(quiet, broadcast)
    quiet.clock.now = detroit("2026-03-04T16:30")  # half past nine in the evening in London
    assert await quiet.advance(broadcast) == "sending_second"
    assert await send(quiet, broadcast, is_second=True) == [NEW_YORK, DENVER, HONOLULU]
    assert await due(quiet, broadcast) == datetime(2026, 3, 5, 8, tzinfo=UTC)
    quiet.clock.now = datetime(2026, 3, 5, 8, tzinfo=UTC)
    assert await send(quiet, broadcast, is_second=True) == [LONDON]
    assert await quiet.state(broadcast) == "syncing"


async def test_what_comes_too_late_waits_for_the_morning_there(quiet: World) -> None:
    broadcast = await made(quiet, *PEOPLE, now="2026-03-04T17:00")
    assert await send(quiet, broadcast) == [NEW_YORK, DENVER, HONOLULU]
    assert await reasons(quiet, broadcast) == dict.fromkeys(PEOPLE)
    assert await due(quiet, broadcast) == datetime(2026, 3, 5, 8, tzinfo=UTC)
    quiet.clock.now = datetime(2026, 3, 5, 8, tzinfo=UTC)
    assert await send(quiet, broadcast) == [LONDON]


async def test_what_comes_too_late_is_skipped_if_the_broadcast_says_so(quiet: World) -> None:
    broadcast = await made(quiet, *PEOPLE, now="2026-03-04T17:00", late=Late.SKIP)
    assert await send(quiet, broadcast) == [NEW_YORK, DENVER, HONOLULU]
    assert await reasons(quiet, broadcast) == {**dict.fromkeys(PEOPLE), LONDON: "too_late"}
    assert await quiet.state(broadcast) == "waiting"
    quiet.clock.forward(minutes=10)
    assert await quiet.advance(broadcast) == "sending_second"
    assert await send(quiet, broadcast, is_second=True) == [NEW_YORK, DENVER, HONOLULU]
    assert await reasons(quiet, broadcast, is_second=True) == {**dict.fromkeys(PEOPLE), LONDON: "too_late"}
    quiet.clock.forward(days=2)
    for _ in range(3):
        await quiet.advance(broadcast)
    [completed] = await quiet.happened("BroadcastCompleted")
    ledger = completed["ledger"]
    assert (ledger["planned"], ledger["accepted"], ledger["skipped"]) == (8, 6, {"too_late": 2})


async def from_two(world: World, *by_other: str, **how: Any) -> int:
    """Make a broadcast to all from two numbers, to some of them from the other one."""
    other = await world.sending_number("+13135550199")
    broadcast = await made(world, *PEOPLE, pool=(other,), **how)
    await world.query(
        "UPDATE outgoing_messages SET pool_index = (recipient_phone_number = ANY(%s))::int", list(by_other)
    )
    return broadcast


async def test_whichever_number_it_leaves_from_a_message_keeps_the_hours_of_its_place(quiet: World) -> None:
    broadcast = await from_two(quiet, DENVER, HONOLULU)
    assert await send(quiet, broadcast) == [LONDON, NEW_YORK, DENVER]
    # Only the other number has something left, and its batch is due in the morning there.
    assert await quiet.column(
        "SELECT pool_index FROM batches WHERE broadcast_id = %s AND closed_at IS NULL", broadcast
    ) == [1]
    assert await due(quiet, broadcast) == detroit("2026-03-04T13:00")
    assert await quiet.state(broadcast) == "sending_first"
    quiet.clock.now = detroit("2026-03-04T13:00")
    assert await send(quiet, broadcast) == [HONOLULU]
    assert await quiet.state(broadcast) == "waiting"


@pytest.mark.parametrize("by_other", [(LONDON,), (NEW_YORK, DENVER), PEOPLE])
async def test_what_comes_too_late_is_skipped_of_each_number(quiet: World, by_other: tuple[str, ...]) -> None:
    broadcast = await from_two(quiet, *by_other, now="2026-03-04T17:00", late=Late.SKIP)
    assert sorted(await send(quiet, broadcast)) == sorted([NEW_YORK, DENVER, HONOLULU])
    assert await reasons(quiet, broadcast) == {**dict.fromkeys(PEOPLE), LONDON: "too_late"}
    assert await quiet.state(broadcast) == "waiting"


async def test_a_cancellation_skips_what_waits_of_each_number_and_place(
    quiet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "CHUNK", 1)
    broadcast = await from_two(quiet, LONDON, DENVER)
    async with database.transaction(quiet.engine) as connection:
        skipped = await messages.skip_unsent(connection, broadcast, SkipReason.CANCELLED, quiet.clock.now)
    assert skipped == 2 * len(PEOPLE)
    assert set((await reasons(quiet, broadcast)).values()) == {"cancelled"}
    assert set((await reasons(quiet, broadcast, is_second=True)).values()) == {"cancelled"}


async def test_who_has_the_day_ahead_is_waited_for_also_where_late_ones_are_skipped(quiet: World) -> None:
    broadcast = await made(quiet, HONOLULU, late=Late.SKIP)
    await quiet.advance(broadcast)
    assert await quiet.states(broadcast) == ["pending"]
    assert await due(quiet, broadcast) == detroit("2026-03-04T13:00")


async def test_florida_s_evening_is_at_eight_unless_that_is_switched_off(quiet: World) -> None:
    broadcast = await made(quiet, FLORIDA, NEW_YORK, now="2026-03-04T20:10")
    assert await send(quiet, broadcast) == [NEW_YORK]
    everywhere = replace(quiet, settings=make_settings(
        quiet.settings.database_url, quiet_hours="21:00-08:00", regional_hours=False))  # fmt: skip
    assert await send(everywhere, broadcast) == [FLORIDA]


async def test_a_message_that_comes_back_does_not_wait_for_the_batch_of_the_morning(quiet: World) -> None:
    broadcast = await made(quiet, NEW_YORK, HONOLULU)
    batch = await quiet.claimed(broadcast, size=1)
    await quiet.advance(broadcast)
    assert await due(quiet, broadcast) <= quiet.clock.now
    await quiet.query("UPDATE batches SET due_at = %s WHERE id <> %s", detroit("2026-03-04T13:00"), batch.id)
    await quiet.close(batch)
    await quiet.advance(broadcast)
    assert await due(quiet, broadcast) == quiet.clock.now


async def test_a_phase_that_waits_for_the_morning_reads_nothing_of_where_it_is_night(quiet: World) -> None:
    broadcast = await made(quiet, *PEOPLE)
    async with database.transaction(quiet.engine) as connection:
        found = await places.outlooks(
            connection, broadcast, quiet.settings.rules, quiet.clock.now,
            is_second=False, made_at=quiet.clock.now, late=Late.WAIT,
        )  # fmt: skip
    assert [parse(place).zones[-1] for place in found.open] == ["Europe/London", "America/New_York", "America/Denver"]
    assert found.opens_at == quiet.clock.now + timedelta(hours=3)
