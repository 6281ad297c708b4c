"""The draw, and what making does besides."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import sqrt

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import drawing, making, repository, selection
from libs.common.errors import Conflict, EmptyDraw, NoSegments, NothingScheduled
from tests.support.world import FIRST, NOW, SECOND, World


async def people(world: World, broadcast_id: int, *, is_second: bool = False) -> list[int]:
    return [row["contact_id"] for row in await world.messages(broadcast_id, is_second=is_second)]


async def make_nearest(world: World) -> making.Made:
    async with database.transaction(world.engine) as connection:
        return await making.make_nearest(connection, world.schedule, world.clock.now)


async def test_first_and_second_message_go_to_the_same_people(world: World) -> None:
    """Fault 2: first and second message were drawn separately."""
    await world.contacts(30, "all")
    broadcast = await world.scheduled(await world.segment("all"), max_recipients=10)
    await world.make(broadcast)
    first = await people(world, broadcast)
    assert len(set(first)) == 10
    assert sorted(first) == sorted(await people(world, broadcast, is_second=True))


async def test_who_is_in_two_segments_is_drawn_once_and_the_shortfall_is_made_up(world: World) -> None:
    """Fault 3: people in two segments got both, or left the later segment short of its share."""
    await world.contacts(10, "a", "b")
    await world.contacts(10, "a")
    a, b = await world.segment("a"), await world.segment("b")
    broadcast = await world.scheduled((a, 50), (b, 50), max_recipients=20)
    assert (await world.make(broadcast)).recipients == 20
    assert len(set(await people(world, broadcast))) == 20
    assert [(item["segment_id"], item["quota"], item["drawn"])
            for item in (await world.happened("BroadcastMade"))[0]["draws"]] == [(a, 10, 10), (b, 10, 10)]  # fmt: skip


async def test_a_shortfall_that_remains_is_on_record(world: World) -> None:
    """Fault 3."""
    await world.contacts(3, "a")
    await world.contacts(20, "b")
    a, b = await world.segment("a"), await world.segment("b")
    broadcast = await world.scheduled((a, 50), (b, 50), max_recipients=20)
    await world.make(broadcast)
    rows = await world.query("SELECT segment_id, quota, drawn FROM broadcasts_segments ORDER BY position")
    assert [tuple(row.values()) for row in rows] == [(a, 10, 3), (b, 10, 10)]


@pytest.mark.parametrize("order", ["scarce first", "scarce last"])
async def test_the_segment_with_the_fewest_to_spare_draws_first(world: World, order: str) -> None:
    """Fault 3: whichever way staff listed them."""
    await world.contacts(5, "few", "many")
    await world.contacts(20, "many")
    few, many = await world.segment("few"), await world.segment("many")
    both = [(few, 20.0), (many, 80.0)] if order == "scarce first" else [(many, 80.0), (few, 20.0)]
    await world.make(await world.scheduled(*both, max_recipients=25))
    assert await world.value("SELECT sum(drawn) FROM broadcasts_segments") == 25


async def test_ratios_are_percents_of_the_most_recipients(world: World) -> None:
    await world.contacts(100, "a")
    await world.contacts(100, "b")
    a, b = await world.segment("a"), await world.segment("b")
    await world.make(await world.scheduled((a, 70), (b, 20), max_recipients=50))
    assert await world.column("SELECT drawn FROM broadcasts_segments ORDER BY position") == [35, 10]


async def test_opted_out_and_erased_people_are_never_drawn(world: World) -> None:
    """Fault 4: unsubscribed people were excluded only if the segment's author thought of it."""
    ids = await world.contacts(4, "all")
    number = await world.number_of(ids[0])
    await world.query("INSERT INTO opt_outs VALUES (%s, %s, 'staff', now(), NULL, 'user:1')", number, ids[0])
    await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id = %s", ids[1])
    broadcast = await world.scheduled(await world.segment("all"))
    await world.make(broadcast)
    assert sorted(await people(world, broadcast)) == ids[2:]


async def test_an_opted_out_person_does_not_count_towards_the_quota(world: World) -> None:
    """Fault 7: excluded people at send time left the broadcast short."""
    ids = await world.contacts(20, "all")
    for contact in ids[:10]:
        await world.query(
            "INSERT INTO opt_outs SELECT phone_number, id, 'sms', now(), NULL, 'user:1' FROM contacts WHERE id = %s",
            contact,
        )
    broadcast = await world.scheduled(await world.segment("all"), max_recipients=10)
    assert (await world.make(broadcast)).recipients == 10


async def test_a_filter_says_who_is_drawn(world: World) -> None:
    await world.contacts(1, "a")
    [wanted] = await world.contacts(1, "a", "x")
    await world.contacts(1, "a", "x", "no")
    await world.contacts(1, "x")
    broadcast = await world.scheduled(await world.segment(rule={"all": [{"any": ["a", "b"]}, "x", {"not": "no"}]}))
    await world.make(broadcast)
    assert await people(world, broadcast) == [wanted]


async def draw(world: World, broadcast_id: int, seed: int) -> list[int]:
    """Draw with a seed, look, and take it back."""
    async with database.transaction(world.engine) as connection:
        broadcast = await repository.load(connection, broadcast_id)
        await drawing.draw(connection, broadcast, selection.of(broadcast, None), seed, NOW)
        cursor = await connection.execute(
            text("SELECT contact_id FROM outgoing_messages WHERE NOT is_second ORDER BY id")
        )
        drawn = [row["contact_id"] for row in cursor.mappings().all()]
        await connection.rollback()
    return drawn


async def test_the_same_seed_draws_the_same_people_in_the_same_order(world: World) -> None:
    await world.contacts(50, "all")
    broadcast = await world.scheduled(await world.segment("all"), max_recipients=10)
    assert await draw(world, broadcast, 7) == await draw(world, broadcast, 7)
    assert await draw(world, broadcast, 7) != await draw(world, broadcast, 8)


async def test_the_seed_on_record_explains_the_draw(world: World) -> None:
    await world.contacts(50, "all")
    segment = await world.segment("all")
    broadcast = await world.scheduled(segment, max_recipients=10)
    await world.make(broadcast)
    drawn = await people(world, broadcast)
    seed = (await world.happened("BroadcastMade"))[0]["seed"]
    await world.query("DELETE FROM outgoing_messages")
    await world.query("DELETE FROM streams WHERE stream LIKE '%%recipients%%'")
    await world.query("ALTER TABLE events DISABLE TRIGGER events_are_history")
    await world.query("DELETE FROM events WHERE type = 'RecipientsDrawn'")
    await world.query("ALTER TABLE events ENABLE TRIGGER events_are_history")
    assert await draw(world, broadcast, seed) == drawn


async def test_over_many_seeds_every_contact_is_drawn_about_equally_often(world: World) -> None:
    """Fault 1: the draw was biased, the same lowest numbers every time."""
    ids = await world.contacts(40, "all")
    broadcast = await world.scheduled(await world.segment("all"), max_recipients=10)
    draws = 200
    often = Counter([contact for seed in range(draws) for contact in await draw(world, broadcast, seed)])
    expected = draws / 4
    deviation = sqrt(draws * 0.25 * 0.75)
    assert all(abs(often[contact] - expected) < 5 * deviation for contact in ids)
    # Lower ids are not drawn more often than higher ones.
    lower = sum(often[contact] for contact in ids[:20])
    assert abs(lower - draws * 5) < 5 * sqrt(20) * deviation


@pytest.mark.parametrize(
    ("run_at", "following"),
    [
        ("2026-03-04T15:00:00Z", "2026-03-05T15:00:00Z"),  # Wednesday to Thursday
        ("2026-03-06T15:00:00Z", "2026-03-09T14:00:00Z"),  # Friday to Monday, over the change to summer time
        ("2026-11-25T15:00:00Z", "2026-11-30T15:00:00Z"),  # over Thanksgiving and the day after it
    ],
)
async def test_the_next_broadcast_is_scheduled_with_the_same_words_segments_and_settings(
    world: World, run_at: str, following: str
) -> None:
    """Faults 9, 10: the next broadcast was created without its segments; no holidays, no time zone."""
    world.clock.now = datetime.fromisoformat(run_at)
    await world.contacts(3, "a")
    a, b = await world.segment("a"), await world.segment("b")
    broadcast = await world.scheduled((a, 60), (b, 30), recurring=True, second_delay=42, max_recipients=7)
    made = await world.make(broadcast)
    assert made.broadcast.next_broadcast_id is not None
    assert made.next_run_at == datetime.fromisoformat(following)
    one, other = await world.load(broadcast), await world.load(made.broadcast.next_broadcast_id)
    for name in ("first_message", "second_message", "second_delay", "segments", "max_recipients",
                 "sending_number_id", "recurring"):  # fmt: skip
        assert getattr(other, name) == getattr(one, name)
    planned = {row["broadcast_id"]: row["deliver_at"] for row in await world.planned("MakeBroadcast")}
    assert planned == {made.broadcast.next_broadcast_id: made.next_run_at}
    rows = await world.query(
        "SELECT segment_id, ratio FROM broadcasts_segments WHERE broadcast_id = %s ORDER BY position",
        made.broadcast.next_broadcast_id,
    )
    assert [tuple(row.values()) for row in rows] == [(a, 60), (b, 30)]


async def test_the_next_broadcast_of_a_week_goes_out_at_the_time_of_its_weekday(world: World) -> None:
    await world.contacts(1, "a")
    week = ("10:00", "10:00", "10:00", "", "14:00", "", "")
    broadcast = await world.scheduled(await world.segment("a"), recurring=True, week=week)  # a Wednesday
    made = await world.make(broadcast)
    assert made.next_run_at == datetime.fromisoformat("2026-03-06T14:00:00-05:00")
    assert (await world.load(made.broadcast.next_broadcast_id or 0)).week == week
    assert await world.column("SELECT week FROM broadcasts") == [list(week)] * 2


async def test_two_who_make_at_once_make_one_broadcast_and_one_next(world: World) -> None:
    """Fault 8: two callers of make both ran, and the next broadcast was created outside the transaction."""
    await world.contacts(3, "all")
    await world.scheduled(await world.segment("all"), recurring=True)
    results = await asyncio.gather(*(make_nearest(world) for _ in range(6)), return_exceptions=True)
    assert Counter(type(result) for result in results) == {making.Made: 1, NothingScheduled: 5}
    assert await world.value("SELECT count(*) FROM broadcasts") == 2
    assert await world.value("SELECT count(*) FROM outgoing_messages") == 6


async def test_of_two_who_make_at_once_none_takes_the_days_other_broadcast(world: World) -> None:
    """Fault 8: two callers of make both ran."""
    await world.contacts(3, "all")
    segment = await world.segment("all")
    for hours in (1, 5):
        await world.scheduled(segment, run_at=NOW + timedelta(hours=hours))
    async with database.transaction(world.engine) as connection:
        await making.make_nearest(connection, world.schedule, world.clock.now)
        with pytest.raises(NothingScheduled):
            await make_nearest(world)
    assert await world.value("SELECT count(*) FROM broadcasts WHERE state = 'sending_first'") == 1


async def test_the_nearest_of_todays_broadcasts_is_made(world: World) -> None:
    await world.contacts(1, "all")
    segment = await world.segment("all")
    await world.scheduled(segment, run_at=NOW + timedelta(hours=5))
    near = await world.scheduled(segment, run_at=NOW - timedelta(hours=1))
    await world.scheduled(segment, run_at=NOW + timedelta(days=1))
    assert (await make_nearest(world)).broadcast.id == near


async def test_today_is_the_organisations_today(world: World) -> None:
    """Fault 10: UTC and local dates were mixed."""
    await world.contacts(1, "all")
    segment = await world.segment("all")
    world.clock.now = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)  # 22:00 of the 4th in Detroit
    await world.scheduled(segment, run_at=datetime(2026, 3, 5, 15, 0, tzinfo=UTC))
    with pytest.raises(NothingScheduled):
        await make_nearest(world)
    here = await world.scheduled(segment, run_at=datetime(2026, 3, 4, 15, 0, tzinfo=UTC))
    assert (await make_nearest(world)).broadcast.id == here


@pytest.mark.parametrize("why", [NothingScheduled, NoSegments, EmptyDraw, Conflict])
async def test_what_cannot_be_made_changes_nothing(world: World, why: type[Exception]) -> None:
    [contact] = await world.contacts(1, "all")
    segment = await world.segment("all")
    broadcast = None
    match why.__name__:
        case "NothingScheduled":
            await world.scheduled(segment, run_at=NOW + timedelta(days=1))
        case "NoSegments":
            await world.scheduled()
        case "EmptyDraw":
            await world.scheduled(segment, recurring=True)
            await world.query(
                "INSERT INTO opt_outs SELECT phone_number, id, 'sms', now(), NULL, 'user:1' FROM contacts"
                " WHERE id = %s",
                contact,
            )
        case _:
            broadcast = await world.scheduled(segment)
            await world.make(broadcast)
    before = await world.dump()
    with pytest.raises(why):
        await (world.make(broadcast) if broadcast else make_nearest(world))
    assert await world.dump() == before


async def test_words_arrive_in_the_table_as_they_were_written(world: World) -> None:
    """Fault 21: quotes, `$$`, backslashes broke the SQL they were pasted into."""
    words = "It's \"x\" $$ $1 \\ \\n %s %(a)s {} {0} 'q' -- ; DROP TABLE x; ¿Qué? 🎉👩‍👩‍👧\r\n\tend "
    broadcast = await world.made(1, first_message=words, second_message=SECOND)
    rows = await world.query("SELECT first_message, second_message FROM broadcasts")
    assert rows == [{"first_message": words, "second_message": SECOND}]
    loaded = await world.load(broadcast)
    assert (loaded.first_message, loaded.second_message) == (words, SECOND)
    batch = await world.take(await world.plan(broadcast))
    assert batch is not None
    assert batch.body == words != FIRST


async def test_a_draw_of_many_is_one_statement_and_its_history_is_in_pieces(world: World) -> None:
    """Invariant 7: memory does not grow with the audience."""
    await world.contacts(20_000, "all")
    broadcast = await world.scheduled(await world.segment("all"), max_recipients=20_000)
    made = await world.make(broadcast)
    assert made.recipients == 20_000
    assert await world.value("SELECT count(DISTINCT contact_id) FROM outgoing_messages") == 20_000
    named = await world.column("SELECT jsonb_array_length(data -> 'contacts') FROM events WHERE type='RecipientsDrawn'")
    assert sum(named) == 20_000
    assert max(named) <= drawing.CHUNK


async def test_a_number_that_is_erased_while_it_is_drawn_is_drawn_or_erased_but_not_both(world: World) -> None:
    ids = await world.contacts(2, "all")
    broadcast = await world.scheduled(await world.segment("all"))
    async with database.transaction(world.engine) as connection:
        await connection.execute(
            text("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id = :p1"), {"p1": ids[0]}
        )
        making_it = asyncio.create_task(world.make(broadcast))
        await world.until_somebody_waits()
    assert (await making_it).recipients == 1
    assert await people(world, broadcast) == [ids[1]]


@pytest.mark.parametrize(("status", "code"), [("sent", None), ("undelivered", "30003"), (None, None)])
async def test_nobody_is_left_out_for_what_became_of_an_earlier_message(
    world: World, status: str | None, code: str | None
) -> None:
    """Fault 31: people were excluded on one failure, or because `sent` counted as not delivered."""
    earlier = await world.made(2)
    await world.send(earlier)
    await world.query(
        "UPDATE broadcast_sent_message_status SET twilio_sent_status = %s, twilio_error_code = %s", status, code
    )
    broadcast = await world.scheduled(await world.segment("tag0"))
    assert (await world.make(broadcast)).recipients == 2
