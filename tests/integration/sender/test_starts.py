"""The statement that starts texts: the last look before one leaves."""

import asyncio
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.outcomes import Accepted, Deferred, Refused
from libs.common.domain.wall_clock import at_wall_clock
from tests.support.world import NOW, World, make_settings

ACCEPTED = Accepted(missive_id="M1")


async def record_opt_out(world: World, message: dict[str, Any]) -> None:
    """Record an opt-out and nothing else, as if the row of the message could not be seen."""
    await world.query(
        "INSERT INTO opt_outs VALUES (%s, %s, 'sms', now(), NULL, 'user:1')",
        message["recipient_phone_number"],
        message["contact_id"],
    )


async def record_reply(world: World, message: dict[str, Any]) -> None:
    """Record a reply and nothing else, as if the row of the message could not be seen."""
    await world.query(
        "INSERT INTO replies (provider_id, contact_id, broadcast_id, body, received_at)"
        " SELECT '1', contact_id, broadcast_id, '', now() FROM outgoing_messages WHERE id = %s",
        message["id"],
    )


@pytest.mark.parametrize("action", ["pause", "cancel"])
async def test_nothing_starts_once_staff_have_stopped_the_broadcast(world: World, action: str) -> None:
    """Fault 33: pause and resume sent again."""
    broadcast = await world.made()
    batch = await world.claimed(broadcast)
    await getattr(world, action)(broadcast)
    assert await world.start(batch) == []


async def test_a_start_that_meets_a_pause_under_way_waits_for_it_and_starts_nothing(world: World) -> None:
    broadcast = await world.made()
    batch = await world.claimed(broadcast)
    async with database.transaction(world.engine) as connection:
        await connection.execute(text("UPDATE broadcasts SET state = 'paused', paused_from = state"))
        starting = asyncio.create_task(world.start(batch))
        await world.until_somebody_waits()
    assert await starting == []


async def test_a_paused_broadcast_goes_on_with_all_that_had_not_started(world: World) -> None:
    """Fault 33: resume skipped those between the highest sent and the lowest unsent."""
    broadcast = await world.made(4)
    batch = await world.claimed(broadcast)
    await world.start(batch, count=2)
    await world.pause(broadcast)
    await world.close(batch, started=2)
    await world.resume(broadcast)
    assert len(await world.start(await world.claimed(broadcast))) == 2


async def test_nothing_of_a_phase_starts_in_the_other(world: World) -> None:
    batch = await world.claimed(await world.made(), is_second=True)
    assert await world.start(batch) == []


@pytest.mark.parametrize(("clock", "started"), [("20:59:49", 3), ("20:59:50", 0), ("20:59:59", 0), ("21:00:00", 0)])
async def test_what_was_claimed_before_the_quiet_hours_does_not_start_in_them(
    world: World, clock: str, started: int
) -> None:
    """Fault 33: texting hours were enforced in UTC."""
    world = replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00"))
    batch = await world.claimed(await world.made())
    world.clock.now = at_wall_clock(NOW.date(), time.fromisoformat(clock), world.settings.zone)
    assert len(await world.start(batch)) == started


async def test_who_has_opted_out_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    """Fault 23: no check of opt-outs between the draw and the message."""
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    messages = await world.messages(broadcast)
    await record_opt_out(world, messages[0])
    assert [item.attempt.message_id for item in await world.start(batch)] == [messages[1]["id"]]


async def erase(world: World, contact: int) -> None:
    """Erase a contact, as far as its own row goes."""
    await world.query("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id = %s", contact)


async def test_who_was_erased_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    broadcast = await world.made(2)
    batch = await world.claimed(broadcast)
    messages = await world.messages(broadcast)
    await erase(world, messages[0]["contact_id"])
    assert [item.attempt.message_id for item in await world.start(batch)] == [messages[1]["id"]]


@pytest.mark.parametrize("is_second", [False, True])
async def test_a_message_that_comes_back_after_its_recipient_was_erased_never_leaves_and_ends_the_phase(
    world: World, is_second: bool
) -> None:
    """An erasure takes out what was not sent; what was under way then may come back with its number."""
    broadcast = await second_phase(world, 1) if is_second else await world.made(1)
    batch = await world.claimed(broadcast, is_second=is_second)
    [started] = await world.start(batch)
    [message] = await world.messages(broadcast, is_second=is_second)
    await erase(world, message["contact_id"])
    await world.answer(started, Deferred(code="http_429", reason="too fast", retry_after=0))
    await world.close(batch, started=1)
    assert await world.states(broadcast, is_second=is_second) == ["pending"]
    again = await world.claimed(broadcast, is_second=is_second)
    assert await world.start(again) == []
    await world.close(again)
    [message] = await world.messages(broadcast, is_second=is_second)
    assert (message["state"], message["skip_reason"]) == ("skipped", "erased")
    for batch_id in await world.opens(broadcast):
        taken = await world.take(batch_id)
        assert taken is not None
        await world.close(taken)
    assert await world.advance(broadcast) == ("syncing" if is_second else "waiting")


async def second_phase(world: World, contacts: int = 2) -> int:
    broadcast = await world.made(contacts, second_delay=0)
    await world.send(broadcast)
    assert await world.advance(broadcast) == "sending_second"
    return broadcast


async def test_who_has_replied_is_not_started_even_where_the_skipping_missed_them(world: World) -> None:
    """Fault 25: a reply that came before did not stop the second message."""
    broadcast = await second_phase(world)
    batch = await world.claimed(broadcast, is_second=True)
    messages = await world.messages(broadcast, is_second=True)
    await record_reply(world, messages[0])
    assert [item.attempt.message_id for item in await world.start(batch)] == [messages[1]["id"]]


async def test_a_claim_leaves_out_who_has_replied_or_opted_out(world: World) -> None:
    """Faults 23, 24."""
    broadcast = await second_phase(world, 3)
    messages = await world.messages(broadcast, is_second=True)
    await record_opt_out(world, messages[0])
    await record_reply(world, messages[1])
    batch = await world.take(await world.plan(broadcast, is_second=True))
    assert batch is not None
    assert await world.claim(batch) == 1
    rows = await world.messages(broadcast, is_second=True)
    assert [(row["state"], row["skip_reason"]) for row in rows] == [
        ("skipped", "opted_out"), ("skipped", "replied"), ("claimed", None)
    ]  # fmt: skip


async def test_who_never_got_the_first_message_gets_no_second(world: World) -> None:
    broadcast = await world.made(1, second_delay=0)
    batch = await world.claimed(broadcast)
    [started] = await world.start(batch)
    await world.answer(started, Refused(code="21408", reason="not there"))
    await world.close(batch, started=1)
    await world.advance(broadcast)
    rows = await world.messages(broadcast, is_second=True)
    assert [(row["state"], row["skip_reason"]) for row in rows] == [("skipped", "first_refused")]


async def test_who_was_passed_over_with_the_first_message_gets_no_second(world: World) -> None:
    """Its answer was lost, its phase went on without it, and only then the log told that it had never left."""
    broadcast = await second_phase(world, 1)
    await world.query(
        "UPDATE outgoing_messages SET state = 'skipped', skip_reason = 'phase_over', claimed_by = NULL"
        " WHERE NOT is_second"
    )
    batch = await world.claimed(broadcast, is_second=True)
    assert await world.start(batch) == []
    [message] = await world.messages(broadcast, is_second=True)
    assert (message["state"], message["skip_reason"]) == ("skipped", "phase_over")


async def test_a_reply_while_the_second_message_is_claimed_stops_it(world: World) -> None:
    """Fault 25: replies that come during the second phase still stop the message if it was not sent."""
    broadcast = await second_phase(world, 1)
    batch = await world.claimed(broadcast, is_second=True)
    [message] = await world.messages(broadcast, is_second=True)
    async with database.transaction(world.engine) as connection:
        reply = Inbound(
            provider_id="1", phone_number=message["recipient_phone_number"], body="yes", received_at=world.clock.now
        )
        assert await replies.receive(connection, reply, world.clock.now)
    assert await world.start(batch) == []
    assert await world.states(broadcast, is_second=True) == ["skipped"]


async def test_every_message_that_may_have_left_has_its_attempt_on_record_first(world: World) -> None:
    world.clock.now = NOW + timedelta(seconds=3)
    broadcast = await world.made(2)
    started = await world.start(await world.claimed(broadcast))
    rows = await world.messages(broadcast)
    assert {(row["state"], row["attempts"], row["attempt_started_at"]) for row in rows} == {
        ("started", 1, world.clock.now)
    }
    [event] = await world.happened("MessagesStarted")
    assert event["message_ids"] == [item.attempt.message_id for item in started]
