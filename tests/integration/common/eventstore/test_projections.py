"""The tables that staff see, dropped and rebuilt from events to the same rows (invariant 6)."""

from datetime import timedelta

import psycopg
import pytest

from libs.common import database
from libs.common.broadcasts import making, messages, replies, repository
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers import statuses
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.domain import events as e
from libs.common.domain.broadcast import EDITABLE, successor
from libs.common.domain.states import SkipReason
from libs.common.eventstore import projections, store
from libs.common.operations import rebuild
from services.planner.advance import advance
from tests.support.world import NOW, World


async def rows(world: World) -> dict[str, list[str]]:
    return {table: await world.column(f"SELECT t::text FROM {table} t ORDER BY 1") for table in rebuild.TABLES}


async def differences(world: World) -> dict[str, list[str]]:
    """Rebuild, and give the rows that are there only before or only after."""
    before = await rows(world)
    async with database.transaction(world.engine) as connection:
        await rebuild.rebuild(connection)
    after = await rows(world)
    return {table: sorted({*before[table]} ^ {*after[table]}) for table in before if before[table] != after[table]}


async def eventful(world: World) -> int:
    """Live through a broadcast in which everything happens that can; return its id."""
    a = await world.segment("a")
    await world.contacts(12, "a")
    broadcast = await world.scheduled((a, 100), recurring=True, second_delay=30)
    loaded = await world.load(broadcast)
    edited = {name: getattr(loaded, name) for name in EDITABLE} | {"first_message": "Hello, it's us: \\ $$ %s 🎉"}
    await world.apply(broadcast, e.BroadcastEdited(broadcast_id=broadcast, **edited))
    await world.make(broadcast)
    world.clock.forward(seconds=5.123456)
    batch = await world.claimed(broadcast, size=8)
    outcomes: list[Outcome] = [
        Accepted(missive_id="M1", missive_conversation_id="C1", twilio_id="S1", twilio_status="queued"),
        Accepted(missive_id="M2"),
        Refused(code="21211", reason="not valid"),
        Refused(code="21610", reason="opted out"),
        Deferred(code="http_408", reason="again", retry_after=3),
        Deferred(code="http_429", reason="too fast", retry_after=3),
        Unknown(reason="timeout"),
    ]
    first = await world.start(batch, count=7)
    for started, outcome in zip(first, outcomes, strict=True):
        world.clock.forward(milliseconds=13)
        await world.answer(started, outcome)
    await world.pause(broadcast)
    await world.close(batch, started=7)
    await world.resume(broadcast)
    world.clock.forward(seconds=10)
    lost = await world.claimed(broadcast, size=2)
    [died] = await world.start(lost, count=1)
    async with database.transaction(world.engine) as connection:
        later = world.clock.forward(minutes=5)
        await messages.give_up_waiting(connection, later, later)
        settled = e.MessageAccepted(
            broadcast_id=broadcast, message_id=died.attempt.message_id, missive_id=None, missive_conversation_id=None,
            twilio_id="S9", twilio_status="sent", settled=True,
        )  # fmt: skip
        await repository.append_events(connection, store.stream(broadcast, "messages"), [settled], later)
        back = e.MessageReturned(
            broadcast_id=broadcast,
            message_id=first[6].attempt.message_id,
            code="no_answer",
            not_before=later,
            counts=True,
        )
        await repository.append_events(connection, store.stream(broadcast, "messages"), [back], later)
    taken = await world.take(lost.id, redelivered=True)
    assert taken is not None
    await world.close(taken)
    await world.send(broadcast)
    async with database.transaction(world.engine) as connection:
        for n, (started, body) in enumerate([(first[0], "yes"), (first[1], "STOP")]):
            inbound = Inbound(
                provider_id=f"R{n}", phone_number=started.attempt.to, body=body, received_at=world.clock.now
            )
            await replies.receive(connection, inbound, world.clock.now)
    assert await world.advance(broadcast) == "waiting"
    world.clock.forward(seconds=31)
    assert await world.advance(broadcast) == "sending_second"
    for batch_id in await world.opens(broadcast):
        batch_taken = await world.take(batch_id)
        assert batch_taken is not None
        await world.close(batch_taken)
    await world.send(broadcast, is_second=True)
    assert await world.advance(broadcast) == "syncing"
    return broadcast


async def finish(world: World, broadcast_id: int) -> None:
    world.clock.forward(minutes=1)
    ids = await world.column("SELECT outgoing_message_id FROM broadcast_sent_message_status WHERE outcome = 'accepted'")
    pages = [("delivered", None), ("undelivered", 30003), ("sent", None)]
    for n, id_ in enumerate(ids):
        status, code = pages[n % 3]
        told = e.MessageStatus(
            message_id=id_, twilio_id=f"T{id_}", status=status, error_code=code, sent_at=world.clock.now
        )
        event = e.StatusesSynced(
            broadcast_id=broadcast_id, statuses=(told,), number=n, next_page="/next" if n < len(ids) - 1 else None
        )
        async with database.transaction(world.engine) as connection:
            await repository.append_events(connection, store.stream(broadcast_id, "statuses"), [event], world.clock.now)
    await world.query("UPDATE syncs SET due_at = NULL")
    world.clock.forward(seconds=world.settings.sync_deadline)
    async with database.transaction(world.engine) as connection:
        await advance(connection, broadcast_id, world.clock.now, world.settings)
    assert await world.state(broadcast_id) == "completed"


async def test_a_finished_broadcast_is_rebuilt_to_the_same_rows(world: World) -> None:
    broadcast = await eventful(world)
    await finish(world, broadcast)
    states = set(await world.column("SELECT state FROM outgoing_messages"))
    assert states == {"accepted", "refused", "skipped"}
    assert await differences(world) == {}


async def test_a_broadcast_without_a_follow_up_ends_after_its_first_messages_and_is_rebuilt_so(world: World) -> None:
    broadcast = await world.made(3, second_message=None, recurring=True, week=("10:00", *[""] * 6))
    await world.send(broadcast)
    assert await world.advance(broadcast) == "syncing"
    assert await world.planned("StartSecondPhase") == []
    assert (await world.planned("SyncStatuses"))[-1]["deliver_at"] == world.clock.now
    await finish(world, broadcast)
    assert await world.states(broadcast) == ["accepted"] * 3
    assert await world.messages(broadcast, is_second=True) == []
    [completed] = await world.happened("BroadcastCompleted")
    assert (completed["ledger"]["planned"], completed["ledger"]["accepted"]) == (3, 3)
    assert await differences(world) == {}


@pytest.mark.parametrize("end", ["finished", "paused", "cancelled"])
async def test_the_row_of_a_broadcast_is_its_folded_state(world: World, end: str) -> None:
    broadcast = await eventful(world) if end == "finished" else await world.made(3)
    match end:
        case "finished":
            await finish(world, broadcast)
        case "paused":
            await world.pause(broadcast)
        case _:
            await world.cancel(broadcast)
    [row] = await world.query("SELECT * FROM broadcasts WHERE id = %s", broadcast)
    del row["twilio_paging"]
    state = await world.load(broadcast)
    assert row == {column: getattr(state, column) for column in row} | {
        "week": list(state.week),
        "pool": list(state.pool),
    }


async def test_a_broadcast_in_the_middle_of_things_is_rebuilt_to_the_same_rows(world: World) -> None:
    await eventful(world)
    other = await world.scheduled(await world.segment("a"), second_delay=60)
    await world.make(other)
    batch = await world.claimed(other, size=5)
    started = await world.start(batch, count=3)
    await world.answer(started[0], Unknown(reason="timeout"))
    await world.answer(started[1], Deferred(code="http_408", reason="again", retry_after=9))
    states = set(await world.states(other))
    assert states == {"pending", "claimed", "started", "uncertain"}
    await world.pause(other)
    assert await differences(world) == {}


@pytest.mark.parametrize("end", ["cancelled", "missed", "missed and sent after all", "cancelled before it was made"])
async def test_a_broadcast_that_ended_otherwise_is_rebuilt_to_the_same_rows(world: World, end: str) -> None:
    await world.contacts(3, "a")
    broadcast = await world.scheduled(await world.segment("a"), recurring=True)
    match end:
        case "cancelled":
            await world.make(broadcast)
            await world.send(broadcast, size=1)
            await world.cancel(broadcast)
            await world.advance(broadcast)
        case "cancelled before it was made":
            await world.cancel(broadcast)
        case _:
            world.clock.forward(days=1)
            assert await world.advance(broadcast) == "missed"
            if end == "missed and sent after all":
                await world.make(broadcast)
    assert await differences(world) == {}


async def test_an_acceptance_after_the_message_was_given_back_is_rebuilt_to_the_same_rows(world: World) -> None:
    broadcast = await world.made(2)
    one, other = await world.start(await world.claimed(broadcast))
    async with database.transaction(world.engine) as connection:
        for started in (one, other):
            back = e.MessageReturned(
                broadcast_id=broadcast,
                message_id=started.attempt.message_id,
                code="no_answer",
                not_before=NOW,
                counts=True,
            )
            await repository.append_events(connection, store.stream(broadcast, "messages"), [back], NOW)
        await messages.skip(connection, broadcast, [other.attempt.message_id], SkipReason.PHASE_OVER, NOW)
    for started in (one, other):
        await world.answer(started, Accepted(missive_id=f"M{started.attempt.message_id}"))
    assert await world.states(broadcast) == ["accepted", "accepted"]
    assert await differences(world) == {}


async def test_what_was_rebuilt_goes_on_as_if_nothing_had_been(world: World) -> None:
    broadcast = await world.made(4)
    await world.send(broadcast, size=2)
    async with database.transaction(world.engine) as connection:
        await rebuild.rebuild(connection)
    assert len(await world.send(broadcast)) == 2
    assert await world.advance(broadcast) == "waiting"


async def erase(world: World, broadcast_id: int) -> None:
    """Erase everybody who got a broadcast, as far as the contact's row goes."""
    await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id IN"
                      " (SELECT contact_id FROM outgoing_messages WHERE broadcast_id = %s)", broadcast_id)  # fmt: skip


async def test_who_was_erased_is_rebuilt_to_the_same_rows_with_the_numbers_that_are_still_needed(world: World) -> None:
    """A message that is to be settled is looked up by its number, and that stands nowhere else."""
    broadcast = await world.made(4)
    started = await world.start(await world.claimed(broadcast, size=3))
    await world.answer(started[0], Unknown(reason="timeout"))
    await world.answer(started[1], Accepted(missive_id="M1"))
    await world.answer(started[2], Deferred(code="http_429", reason="too fast", retry_after=3))
    await erase(world, broadcast)
    await world.query("UPDATE outgoing_messages SET recipient_phone_number = NULL WHERE state = 'accepted'")
    assert await differences(world) == {}
    numbers = [row["recipient_phone_number"] for row in await world.messages(broadcast)]
    assert numbers == [started[0].attempt.to, None, started[2].attempt.to, numbers[3]]
    assert "erased" not in str(numbers)


async def test_a_rebuild_reads_history_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 7."""
    monkeypatch.setattr(rebuild, "PAGE_SIZE", 3)
    await eventful(world)
    assert await differences(world) == {}


async def test_a_rebuild_that_fails_changes_nothing(world: World) -> None:
    await world.made(2)
    await world.query("ALTER TABLE events DISABLE TRIGGER events_are_history")
    await world.query("UPDATE events SET type = 'Nonsense' WHERE position = (SELECT max(position) FROM events)")
    await world.query("ALTER TABLE events ENABLE TRIGGER events_are_history")
    before = await rows(world)
    with pytest.raises(Exception, match="unknown type"):
        async with database.transaction(world.engine) as connection:
            await rebuild.rebuild(connection)
    assert await rows(world) == before


def test_every_event_has_its_place_in_the_tables_or_says_that_it_has_none() -> None:
    assert set(projections.STATEMENTS) == set(e.EVENTS)


@pytest.mark.parametrize(
    "illegal",
    [
        (
            "INSERT INTO outgoing_messages"
            " (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)"
            " SELECT 999, broadcast_id, contact_id, segment_id, is_second, '+13130000000'"
            " FROM outgoing_messages LIMIT 1"
        ),
        (
            "INSERT INTO outgoing_messages"
            " (id, broadcast_id, contact_id, segment_id, is_second, recipient_phone_number)"
            " SELECT 999, m.broadcast_id, c.id, m.segment_id, false, m.recipient_phone_number"
            " FROM outgoing_messages m JOIN contacts c ON c.tags = '{other}' LIMIT 1"
        ),
        "UPDATE outgoing_messages SET state = 'claimed'",
        "UPDATE outgoing_messages SET state = 'accepted'",
        "UPDATE outgoing_messages SET state = 'skipped'",
        "UPDATE outgoing_messages SET recipient_phone_number = NULL",
        "UPDATE broadcasts SET state = 'paused'",
        "UPDATE broadcasts SET state = 'waiting'",
        "UPDATE broadcasts SET second_message = ''",
        "UPDATE broadcasts SET recurring = true, week = '{10:00}'",
        'UPDATE broadcasts SET recurring = true, week = \'{"","","","","","",""}\'',
        'UPDATE broadcasts SET recurring = false, week = \'{10:00,"","","","","",""}\'',
        "UPDATE broadcasts SET second_message = NULL, second_due_at = now()",
    ],
)
async def test_a_row_that_makes_no_sense_cannot_be_stored(world: World, illegal: str) -> None:
    """Invariant 1: nobody is planned the same message twice, whatever the code does."""
    await world.made(1)
    await world.contacts(1, "other")
    with pytest.raises(psycopg.errors.IntegrityError):
        await world.query(illegal)


async def test_an_entry_of_the_log_settles_one_message_at_most(world: World) -> None:
    """Fault 29."""
    await world.send(await world.made(2))
    with pytest.raises(psycopg.errors.UniqueViolation):
        await world.query("UPDATE broadcast_sent_message_status SET twilio_id = 'SM1'")


async def test_one_broadcast_makes_one_next(world: World) -> None:
    """Fault 8: the next broadcast was created twice."""
    await world.contacts(1, "a")
    broadcast = await world.scheduled(await world.segment("a"), recurring=True)
    await world.make(broadcast)
    another = successor(await world.load(broadcast), broadcast_id=99, run_at=NOW + timedelta(days=1))
    async with database.transaction(world.engine) as connection:
        with pytest.raises(database.NotUnique):
            await making.create(connection, another, NOW)


@pytest.mark.parametrize("status", [*statuses.RANKS, "teleported"])
async def test_a_message_is_settled_once_its_status_gives_way_to_no_other_fate(world: World, status: str) -> None:
    await world.send(await world.made(1))
    await world.query("UPDATE broadcast_sent_message_status SET twilio_sent_status = %s", status)
    settled = await world.value("SELECT settled FROM broadcast_sent_message_status")
    assert settled is not statuses.advances(status, "delivered")
