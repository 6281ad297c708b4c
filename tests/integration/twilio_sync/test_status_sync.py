"""Passes over the carrier's log."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import repository, scheduling
from libs.common.domain import events as e
from libs.common.domain.commands import SyncStatuses
from libs.common.eventstore import store
from libs.common.rate_limits import concurrency
from services.twilio_sync.status_sync import Sync
from tests.support.deliveries import delivery
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, NOW, World, make_settings


def paged(world: World, size: int) -> World:
    return replace(world, settings=make_settings(world.settings.database_url, sync_page_size=size))


async def sent(world: World, contacts: int = 3, **fields: object) -> tuple[int, list[str]]:
    """Send the first messages of a broadcast, and give it with the numbers that got them."""
    broadcast = await world.made(contacts, **fields)
    started = await world.send(broadcast)
    return broadcast, [item.attempt.to for item in started]


async def sync(world: World, log: TwilioLog, broadcast_id: int, number: int | None = None) -> None:
    handler = Sync(world.worker, world.settings, log.twilio(), log.missive())
    await handler.sync_statuses(SyncStatuses(broadcast_id=broadcast_id, number=number), delivery())


async def plan(world: World, broadcast_id: int) -> int:
    async with database.transaction(world.engine) as connection:
        return await scheduling.plan_sync(connection, broadcast_id, world.clock.now, world.clock.now)


async def whole(world: World, log: TwilioLog, broadcast_id: int) -> int:
    """Make passes by hand until the end of the log, and give how many."""
    for passes in range(1, 50):
        await sync(world, log, broadcast_id)
        if await world.value("SELECT twilio_paging FROM broadcasts WHERE id = %s", broadcast_id) is None:
            return passes
    raise AssertionError("the log never ends")


async def statuses(world: World) -> list[tuple[object, ...]]:
    rows = await world.query(
        "SELECT twilio_id, twilio_sent_status, twilio_error_code FROM broadcast_sent_message_status"
        " ORDER BY outgoing_message_id"
    )
    return [tuple(row.values()) for row in rows]


async def test_statuses_times_and_sids_come_from_the_log(world: World, log: TwilioLog) -> None:
    broadcast, [one, two, _] = await sent(world)
    log.add("SM1", one, FIRST, NOW)
    log.add("SM2", two, FIRST, NOW, status="undelivered", error_code=30003)
    await sync(world, log, broadcast)
    assert await statuses(world) == [
        ("SM1", "delivered", None), ("SM2", "undelivered", "30003"), (None, None, None)
    ]  # fmt: skip
    assert await world.value("SELECT twilio_sent_at FROM broadcast_sent_message_status ORDER BY 1 LIMIT 1") == NOW


async def test_a_message_that_the_log_does_not_have_is_not_called_delivered(world: World, log: TwilioLog) -> None:
    """Fault 30: the default status was `delivered`, which hid everything that was never matched."""
    broadcast, _ = await sent(world, 1)
    await sync(world, log, broadcast)
    rows = await world.query("SELECT twilio_sent_status, settled FROM broadcast_sent_message_status")
    assert rows == [{"twilio_sent_status": None, "settled": False}]


async def test_apostrophes_and_white_space_do_not_hide_a_message(world: World, log: TwilioLog) -> None:
    """Fault 29: matching by exact text failed on apostrophes and white space."""
    broadcast, [one] = await sent(world, 1, first_message="It’s  on –\ncome!")
    log.add("SM1", one, "It's on - come!", NOW)
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]


async def test_what_others_wrote_is_no_status_of_ours(world: World, log: TwilioLog) -> None:
    """Fault 29: messages that staff typed by hand were taken for broadcast messages."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, "Are you coming?", NOW + timedelta(seconds=5))
    log.add("SM2", one, FIRST, NOW + timedelta(seconds=5), direction="inbound")
    log.add("SM3", one, FIRST, NOW - timedelta(minutes=5))
    log.add("SM4", "+13139999999", FIRST, NOW)
    await sync(world, log, broadcast)
    assert await statuses(world) == [(None, None, None)]


async def test_an_entry_is_kept_for_the_uncertain_message_that_it_may_be(world: World, log: TwilioLog) -> None:
    """Two equal messages to one number never share a log entry."""
    broadcast, [one] = await sent(world, 1, first_message="hi", second_message="hi", second_delay=0)
    await world.advance(broadcast)
    world.clock.forward(seconds=60)
    await world.start(await world.claimed(broadcast, is_second=True))
    log.add("SM2", one, "hi", world.clock.now)
    await sync(world, log, broadcast)
    assert await statuses(world) == [(None, None, None)]


async def test_a_page_is_a_pass_and_its_successor_is_kept(world: World, log: TwilioLog) -> None:
    world = paged(world, 2)
    broadcast, numbers = await sent(world, 5)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    await sync(world, log, broadcast)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status WHERE settled") == 2
    assert "PageToken=2" in str(await world.value("SELECT twilio_paging FROM broadcasts"))
    assert await whole(world, log, broadcast) == 2
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status WHERE settled") == 5


@pytest.mark.parametrize("says_that_it_ends", [True, False])
async def test_the_log_ends_where_no_page_follows(world: World, log: TwilioLog, says_that_it_ends: bool) -> None:
    """Fault 30: an absent next page fetched the first for ever."""
    world = paged(world, 2)
    broadcast, numbers = await sent(world, 3)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW)
    log.says_that_it_ends = says_that_it_ends
    assert await whole(world, log, broadcast) == 2


async def test_pages_that_shift_while_they_are_read_neither_lose_nor_double_a_status(
    world: World, log: TwilioLog
) -> None:
    world = paged(world, 2)
    broadcast, numbers = await sent(world, 6)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    later = iter(range(100))
    log.between = lambda: log.add(f"SX{(n := next(later))}", numbers[0], "by hand", NOW + timedelta(seconds=100 + n))
    await sync(world, log, broadcast)
    log.entries = [entry for entry in log.entries if entry["sid"] != "SM5"]  # one that was seen is gone: they shift up
    await whole(world, log, broadcast)
    await whole(world, log, broadcast)
    assert [row[0] for row in await statuses(world)] == [f"SM{n}" for n in range(6)]
    told = [item["twilio_id"] for event in await world.happened("StatusesSynced") for item in event["statuses"]]
    assert sorted(told) == [f"SM{n}" for n in range(6)]


async def test_an_unknown_status_does_not_fail_its_page(world: World, log: TwilioLog) -> None:
    """Fault 30: one unknown status failed a page of 100."""
    broadcast, [one, two] = await sent(world, 2)
    log.add("SM1", one, FIRST, NOW, status="teleported")
    log.add("SM2", two, FIRST, NOW)
    log.entries.append({"sid": None, "what": "is this?"})
    log.entries[-1] |= {"from": "+13135550100", "to": one, "date_created": log.entries[0]["date_created"]}
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "teleported", None), ("SM2", "delivered", None)]


async def test_a_known_status_takes_the_place_of_an_unknown_one(world: World, log: TwilioLog) -> None:
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW, status="teleported")
    await sync(world, log, broadcast)
    log.set("SM1", status="delivered")
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]


@pytest.mark.parametrize(("before", "late"), [("delivered", "sent"), ("undelivered", "sent"), ("sent", "queued"),
                                              ("delivered", "teleported")])  # fmt: skip
async def test_a_status_never_goes_backwards(world: World, log: TwilioLog, before: str, late: str) -> None:
    """Fault 32: a late `sent` overwrote `delivered`."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW, status=before)
    await sync(world, log, broadcast)
    log.set("SM1", status=late)
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", before, None)]


async def test_a_delivery_report_that_comes_while_a_pass_is_recorded_stands(world: World, log: TwilioLog) -> None:
    """Fault 32: a late `sent` overwrote `delivered`; the pass has read `sent`, the report is coming in."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW, status="queued")
    await sync(world, log, broadcast)
    log.set("SM1", status="sent")
    text_id = await world.value("SELECT outgoing_message_id FROM broadcast_sent_message_status")
    told = e.MessageStatus(message_id=text_id, twilio_id="SM1", status="delivered", error_code=None, sent_at=None)
    async with database.transaction(world.engine) as connection:
        await connection.execute(
            text("SELECT 1 FROM broadcast_sent_message_status WHERE twilio_id = 'SM1' FOR NO KEY UPDATE")
        )
        event = e.StatusesSynced(broadcast_id=broadcast, statuses=(told,), number=None)
        await repository.append_events(connection, store.stream(broadcast, "statuses"), [event], NOW)
        passing = asyncio.create_task(sync(world, log, broadcast))
        await world.until_somebody_waits()
    await passing
    assert await statuses(world) == [("SM1", "delivered", None)]


async def test_an_entry_that_a_page_shows_twice_counts_as_the_further_one(world: World, log: TwilioLog) -> None:
    """Fault 32."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW, status="queued")
    await sync(world, log, broadcast)
    log.entries.clear()
    log.add("SM1", one, FIRST, NOW, status="delivered")
    log.add("SM1", one, FIRST, NOW, status="sent")
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_page_that_is_gone_begins_the_log_anew(world: World, log: TwilioLog, status: int) -> None:
    world = paged(world, 2)
    broadcast, numbers = await sent(world, 3)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    await sync(world, log, broadcast)
    log.failures = [httpx.Response(status, json={"code": 20001, "message": "the page token has expired"})]
    assert await whole(world, log, broadcast) == 2
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status WHERE settled") == 3


async def test_a_status_in_capitals_settles_its_message(world: World, log: TwilioLog) -> None:
    """The column `settled`, reports and reports' figures know small letters alone."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW, status="Delivered")
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]
    assert await world.value("SELECT settled FROM broadcast_sent_message_status")


async def test_a_gateways_404_is_not_a_page_that_is_gone(world: World, log: TwilioLog) -> None:
    world = paged(world, 1)
    broadcast, numbers = await sent(world, 2)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    await sync(world, log, broadcast)
    page = await world.value("SELECT twilio_paging FROM broadcasts")
    asked = len(log.asked)
    log.failures = [httpx.Response(404, html="<html>")]
    await sync(world, log, broadcast)
    assert (await world.value("SELECT twilio_paging FROM broadcasts"), len(log.asked)) == (page, asked + 1)


async def test_a_next_page_that_leads_elsewhere_is_not_followed_and_the_log_begins_anew(
    world: World, log: TwilioLog
) -> None:
    """A page that cannot be trusted today cannot be tomorrow: it was tried again at every interval, for a day."""
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, NOW)
    await world.query("UPDATE broadcasts SET twilio_paging = 'https://evil.test/2010-04-01/x?PageToken=1'")
    await sync(world, log, broadcast)
    assert [url.host for url in log.asked] == ["twilio.test"]
    assert await statuses(world) == [("SM1", "delivered", None)]
    assert await world.value("SELECT twilio_paging FROM broadcasts") is None


@pytest.mark.parametrize("failure", [httpx.Response(503), httpx.Response(401), httpx.Response(200, content=b"[")])
async def test_a_log_that_cannot_be_read_is_read_again_from_the_same_page(
    world: World, log: TwilioLog, failure: httpx.Response
) -> None:
    world = paged(world, 1)
    broadcast, numbers = await sent(world, 2)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    await world.query("UPDATE broadcasts SET sync_started_at = %s", NOW)
    await sync(world, log, broadcast)
    page = await world.value("SELECT twilio_paging FROM broadcasts")
    planned = await plan(world, broadcast)
    await world.query("DELETE FROM outbox")
    log.failures = [failure, failure]
    await sync(world, log, broadcast, planned)
    assert await world.value("SELECT twilio_paging FROM broadcasts") == page
    [again] = await world.planned("SyncStatuses")
    due = world.clock.now + timedelta(seconds=world.settings.sync_interval)
    assert (again["data"]["number"], again["deliver_at"]) == (planned, due)
    assert await world.value("SELECT due_at FROM syncs") == due
    log.failures = []
    await sync(world, log, broadcast, planned)
    assert await world.value("SELECT count(*) FROM broadcast_sent_message_status WHERE settled") == 2


async def test_a_pass_that_is_over_does_nothing_again(world: World, log: TwilioLog) -> None:
    """A step that is delivered twice, or was emitted again."""
    broadcast, [one] = await sent(world, 1)
    planned = await plan(world, broadcast)
    await sync(world, log, broadcast, planned)
    log.add("SM1", one, FIRST, NOW)
    before = await world.dump()
    await sync(world, log, broadcast, planned)
    assert await world.dump() == before


async def test_a_pass_of_another_number_does_nothing(world: World, log: TwilioLog) -> None:
    broadcast, _ = await sent(world, 1)
    old = await plan(world, broadcast)
    await plan(world, broadcast)
    await sync(world, log, broadcast, old)
    assert log.asked == []


async def test_two_passes_at_once_record_each_status_once(world: World, log: TwilioLog) -> None:
    broadcast, numbers = await sent(world, 3)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW)
    planned = await plan(world, broadcast)
    await asyncio.gather(*(sync(world, log, broadcast, planned) for _ in range(4)))
    told = [item["twilio_id"] for event in await world.happened("StatusesSynced") for item in event["statuses"]]
    assert sorted(told) == ["SM0", "SM1", "SM2"]


async def test_each_broadcast_takes_its_own_entries_of_a_shared_log(world: World, log: TwilioLog) -> None:
    """Fault 29: matching by phone only gave every log entry to the newest row."""
    one, [number] = await sent(world, 1)
    log.add("SM1", number, FIRST, NOW)
    world.clock.forward(days=1)
    other = await world.scheduled(await world.segment("tag0"))
    await world.make(other)
    await world.send(other)
    log.add("SM2", number, FIRST, world.clock.now)
    await sync(world, log, one)
    await sync(world, log, other)
    rows = await world.query("SELECT broadcast_id, twilio_id FROM broadcast_sent_message_status ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [(one, "SM1"), (other, "SM2")]


async def test_messages_after_midnight_are_of_the_broadcasts_log(world: World, log: TwilioLog) -> None:
    """Fault 30: the UTC date filter missed messages after midnight."""
    world.clock.now = datetime.fromisoformat("2026-03-04T23:59:50+00:00")
    broadcast, [one] = await sent(world, 1)
    log.add("SM1", one, FIRST, world.clock.now + timedelta(seconds=20))
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None)]
    assert [url.params["DateSent>"] for url in log.asked if "DateSent>" in url.params] == ["2026-03-03"]


async def test_missive_tells_the_sid_of_a_message_that_the_log_does_not_show(world: World, log: TwilioLog) -> None:
    broadcast, _ = await sent(world, 1)
    missive_id = await world.value("SELECT missive_id FROM broadcast_sent_message_status")
    log.external_ids = {missive_id: "SM9"}
    world.clock.forward(seconds=world.settings.settle_after)
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM9", "accepted", None)]


async def test_a_sid_that_is_another_messages_already_does_not_fail_the_pass(world: World, log: TwilioLog) -> None:
    """Invariant 5: a pass that fails for ever keeps the broadcast from ending."""
    broadcast, numbers = await sent(world, 2)
    one, other = await world.column("SELECT missive_id FROM broadcast_sent_message_status ORDER BY outgoing_message_id")
    log.add("SM1", numbers[0], FIRST, NOW)
    await sync(world, log, broadcast)
    log.external_ids = {one: "SM1", other: "SM1"}
    world.clock.forward(seconds=world.settings.settle_after)
    await sync(world, log, broadcast)
    assert await statuses(world) == [("SM1", "delivered", None), (None, None, None)]


async def test_missive_is_not_asked_while_its_window_is_spent(world: World, log: TwilioLog) -> None:
    """Invariant 4: reading counts towards the limits of sending."""
    world = replace(world, settings=make_settings(world.settings.database_url, missive_windows="300/60"))
    broadcast, _ = await sent(world, 1)
    await world.query("INSERT INTO pace (key, next_at) VALUES ('missive:300/60', now() + '1 min')")
    world.clock.forward(seconds=world.settings.settle_after)
    await sync(world, log, broadcast)
    assert [url.path for url in log.asked if url.path.startswith("/v1/")] == []


async def test_missive_is_not_asked_while_all_its_requests_are_taken(world: World, log: TwilioLog) -> None:
    """Missive allows 5 requests at once, those that read included."""
    broadcast, _ = await sent(world, 1)
    async with database.transaction(world.engine) as connection:
        await concurrency.prepare(connection, "missive", world.settings.send_concurrency)
    taken = await concurrency.acquire(world.engine, "missive", count=5, want=5, seconds=60)
    world.clock.forward(seconds=world.settings.settle_after)
    await sync(world, log, broadcast)
    assert [url.path for url in log.asked if url.path.startswith("/v1/")] == []
    await concurrency.release(world.engine, "missive", taken)
    await sync(world, log, broadcast)
    assert len([url.path for url in log.asked if url.path.startswith("/v1/")]) == 1
    assert await world.value("SELECT count(*) FROM permits WHERE held_until > now()") == 0


async def test_a_broadcast_that_the_carriers_filter_is_paused(world: World, log: TwilioLog) -> None:
    broadcast, numbers = await sent(world, 6)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW, status="undelivered", error_code=30007)
    await sync(world, log, broadcast)
    assert await world.state(broadcast) == "paused"


async def test_while_messages_leave_a_planned_pass_reads_the_newest_page_alone(world: World, log: TwilioLog) -> None:
    """What goes wrong is to be heard before all were sent, and at a cost that does not grow with the broadcast."""
    world = paged(world, 2)
    broadcast, numbers = await sent(world, 5)
    for n, number in enumerate(numbers):
        log.add(f"SM{n}", number, FIRST, NOW + timedelta(seconds=n))
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert {sid for sid, *_ in await statuses(world)} == {None, "SM3", "SM4"}
    assert len(log.asked) == 1
    assert await world.value("SELECT twilio_paging FROM broadcasts") is None
    assert await world.value("SELECT due_at FROM syncs") is None


async def test_the_newest_page_leaves_the_place_alone_that_a_sync_by_hand_is_at(world: World, log: TwilioLog) -> None:
    broadcast, _ = await sent(world, 1)
    await world.query("UPDATE broadcasts SET twilio_paging = '/page/2'")
    await sync(world, log, broadcast, await plan(world, broadcast))
    assert await world.value("SELECT twilio_paging FROM broadcasts") == "/page/2"
