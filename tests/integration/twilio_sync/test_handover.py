"""Messages that Missive took and never handed to Twilio, most likely since their recipients have said STOP to it."""

from typing import Any

import httpx

from libs.common import database
from libs.common.broadcasts import auto_pause, ledger
from libs.common.domain import events as e
from libs.common.domain.states import ConsentSource
from libs.common.eventstore import store
from libs.common.operations import rebuild
from tests.integration.common.eventstore.test_projections import differences
from tests.integration.twilio_sync.test_status_sync import plan, sent, statuses, sync
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World


async def known_to_missive(world: World, log: TwilioLog) -> None:
    """Have Missive know all messages that it took; none of them has a sid."""
    log.external_ids |= dict.fromkeys(await world.column("SELECT missive_id FROM broadcast_sent_message_status"))


async def outcomes(world: World) -> list[str]:
    return await world.column("SELECT outcome FROM broadcast_sent_message_status ORDER BY outgoing_message_id")


async def seconds(world: World) -> list[Any]:
    query = "SELECT coalesce(skip_reason, state) FROM outgoing_messages WHERE is_second ORDER BY id"
    return await world.column(query)


async def blocked(world: World, log: TwilioLog, contacts: int = 1) -> int:
    """Send the first messages of a broadcast of which Twilio hears nothing, and wait for as long as that may take."""
    broadcast, _ = await sent(world, contacts)
    await known_to_missive(world, log)
    world.clock.forward(seconds=world.settings.handover_after)
    return broadcast


async def another(world: World, log: TwilioLog) -> int:
    """Send the first message of another broadcast to the same people; Twilio hears nothing of it, either."""
    world.clock.forward(days=1)
    broadcast = await world.scheduled(await world.segment("tag0"))
    await world.make(broadcast)
    await world.send(broadcast)
    await known_to_missive(world, log)
    world.clock.forward(seconds=world.settings.handover_after)
    return broadcast


async def test_a_message_that_twilio_never_got_is_not_sent_and_has_no_follow_up(world: World, log: TwilioLog) -> None:
    broadcast, numbers = await sent(world, 2)
    log.add("SM1", numbers[0], FIRST, NOW)
    await known_to_missive(world, log)
    world.clock.forward(seconds=world.settings.handover_after - 1)
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["accepted", "accepted"], "Missive has ten minutes"
    world.clock.forward(seconds=1)
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["accepted", "not_handed_over"]
    assert await seconds(world) == ["pending", "not_handed_over"]
    async with database.transaction(world.engine) as connection:
        counted = await ledger.count(connection, broadcast)
    assert (counted.planned, counted.accepted, counted.not_handed_over) == (4, 1, 1)
    assert ledger.undecided(counted) == 1, "the other's second message"
    assert await differences(world) == {}


async def test_it_is_found_out_while_the_follow_ups_wait(world: World, log: TwilioLog) -> None:
    """While messages leave, passes read the newest page of the log alone."""
    broadcast = await blocked(world, log, 3)
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert await outcomes(world) == ["not_handed_over"] * 3
    assert await seconds(world) == ["not_handed_over"] * 3


async def test_while_messages_leave_missive_is_asked_about_none_whose_time_is_not_over(
    world: World, log: TwilioLog
) -> None:
    """Invariant 7: the log tells of most messages; reading Missive takes from what may be sent."""
    broadcast, _ = await sent(world, 3)
    await known_to_missive(world, log)
    world.clock.forward(seconds=world.settings.handover_after - 1)
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert [url.path for url in log.asked if url.path.startswith("/v1/")] == []


async def test_it_does_not_hold_the_sync_open(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    await sync(world, log, broadcast)
    assert await world.advance(broadcast) == "syncing"
    world.clock.forward(seconds=world.settings.sync_interval)
    await sync(world, log, broadcast, await world.value("SELECT number FROM syncs"))
    assert await world.advance(broadcast) == "completed"
    [completed] = await world.happened("BroadcastCompleted")
    assert completed["unsettled"] == 0
    assert completed["ledger"]["not_handed_over"] == 1
    assert completed["ledger"]["skipped"] == {"not_handed_over": 1}
    assert completed["ledger"]["accepted"] == 0


async def test_two_in_a_row_make_a_likely_opt_out_that_a_person_looks_at(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    await sync(world, log, broadcast)
    waiting = "SELECT phone_number, channel, review_reason FROM replies WHERE review = 'waiting'"
    assert await world.query(waiting) == [], "one may be an accident"
    again = await another(world, log)
    await sync(world, log, again)
    number = await world.value("SELECT phone_number FROM contacts")
    assert await world.query(waiting) == [
        {"phone_number": number, "channel": "notice", "review_reason": "not_handed_over"}
    ]
    assert [event["reason"] for event in await world.happened("OptOutSuspected")] == ["not_handed_over"]


async def test_one_that_left_in_between_or_a_start_begins_the_count_anew(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    await sync(world, log, broadcast)
    number = await world.value("SELECT phone_number FROM contacts")
    between = await another(world, log)
    log.add("SM1", number, FIRST, world.clock.now)
    await sync(world, log, between)
    await sync(world, log, await another(world, log))
    assert await outcomes(world) == ["not_handed_over", "accepted", "not_handed_over"]
    contact = await world.value("SELECT id FROM contacts")
    async with database.transaction(world.engine) as connection:
        event = e.OptedIn(contact_id=contact, source=ConsentSource.SMS)
        await store.append(connection, f"contact-{contact}", [event], now=world.clock.now)
    world.clock.forward(seconds=1)
    await sync(world, log, await another(world, log))
    assert await outcomes(world) == ["not_handed_over", "accepted", "not_handed_over", "not_handed_over"]
    assert await world.value("SELECT count(*) FROM replies") == 0


async def test_an_entry_that_turns_up_later_makes_it_sent_after_all(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["not_handed_over"]
    log.add("SM1", await world.value("SELECT recipient_phone_number FROM outgoing_messages LIMIT 1"), FIRST, NOW)
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["accepted"]
    assert await statuses(world) == [("SM1", "delivered", None)]
    assert await differences(world) == {}


async def test_a_sid_that_turns_up_later_makes_it_sent_after_all(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    await sync(world, log, broadcast)
    log.external_ids = dict.fromkeys(log.external_ids, "SM9")
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["accepted"]
    assert await statuses(world) == [("SM9", "accepted", None)]


async def test_a_message_that_missive_does_not_know_says_nothing(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    log.external_ids.clear()
    await sync(world, log, broadcast)
    assert await outcomes(world) == ["accepted"]


async def test_missives_word_alone_is_not_believed_where_something_left(world: World, log: TwilioLog) -> None:
    """Were Missive to call the field by another name one day, everybody would seem to have opted out."""
    broadcast, numbers = await sent(world, 2)
    await known_to_missive(world, log)
    log.add("SM1", numbers[0], FIRST, NOW)
    log.add("SM2", numbers[1], "words that a link shortener has changed", NOW)
    for n in range(world.settings.sync_page_size):
        log.add(f"SM9{n}", "+13135559999", "of another broadcast", NOW)
    world.clock.forward(seconds=world.settings.handover_after)
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert await outcomes(world) == ["accepted", "accepted"]
    assert await statuses(world) == [("SM1", "delivered", None), (None, None, None)]


async def test_a_log_that_cannot_be_read_says_nothing(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    planned = await plan(world, broadcast)
    log.between = lambda: log.failures.append(httpx.Response(500))  # after the page, which has nothing
    await sync(world, log, broadcast, planned)
    assert await outcomes(world) == ["accepted"]


async def test_a_second_message_that_is_under_way_is_none_to_skip(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log)
    assert await world.advance(broadcast) == "sending_second"
    await world.send(broadcast, is_second=True)
    await known_to_missive(world, log)
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert await outcomes(world) == ["not_handed_over", "accepted"]
    assert await seconds(world) == ["accepted"]


async def test_the_tables_are_rebuilt_with_what_was_not_handed_over(world: World, log: TwilioLog) -> None:
    broadcast = await blocked(world, log, 3)
    await sync(world, log, broadcast)
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


async def test_where_nobodys_message_gets_to_twilio_the_broadcast_is_paused_and_nobody_held_back(
    world: World, log: TwilioLog
) -> None:
    """Two broadcasts like this would make everybody a likely opt-out."""
    first = await blocked(world, log, auto_pause.RUN)
    await sync(world, log, first)
    assert (await world.load(first)).state == "paused"
    assert await world.value("SELECT pause_reason FROM broadcasts") == "not_handed_over"
    second = await another(world, log)
    await sync(world, log, second)
    assert (await world.load(second)).state == "paused"
    assert await world.value("SELECT count(*) FROM replies") == 0


async def test_one_message_that_got_to_twilio_is_enough_to_go_on(world: World, log: TwilioLog) -> None:
    broadcast, numbers = await sent(world, auto_pause.RUN + 1)
    log.add("SM1", numbers[-1], FIRST, NOW)
    await known_to_missive(world, log)
    world.clock.forward(seconds=world.settings.handover_after)
    await sync(world, log, broadcast)
    assert (await outcomes(world)).count("not_handed_over") == auto_pause.RUN
    assert (await world.load(broadcast)).state == "sending_first"
