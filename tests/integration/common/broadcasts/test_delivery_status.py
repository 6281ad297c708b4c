"""What follows from the code of a message that the carrier took and did not deliver."""

from datetime import timedelta

import pytest

from libs.common import database
from libs.common.broadcasts import delivery_status, opt_outs
from libs.common.domain import events as e
from libs.common.domain.states import ConsentSource
from libs.common.rate_limits import rate
from tests.support.world import World


async def told(world: World, broadcast_id: int, *messages: int, code: int, status: str = "failed") -> None:
    """Record that the log says of some messages that they failed by a code."""
    statuses = tuple(
        e.MessageStatus(message_id=message, twilio_id=f"SM{message}", status=status, error_code=code, sent_at=None)
        for message in messages
    )
    event = e.StatusesSynced(broadcast_id=broadcast_id, statuses=statuses, number=None)
    async with database.transaction(world.engine) as connection:
        await delivery_status.record(connection, event, world.clock.now)


async def held(world: World, broadcast_id: int) -> float:
    number = await world.value("SELECT sending_number_id FROM broadcasts WHERE id = %s", broadcast_id)
    async with database.transaction(world.engine) as connection:
        await rate.prepare(connection, [rate.number_key(number)])
        seconds, _ = await rate.backoff(connection, [rate.number_key(number)])
    return seconds


async def sent(world: World, contacts: int = 1) -> tuple[int, list[int]]:
    broadcast = await world.made(contacts)
    messages = [item.attempt.message_id for item in await world.send(broadcast)]
    assert await held(world, broadcast) == 0
    return broadcast, messages


async def test_who_had_opted_out_at_the_carrier_gets_nothing_more(world: World) -> None:
    """Missive takes every message; that the recipient has opted out (21610) is in Twilio's log alone."""
    broadcast, [message] = await sent(world)
    await told(world, broadcast, message, code=21610)
    assert await world.column("SELECT source FROM opt_outs") == ["carrier"]
    [second] = await world.messages(broadcast, is_second=True)
    assert (second["state"], second["skip_reason"]) == ("skipped", "opted_out")


async def test_who_has_asked_for_messages_again_since_is_not_taken_out_by_an_old_entry(world: World) -> None:
    broadcast, [message] = await sent(world)
    [row] = await world.messages(broadcast)
    world.clock.forward(seconds=10)
    async with database.transaction(world.engine) as connection:
        await opt_outs.opt_out(connection, row["recipient_phone_number"], ConsentSource.SMS, world.clock.now)
        await opt_outs.opt_in(
            connection, row["recipient_phone_number"], ConsentSource.SMS, world.clock.forward(seconds=1)
        )
    await told(world, broadcast, message, code=21610)
    assert await world.column("SELECT source FROM opt_outs") == []


@pytest.mark.parametrize("code", [30001, 30022])
async def test_messages_that_come_too_fast_hold_back_their_number(world: World, code: int) -> None:
    broadcast, [message] = await sent(world)
    await told(world, broadcast, message, code=code)
    assert delivery_status.SLOW_DOWN - 5 < await held(world, broadcast) <= delivery_status.SLOW_DOWN
    # Nothing has failed: no success would ever end that.
    assert await world.query("SELECT key FROM pace WHERE failures > 0 OR failing_since IS NOT NULL") == []


async def test_what_came_too_fast_long_ago_holds_nobody_back(world: World) -> None:
    broadcast, [message] = await sent(world)
    world.clock.now += delivery_status.LATELY + timedelta(seconds=1)
    await told(world, broadcast, message, code=30022)
    assert await held(world, broadcast) == 0


async def test_a_phone_that_cannot_be_reached_concerns_nobody_else(world: World) -> None:
    broadcast, messages = await sent(world, 6)
    await told(world, broadcast, *messages, code=30003, status="undelivered")
    assert await held(world, broadcast) == 0
    assert await world.value("SELECT count(*) FROM opt_outs") == 0
    assert await world.state(broadcast) == "sending_first"


async def test_a_suspended_account_pauses_the_broadcast_at_once(world: World) -> None:
    broadcast, [message] = await sent(world)
    await told(world, broadcast, message, code=30002)
    assert await world.state(broadcast) == "paused"
    assert await world.value("SELECT pause_reason FROM broadcasts") == "30002"
