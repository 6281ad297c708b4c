"""Numbers that take no texts: no follow-up, and nothing more after the second time."""

from datetime import datetime, timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import audience, delivery_status, replies, segment_sql, unreachable
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.outcomes import Refused
from libs.common.domain import events as e
from libs.common.domain import segments
from libs.common.operations import rebuild, retention
from tests.support.world import World

DEAD = [30004, 30005, 30006, 21211, 21614]


async def told(world: World, message: int, status: str, code: int | None = None) -> None:
    """Record what the log says of a message."""
    broadcast = await world.value("SELECT broadcast_id FROM outgoing_messages WHERE id = %s", message)
    status_ = e.MessageStatus(
        message_id=message, twilio_id=f"SM{message}", status=status, error_code=code, sent_at=None
    )
    event = e.StatusesSynced(broadcast_id=broadcast, statuses=(status_,), number=None)
    async with database.transaction(world.engine) as connection:
        await delivery_status.record(connection, event, world.clock.now)


async def once_more(world: World, contact: int) -> int:
    """Send somebody the first message of another broadcast, an hour later; return the message."""
    world.clock.forward(hours=1)
    tag = f"only {contact}"
    await world.query("UPDATE contacts SET tags = %s WHERE id = %s", [tag], contact)
    broadcast = await world.scheduled(await world.segment(tag))
    await world.make(broadcast)
    [started] = await world.send(broadcast)
    return started.attempt.message_id


async def failed(world: World, contact: int, code: int = 30005) -> int:
    message = await once_more(world, contact)
    await told(world, message, "undelivered", code)
    return message


async def reply(world: World, contact: int, *, at: datetime | None = None, sid: str = "SMreply") -> None:
    inbound = Inbound(
        provider_id=sid, phone_number=await world.number_of(contact), body="hi", received_at=at or world.clock.now
    )
    async with database.transaction(world.engine) as connection:
        await replies.receive(connection, inbound, world.clock.now)


async def members(world: World) -> int:
    async with database.transaction(world.engine) as connection:
        return await audience.count(connection, segment_sql.condition(segments.EVERYBODY, world.clock.now))


async def reachable(world: World, contact: int, by: str = "Ann") -> bool:
    async with database.transaction(world.engine) as connection:
        return await unreachable.clear(connection, contact, by, world.clock.now)


@pytest.mark.parametrize("code", DEAD)
async def test_a_follow_up_to_a_number_that_takes_no_messages_is_skipped_for_that_reason(
    world: World, code: int
) -> None:
    broadcast = await world.made(2)
    dead, other = await world.send(broadcast)
    await told(world, dead.attempt.message_id, "undelivered", code)
    assert [row["skip_reason"] for row in await world.messages(broadcast, is_second=True)] == [
        "number_unreachable",
        None,
    ]
    assert other.attempt.message_id != dead.attempt.message_id


@pytest.mark.parametrize("code", ["21211", "21614"])
async def test_a_number_that_the_carrier_refuses_as_dead_gets_no_follow_up_for_that_reason(
    world: World, code: str
) -> None:
    broadcast = await world.made(1, second_delay=0)
    [started] = await world.start(await world.claimed(broadcast))
    await world.answer(started, Refused(code=code, reason=""))
    await world.query("UPDATE batches SET closed_at = now()")
    await world.advance(broadcast)
    assert [row["skip_reason"] for row in await world.messages(broadcast, is_second=True)] == ["number_unreachable"]


async def test_news_that_comes_while_a_batch_holds_the_follow_up_still_stops_it(world: World) -> None:
    broadcast = await world.made(1, second_delay=0)
    [first] = await world.send(broadcast)
    await world.advance(broadcast)
    batch = await world.take((await world.opens(broadcast))[0])
    assert batch is not None
    await world.claim(batch)
    assert await world.states(broadcast, is_second=True) == ["claimed"]
    await told(world, first.attempt.message_id, "undelivered", 30005)
    assert await world.start(batch) == []
    assert [row["skip_reason"] for row in await world.messages(broadcast, is_second=True)] == ["number_unreachable"]


async def test_a_phone_that_is_off_gets_its_follow_up(world: World) -> None:
    broadcast = await world.made(1)
    [first] = await world.send(broadcast)
    await told(world, first.attempt.message_id, "undelivered", 30003)
    assert await world.states(broadcast, is_second=True) == ["pending"]


async def test_a_number_that_failed_in_two_broadcasts_in_a_row_is_drawn_no_more(world: World) -> None:
    dead, _ = await world.contacts(2)
    await failed(world, dead)
    assert await members(world) == 2
    await failed(world, dead, 30006)
    assert await members(world) == 1
    assert await world.happened("NumberUnreachable") == [{"contact_id": dead, "code": "30006", "broadcast_id": 2}]


async def test_two_messages_of_one_broadcast_count_once(world: World) -> None:
    """A phone company's bad hour is no dead number."""
    [contact] = await world.contacts(1, "all")
    broadcast = await world.scheduled(await world.segment("all"), second_delay=0)
    await world.make(broadcast)
    [first] = await world.send(broadcast)
    await world.advance(broadcast)
    batch = await world.take((await world.opens(broadcast))[0])
    assert batch is not None
    await world.claim(batch)
    [second] = await world.start(batch)
    for message in (first, second):
        await told(world, message.attempt.message_id, "undelivered", 30005)
    assert (await members(world), contact) == (1, 1)


async def test_a_refusal_and_a_failed_delivery_count_alike(world: World) -> None:
    [dead] = await world.contacts(1, "all")
    await failed(world, dead)
    world.clock.forward(hours=1)
    await world.query("UPDATE contacts SET tags = '{all}'")
    broadcast = await world.scheduled(await world.segment("all"))
    await world.make(broadcast)
    [started] = await world.start(await world.claimed(broadcast))
    await world.answer(started, Refused(code="21211", reason=""))
    assert await members(world) == 0


async def test_a_message_that_arrives_in_between_ends_the_row_in_whatever_order_news_comes(world: World) -> None:
    [contact] = await world.contacts(1)
    messages = [await once_more(world, contact) for _ in range(3)]
    await told(world, messages[0], "undelivered", 30005)
    await told(world, messages[2], "undelivered", 30005)
    assert await members(world) == 0
    await told(world, messages[1], "delivered")
    assert await members(world) == 1
    assert await world.happened("NumberReachable") == [{"contact_id": contact, "because": "delivered"}]
    await failed(world, contact)
    assert await members(world) == 0


async def test_a_message_that_arrived_is_not_undone_by_older_news(world: World) -> None:
    [contact] = await world.contacts(1)
    messages = [await once_more(world, contact) for _ in range(3)]
    await told(world, messages[2], "delivered")
    for message in messages[:2]:
        await told(world, message, "undelivered", 30005)
    assert await members(world) == 1


async def test_a_reply_brings_a_number_back(world: World) -> None:
    [contact] = await world.contacts(1)
    await failed(world, contact)
    await failed(world, contact)
    world.clock.forward(minutes=1)
    await reply(world, contact)
    assert await members(world) == 1
    assert await world.happened("NumberReachable") == [{"contact_id": contact, "because": "replied"}]
    await failed(world, contact)
    assert await members(world) == 1
    await failed(world, contact)
    assert await members(world) == 0


async def test_a_reply_in_between_ends_the_row(world: World) -> None:
    [contact] = await world.contacts(1)
    await failed(world, contact)
    world.clock.forward(minutes=1)
    await reply(world, contact)
    await failed(world, contact)
    assert await members(world) == 1


async def test_a_reply_from_before_the_failures_that_is_told_late_brings_nobody_back(world: World) -> None:
    [contact] = await world.contacts(1)
    before = world.clock.now
    await failed(world, contact)
    await failed(world, contact)
    await reply(world, contact, at=before)
    assert await members(world) == 0


async def test_staff_bring_a_number_back_by_name_and_its_old_failures_count_no_more(world: World) -> None:
    [contact] = await world.contacts(1)
    assert not await reachable(world, contact)
    await failed(world, contact)
    last = await failed(world, contact)
    world.clock.forward(minutes=1)
    assert await reachable(world, contact)
    assert not await reachable(world, contact)
    assert await world.query("SELECT cleared_because, cleared_by FROM unreachable_numbers") == [
        {"cleared_because": "staff", "cleared_by": "Ann"}
    ]
    assert await world.happened("NumberReachable") == [{"contact_id": contact, "because": "staff"}]
    await told(world, last, "failed", 30005)
    assert await members(world) == 1
    await failed(world, contact)
    assert await members(world) == 1
    await failed(world, contact)
    assert await members(world) == 0


async def test_a_number_that_is_left_out_already_is_recorded_once(world: World) -> None:
    [contact] = await world.contacts(1)
    messages = [await once_more(world, contact) for _ in range(3)]
    for message in messages:
        await told(world, message, "undelivered", 30005)
    assert len(await world.happened("NumberUnreachable")) == 1


async def test_a_rebuild_comes_to_the_same_rows(world: World) -> None:
    [contact] = await world.contacts(1)
    await failed(world, contact)
    await failed(world, contact)
    before = await world.dump()
    async with database.transaction(world.engine) as connection:
        await rebuild.rebuild(connection)
    assert await world.dump() == before


async def test_pruning_keeps_who_is_left_out_and_forgets_who_is_not(world: World) -> None:
    one, two = await world.contacts(2)
    for contact in (one, two):
        await failed(world, contact)
        await failed(world, contact)
    await reachable(world, two)
    await retention.prune(world.engine, world.clock.now + timedelta(days=1), world.clock.now)
    assert await world.column("SELECT contact_id FROM unreachable_numbers") == [one]
