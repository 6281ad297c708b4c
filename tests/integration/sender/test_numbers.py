"""Several numbers: each through its carrier, at its rate, in its hours, and no more a day than it may."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import sending_numbers
from libs.common.domain.commands import SendBatch
from libs.common.rate_limits import daily
from services.sender.batch_sender import Sender
from services.sender.single_sender import SingleSender
from tests.support.deliveries import delivery
from tests.support.scripted import ScriptedCarrier
from tests.support.singles import ask, row
from tests.support.world import FROM, World, make_settings

OTHER = "+13135550199"
#: Nine and midnight in the evening in Detroit.
EVENING = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, 5, 0, tzinfo=UTC)


@pytest.fixture
def fast(world: World) -> World:
    return replace(world, settings=make_settings(world.settings.database_url, send_rate=200))


async def set_number(world: World, phone_number: str = FROM, **fields: Any) -> int:
    """Say how a number sends, and give its id."""
    number = await world.sending_number(phone_number)
    for field, value in fields.items():
        await world.query(f"UPDATE sending_numbers SET {field} = %s WHERE id = %s", value, number)
    return number


async def send(world: World, broadcast: int, *carriers: ScriptedCarrier) -> None:
    """Send what is planned for now, and plan what comes next."""
    await world.advance(broadcast)
    sender = Sender(world.worker, world.settings, *carriers)
    due = await world.query(
        "SELECT id, is_second FROM batches WHERE broadcast_id = %s AND closed_at IS NULL AND due_at <= %s",
        broadcast, world.clock.now,
    )  # fmt: skip
    for each in due:
        step = SendBatch(broadcast_id=broadcast, batch_id=each["id"], is_second=each["is_second"])
        await sender.send_batch(step, delivery())
    await world.advance(broadcast)


async def next_due(world: World, broadcast: int) -> datetime:
    due = await world.value("SELECT min(due_at) FROM batches WHERE broadcast_id = %s AND closed_at IS NULL", broadcast)
    assert isinstance(due, datetime)
    return due


async def test_two_numbers_send_through_two_carriers_at_once(fast: World) -> None:
    await set_number(fast, OTHER, carrier="twilio")
    missive, twilio = ScriptedCarrier(name="missive"), ScriptedCarrier(name="twilio")
    one, other = await fast.made(4), await fast.made(5, from_number=OTHER)
    await asyncio.gather(send(fast, one, missive, twilio), send(fast, other, missive, twilio))
    assert [item.from_number for item in missive.requests] == [FROM] * 4
    assert [item.from_number for item in twilio.requests] == [OTHER] * 5
    assert await fast.states(one) == ["accepted"] * 4
    assert await fast.states(other) == ["accepted"] * 5
    # Each has permits of its own, and a pace of its own.
    assert await fast.column("SELECT DISTINCT key FROM permits ORDER BY key") == ["missive", "twilio"]


async def test_a_hold_of_one_carrier_holds_no_number_of_the_other(fast: World) -> None:
    await set_number(fast, OTHER, carrier="twilio")
    await fast.query("INSERT INTO pace (key, held_until) VALUES ('missive', now() + interval '1 hour')")
    missive, twilio = ScriptedCarrier(name="missive"), ScriptedCarrier(name="twilio")
    one, other = await fast.made(2), await fast.made(2, from_number=OTHER)
    await send(fast, one, missive, twilio)
    await send(fast, other, missive, twilio)
    assert (len(missive.requests), len(twilio.requests)) == (0, 2)


async def test_nothing_goes_another_way_where_a_sender_has_no_keys_of_a_numbers_carrier(fast: World) -> None:
    number = await set_number(fast, carrier="twilio")
    missive = ScriptedCarrier(name="missive")
    broadcast = await fast.made(2)
    await send(fast, broadcast, missive)
    assert missive.requests == []
    assert await fast.states(broadcast) == ["pending"] * 2
    held = await fast.value("SELECT held_until > now() FROM pace WHERE key = %s", f"number:{number}")
    assert held is True
    assert await next_due(fast, broadcast) > fast.clock.now
    assert await fast.value("SELECT failures FROM pace WHERE key = %s", f"number:{number}") == 1
    # A sender that has the keys ends that.
    await fast.query("UPDATE pace SET held_until = now()")
    fast.clock.forward(minutes=2)
    await send(fast, broadcast, missive, ScriptedCarrier(name="twilio"))
    assert await fast.states(broadcast) == ["accepted"] * 2
    assert await fast.query("SELECT key FROM pace WHERE failures > 0 OR failing_since IS NOT NULL") == []


async def test_a_daily_cap_is_kept_and_what_is_above_it_leaves_the_next_day(fast: World) -> None:
    """The day is that of the organisation's zone."""
    number = await set_number(fast, daily_cap=3)
    fast.clock.now = EVENING
    carrier = ScriptedCarrier()
    broadcast = await fast.made(8)
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 3
    assert await next_due(fast, broadcast) == MIDNIGHT
    fast.clock.now = MIDNIGHT - timedelta(seconds=1)
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 3
    fast.clock.now = MIDNIGHT
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 6
    fast.clock.now = MIDNIGHT + timedelta(days=1)
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 8
    days = await fast.query(
        "SELECT day::text, started FROM sending_days WHERE sending_number_id = %s ORDER BY day", number
    )
    assert [(each["day"], each["started"]) for each in days] == [
        ("2026-03-04", 3), ("2026-03-05", 3), ("2026-03-06", 2)
    ]  # fmt: skip
    assert await fast.states(broadcast) == ["accepted"] * 8


async def test_broadcasts_and_single_messages_of_a_number_share_its_day(fast: World) -> None:
    await set_number(fast, daily_cap=2)
    fast.clock.now = EVENING
    carrier = ScriptedCarrier()
    await send(fast, await fast.made(1), carrier)
    first, second = await ask(fast), await ask(fast, to="+13135550778")
    singles = SingleSender(fast.settings, carrier)
    while await singles.send_next(fast.worker):
        pass
    assert len(carrier.requests) == 2
    assert (await row(fast, first))["state"] == "accepted"
    waiting = await row(fast, second)
    assert (waiting["state"], waiting["not_before"]) == ("pending", MIDNIGHT)


async def test_a_message_that_waits_for_its_number_lets_those_of_others_go_first(fast: World) -> None:
    await set_number(fast, enabled=False)
    waiting = await ask(fast)
    fast.clock.forward(seconds=1)
    number = await fast.sending_number(OTHER)
    other = await ask(fast, to="+13135550778")
    await fast.query("UPDATE single_messages SET sending_number_id = %s WHERE id = %s", number, other)
    carrier = ScriptedCarrier()
    singles = SingleSender(fast.settings, carrier)
    while await singles.send_next(fast.worker):
        pass
    assert [item.to for item in carrier.requests] == ["+13135550778"]
    assert (await row(fast, waiting))["state"] == "pending"


async def test_however_many_take_from_a_day_at_once_no_more_is_given_than_there_is(world: World) -> None:
    await set_number(world, daily_cap=50)
    async with database.transaction(world.engine) as connection:
        number = await sending_numbers.one(connection, await world.sending_number())
        day = daily.today(number, world.clock.now, world.settings.zone)
        assert day is not None
        await daily.prepare(connection, day)
    taken = await asyncio.gather(*(day.take(world.engine, want) for want in [7] * 12))
    assert sum(taken) == 50
    await day.give_back(world.engine, 4)
    assert await day.take(world.engine, 7) == 4
    assert await day.take(world.engine, 7) == 0


@pytest.mark.parametrize("fields", [{"enabled": False}, {"hours": "11:00-20:00"}])
async def test_nothing_leaves_from_a_number_that_is_off_or_out_of_its_hours(
    fast: World, fields: dict[str, Any]
) -> None:
    carrier = ScriptedCarrier()
    broadcast = await fast.made(2)
    batch = SendBatch(broadcast_id=broadcast, batch_id=await fast.plan(broadcast), is_second=False)
    await set_number(fast, **fields)
    # Also by a batch that was planned before.
    await Sender(fast.worker, fast.settings, carrier).send_batch(batch, delivery())
    assert carrier.requests == []
    assert await next_due_after(fast, broadcast) > fast.clock.now
    await set_number(fast, enabled=True, hours=None)
    fast.clock.forward(hours=1)
    await fast.query("UPDATE batches SET due_at = %s WHERE closed_at IS NULL", fast.clock.now)
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 2


async def next_due_after(world: World, broadcast: int) -> datetime:
    """Plan what comes next, and give when that is due."""
    await world.advance(broadcast)
    return await next_due(world, broadcast)


async def test_a_number_keeps_the_limit_a_minute_of_its_campaign(fast: World) -> None:
    await set_number(fast, minute_limit=120)
    carrier = ScriptedCarrier()
    await send(replace(fast, clock=type(fast.clock)(None)), await fast.made(3), carrier)
    times = sorted(item.at for item in carrier.requests)
    assert len(times) == 3
    assert times[-1] - times[0] >= 0.95  # two of 120 in 60 s
