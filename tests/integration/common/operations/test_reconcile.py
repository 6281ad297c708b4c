"""After a restore to a point in the past: nobody is texted twice, nobody is lost, who said no is heard.

Each test lets a broadcast begin, takes a copy of its database (`CREATE DATABASE … TEMPLATE`: the restore), lets the
original go on for a while, and goes on from the copy. What was sent is what the carrier's log says.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from libs.common import database
from libs.common.broadcasts import opt_outs, replies, restore_hold
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.outcomes import Accepted
from libs.common.domain.states import ConsentSource
from libs.common.operations import rebuild
from libs.common.operations.reconcile import Report, reconcile
from tests.support import servers
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, FROM, NOW, SECOND, Clock, World, make_settings

POINT = NOW + timedelta(minutes=1)
CARRIERS = ("missive", "twilio")


@dataclass(slots=True)
class Carrier:
    """Takes messages, and logs them."""

    log: TwilioLog = field(default_factory=TwilioLog)
    #: Missive does not tell the sid.
    tells_sid: bool = False

    async def send(self, world: World, broadcast: int, *, is_second: bool = False, size: int = 50) -> list[str]:
        """Send the next messages of a phase; return their numbers."""
        batch = await world.claimed(broadcast, is_second=is_second, size=size)
        started = await world.start(batch)
        for item in started:
            sid = f"SM{len(self.log.entries):032x}"
            self.log.add(sid, item.attempt.to, SECOND if is_second else FIRST, world.clock.now)
            await world.answer(item, Accepted(missive_id=sid[2:], twilio_id=sid if self.tells_sid else None))
        await world.close(batch, started=len(started))
        return [item.attempt.to for item in started]

    def got(self, body: str = FIRST) -> Counter[str]:
        """Return how often each number got a message, by the log."""
        return Counter(entry["to"] for entry in self.log.entries if entry["body"] == body)


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return Carrier(tells_sid=request.param == "twilio")


@pytest.fixture
async def original(database_url: str) -> AsyncIterator[World]:
    async with database.disposing(database.create_engine(database_url)) as engine:
        yield World(engine=engine, settings=make_settings(database_url))


@asynccontextmanager
async def copied(world: World) -> AsyncIterator[World]:
    """Yield a world on a copy of another's database as it is now, held since a minute before."""
    await world.engine.dispose()
    try:
        with servers.copied(world.settings.database_url.get_secret_value()) as url:
            world.engine = database.create_engine(world.settings.database_url.get_secret_value())
            async with database.disposing(database.create_engine(url)) as engine:
                at = world.clock.now
                copy = World(engine=engine, settings=make_settings(url), clock=Clock(at), numbers=world.numbers)
                async with database.transaction(engine) as connection:
                    await restore_hold.hold(connection, at, at)
                yield copy
    finally:
        await world.engine.dispose()


async def settle(world: World, log: TwilioLog) -> Report:
    return await reconcile(world.engine, log.twilio(), world.schedule, world.clock)


async def is_held(world: World) -> bool:
    async with database.transaction(world.engine) as connection:
        return await restore_hold.held(connection)


async def write(world: World, log: TwilioLog, sid: str, sender: str, body: str) -> None:
    """Have somebody write to us: the log has it, and the webhook comes."""
    log.reply(sid, sender, body, world.clock.now)
    inbound = Inbound(provider_id=sid, phone_number=sender, body=body, received_at=world.clock.now)
    async with database.transaction(world.engine) as connection:
        await replies.receive(connection, inbound, world.clock.now)


async def rebuilt(world: World) -> bool:
    """Return whether history gives the very rows that the tables hold."""
    async with database.transaction(world.engine) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        return before == await rebuild.fingerprints(connection)


async def test_a_broadcast_goes_on_from_the_past_and_nobody_gets_a_message_twice(
    original: World, carrier: Carrier
) -> None:
    broadcast = await original.made(12)
    everybody = {message["recipient_phone_number"] for message in await original.messages(broadcast)}
    original.clock.now = POINT
    await carrier.send(original, broadcast, size=3)
    held_back = await original.claimed(broadcast, size=2)
    async with copied(original) as copy:
        await original.close(held_back)
        original.clock.forward(minutes=1)
        sent = await carrier.send(original, broadcast, size=5)
        await write(original, carrier.log, f"SM{1:032d}", sent[0], "Tell me more")
        await write(original, carrier.log, f"SM{2:032d}", sent[1], "STOP")
        unsent = (everybody - set(carrier.got())).pop()
        await write(original, carrier.log, f"SM{3:032d}", unsent, "stop!")

        copy.clock.forward(minutes=10)
        assert await carrier.send(copy, broadcast) == [], "without reconcile nothing starts"
        report = await settle(copy, carrier.log)
        assert (report.accepted[broadcast, False], report.replies, report.opted_out) == (5, 3, 2)
        assert report.lifted
        taken_over = await copy.take(held_back.id, redelivered=True)
        assert taken_over is not None, "its worker has died with the original"
        await copy.close(taken_over)
        while await carrier.send(copy, broadcast, size=4):
            pass
        assert carrier.got() == Counter(everybody - {unsent}), "once each, and nobody is lost"
        assert await copy.advance(broadcast) == "waiting"
        copy.clock.forward(minutes=30)
        assert await copy.advance(broadcast) == "sending_second"
        await carrier.send(copy, broadcast, is_second=True)
        assert carrier.got(SECOND) == Counter(everybody - {unsent, sent[0], sent[1]})
        reasons = Counter(message["skip_reason"] for message in await copy.messages(broadcast, is_second=True))
        assert reasons == {None: 9, "replied": 2, "opted_out": 1}, "a STOP in answer is a reply, too"
        assert await rebuilt(copy)


async def test_without_reconcile_the_copy_would_send_again(original: World, carrier: Carrier) -> None:
    """What the mark is for: this is how a restore without it goes."""
    broadcast = await original.made(4)
    async with copied(original) as copy:
        await carrier.send(original, broadcast)
        await copy.query("DELETE FROM restored")
        await carrier.send(copy, broadcast)
        assert set(carrier.got().values()) == {2}


async def test_a_second_run_does_nothing_new(original: World, carrier: Carrier) -> None:
    broadcast = await original.made(6)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        sent = await carrier.send(original, broadcast, size=3)
        await write(original, carrier.log, f"SM{1:032d}", sent[0], "START")
        copy.clock.forward(minutes=10)
        await settle(copy, carrier.log)
        await carrier.send(copy, broadcast, size=1)
        before = await copy.dump()
        again = await settle(copy, carrier.log)
        named = 0 if carrier.tells_sid else 1
        assert (again.accepted.total(), again.named.total(), again.replies, again.attributed) == (0, named, 0, 0)
        assert again.lifted
        if carrier.tells_sid:
            assert await copy.dump() == before


@pytest.mark.parametrize("broken", ["no_answer", "unreadable", "half_way"])
async def test_a_log_that_cannot_be_read_settles_nothing_and_the_mark_stands(
    original: World, carrier: Carrier, broken: str
) -> None:
    broadcast = await original.made(6)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await carrier.send(original, broadcast, size=3)
        copy.clock.forward(minutes=10)
        log = carrier.log
        if broken == "unreadable":
            log.entries.append({"from": FROM, "to": "+13135550999", "date_created": log.entries[0]["date_created"]})
        elif broken == "no_answer":
            log.failures.append(httpx.Response(503))
        else:
            log.failures += [
                httpx.Response(200, json={"messages": [], "next_page_uri": "https://elsewhere.test/log?Page=1"})
            ]
        before = await copy.dump()
        with pytest.raises(CarrierUnreadable):
            await settle(copy, log)
        assert await copy.dump() == before
        assert await is_held(copy)
        log.entries = [entry for entry in log.entries if "sid" in entry]
        assert (await settle(copy, log)).accepted.total() == 3


async def test_a_log_without_bodies_settles_nothing(original: World, carrier: Carrier) -> None:
    broadcast = await original.made(2)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await carrier.send(original, broadcast, size=1)
        carrier.log.entries[0]["body"] = ""
        copy.clock.forward(minutes=10)
        with pytest.raises(CarrierUnreadable):
            await settle(copy, carrier.log)
        assert await is_held(copy)


async def test_a_message_whose_answer_was_lost_is_found_under_its_own_attempt(
    original: World, carrier: Carrier
) -> None:
    broadcast = await original.made(3)
    batch = await original.claimed(broadcast)
    begun = await original.start(batch, count=1)
    async with copied(original) as copy:
        carrier.log.add(f"SM{7:032x}", begun[0].attempt.to, FIRST, original.clock.now)
        copy.clock.forward(minutes=10)
        await settle(copy, carrier.log)
        first = next(
            message for message in await copy.messages(broadcast) if message["id"] == begun[0].attempt.message_id
        )
        assert (first["state"], first["attempts"], first["attempt_started_at"]) == ("accepted", 1, NOW)
        assert await rebuilt(copy)


async def scheduled(world: World, contacts: int, **fields: Any) -> int:
    await world.contacts(contacts, "all")
    return await world.scheduled(await world.segment("all"), **fields)


async def test_a_broadcast_made_after_the_point_is_made_again_for_those_who_have_its_message(
    original: World, carrier: Carrier
) -> None:
    broadcast = await scheduled(original, 40, max_recipients=10, recurring=True)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        made = await original.make(broadcast)
        sent = await carrier.send(original, broadcast, size=6)
        await write(original, carrier.log, f"SM{1:032d}", sent[0], "STOP")
        copy.clock.forward(minutes=10)
        report = await settle(copy, carrier.log)
        assert report.made == {broadcast: 10}
        assert (report.accepted[broadcast, False], report.strangers, report.paused) == (6, 0, [])
        await carrier.send(copy, broadcast)
        assert set(carrier.got().values()) == {1}
        assert len(carrier.got()) == 10
        assert await copy.value("SELECT count(*) FROM broadcasts WHERE state = 'scheduled'") == 1
        assert await copy.value("SELECT run_at FROM broadcasts WHERE state = 'scheduled'") == made.next_run_at
        assert await copy.value("SELECT count(*) FROM opt_outs") == 1
        assert (await settle(copy, carrier.log)).made == {}
        assert await rebuilt(copy)


@pytest.mark.parametrize("seconds", [-20, 20])
async def test_a_carriers_clock_that_is_off_is_reckoned_with(original: World, carrier: Carrier, seconds: int) -> None:
    """Fault 35: beyond a fixed tolerance of seconds, who had a message was taken for somebody who had none."""
    begun = await original.made(3)
    later = await scheduled(original, 3)
    carrier.log.ahead = timedelta(seconds=seconds)
    async with copied(original) as copy:
        original.clock.forward(seconds=1)
        await carrier.send(original, begun, size=2)
        await original.make(later)
        sent = await carrier.send(original, later, size=2)
        original.clock.forward(seconds=1)
        await write(original, carrier.log, f"SM{1:032d}", sent[0], "Tell me more")
        copy.clock.forward(minutes=10)
        report = await settle(copy, carrier.log)
        assert report.made == {later: 3}
        assert report.accepted == {(begun, False): 2, (later, False): 2}
        assert (report.replies, report.strangers) == (1, 0)
        assert sorted(await copy.states(later, is_second=True)) == ["pending", "pending", "skipped"]
        for broadcast in (begun, later):
            await carrier.send(copy, broadcast)
        assert set(carrier.got().values()) == {1}
        assert await rebuilt(copy)


async def test_a_clock_that_is_too_far_off_settles_nothing(original: World, carrier: Carrier) -> None:
    await original.made(1)
    carrier.log.ahead = timedelta(minutes=2)
    async with copied(original) as copy:
        copy.clock.forward(minutes=10)
        carrier.log.stranger(copy.clock.now)
        with pytest.raises(CarrierUnreadable, match="too far apart"):
            await reconcile(copy.engine, carrier.log.twilio(), copy.schedule, copy.clock, within=timedelta(minutes=1))
        assert await is_held(copy)


async def test_a_stop_to_a_number_of_ours_that_nothing_was_sent_from_is_heard(
    original: World, carrier: Carrier
) -> None:
    """Which numbers are ours is a setting, not what broadcasts were sent from."""
    [contact] = await original.contacts(1, "all")
    number = await original.number_of(contact)
    async with copied(original) as copy:
        carrier.log.reply("SM" + "1" * 32, number, "STOP", copy.clock.forward(minutes=1))
        copy.clock.forward(minutes=10)
        report = await reconcile(copy.engine, carrier.log.twilio(), copy.schedule, copy.clock, (FROM,))
        assert (report.replies, report.opted_out) == (1, 1)
        assert await copy.column("SELECT phone_number FROM opt_outs") == [number]


async def test_days_that_were_lost_are_made_again_one_by_one(original: World, carrier: Carrier) -> None:
    broadcast = await scheduled(original, 5, recurring=True)
    async with copied(original) as copy:
        for _ in range(2):
            made = await original.make(broadcast)
            await carrier.send(original, broadcast, size=3)
            assert made.broadcast.next_broadcast_id is not None
            assert made.next_run_at is not None
            broadcast = made.broadcast.next_broadcast_id
            original.clock.now = made.next_run_at
        copy.clock.now = original.clock.now - timedelta(hours=20)
        report = await settle(copy, carrier.log)
        assert list(report.made.values()) == [5, 5]
        assert report.accepted.total() == 6
        assert await copy.column("SELECT run_at FROM broadcasts WHERE state = 'scheduled'") == [original.clock.now]


async def test_a_broadcast_that_nobody_has_had_is_left_to_its_time(original: World, carrier: Carrier) -> None:
    earlier = await original.made(3, recurring=True)
    tomorrow = await original.value("SELECT id FROM broadcasts WHERE state = 'scheduled'")
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await carrier.send(original, earlier)
        carrier.log.add(f"SM{9:032x}", "+13135559999", FIRST, original.clock.now)
        copy.clock.forward(minutes=10)
        report = await settle(copy, carrier.log)
        assert (report.made, report.strangers) == ({}, 1)
        assert await copy.state(tomorrow) == "scheduled"


async def test_a_broadcast_made_before_its_time_is_made_again_and_paused(original: World, carrier: Carrier) -> None:
    broadcast = await scheduled(original, 3, run_at=NOW + timedelta(days=3))
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await original.make(broadcast)
        await carrier.send(original, broadcast, size=1)
        copy.clock.forward(minutes=10)
        report = await settle(copy, carrier.log)
        assert (report.made, report.paused) == ({broadcast: 3}, [broadcast])
        assert await copy.state(broadcast) == "paused"
        assert await carrier.send(copy, broadcast) == []


async def test_a_reply_that_came_in_while_held_answers_the_broadcast_once_that_is_known(
    original: World, carrier: Carrier
) -> None:
    broadcast = await original.made(2)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        sent = await carrier.send(original, broadcast, size=1)
        copy.clock.forward(minutes=5)
        await write(copy, carrier.log, f"SM{1:032d}", sent[0], "Tell me more")
        assert (await settle(copy, carrier.log)).attributed == 1
        assert sorted(await copy.states(broadcast, is_second=True)) == ["pending", "skipped"]


async def test_a_stop_whose_webhook_came_late_and_after_the_point_is_heard(original: World, carrier: Carrier) -> None:
    broadcast = await original.made(1)
    sent = await carrier.send(original, broadcast)
    original.clock.forward(minutes=1)
    carrier.log.reply("SM-late", sent[0], "STOP", original.clock.now)
    original.clock.forward(minutes=10)  # until here the API was away
    async with copied(original) as copy:
        copy.clock.forward(minutes=5)
        assert (await settle(copy, carrier.log)).opted_out == 1


async def test_a_reply_known_under_missives_id_is_not_taken_twice(original: World, carrier: Carrier) -> None:
    """Else a START of before would undo what staff recorded since."""
    broadcast = await original.made(1)
    sent = await carrier.send(original, broadcast)
    original.clock.forward(seconds=30)
    async with copied(original) as copy:
        copy.clock.forward(seconds=10)
        inbound = Inbound(provider_id="missive-1", phone_number=sent[0], body="START", received_at=copy.clock.now)
        async with database.transaction(copy.engine) as connection:
            await replies.receive(connection, inbound, copy.clock.now)
            await opt_outs.opt_out(connection, sent[0], ConsentSource.STAFF, copy.clock.now)
        carrier.log.reply(f"SM{1:032x}", sent[0], "START", copy.clock.now)
        assert (await settle(copy, carrier.log)).replies == 0
        assert await copy.value("SELECT count(*) FROM opt_outs") == 1


async def test_equal_first_and_second_messages_count_each_for_itself(original: World, carrier: Carrier) -> None:
    broadcast = await original.made(2, second_message=FIRST)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await carrier.send(original, broadcast, size=1)
        copy.clock.forward(minutes=10)
        report = await settle(copy, carrier.log)
        assert report.accepted == {(broadcast, False): 1}


async def test_a_broadcast_without_a_follow_up_is_made_again_without_one(original: World, carrier: Carrier) -> None:
    broadcast = await scheduled(original, 3, second_message=None)
    async with copied(original) as copy:
        await original.make(broadcast)
        original.clock.forward(minutes=1)
        sent = await carrier.send(original, broadcast, size=2)
        copy.clock.now = original.clock.forward(minutes=5)
        report = await settle(copy, carrier.log)
        assert (report.made, report.accepted) == ({broadcast: 3}, {(broadcast, False): len(sent)})
        assert await copy.messages(broadcast, is_second=True) == []
        assert await rebuilt(copy)


async def test_what_was_sent_is_on_record_though_its_first_message_failed_and_is_read_before_it(
    original: World, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.operations.reconcile.AT_ONCE", 1)
    broadcast = await original.made(1)
    async with copied(original) as copy:
        original.clock.forward(minutes=1)
        await carrier.send(original, broadcast)
        carrier.log.entries[-1] |= {"status": "undelivered", "error_code": 30005}
        await original.advance(broadcast)
        original.clock.forward(minutes=20)
        await original.advance(broadcast)
        await carrier.send(original, broadcast, is_second=True)
        copy.clock.now = original.clock.forward(minutes=5)
        report = await settle(copy, carrier.log)
        assert report.accepted == {(broadcast, False): 1, (broadcast, True): 1}
        assert await copy.states(broadcast, is_second=True) == ["accepted"]
        assert await rebuilt(copy)


@pytest.mark.parametrize("words", ["Tell me more", "STOP"])
async def test_what_was_sent_is_on_record_though_it_was_skipped_for_a_reply_while_held(
    original: World, carrier: Carrier, words: str
) -> None:
    broadcast = await original.made(1)
    original.clock.forward(minutes=1)
    sent = await carrier.send(original, broadcast)
    await original.advance(broadcast)
    async with copied(original) as copy:
        original.clock.forward(minutes=20)
        await original.advance(broadcast)
        await carrier.send(original, broadcast, is_second=True)
        copy.clock.now = original.clock.forward(minutes=5)
        await write(copy, carrier.log, f"SM{1:032d}", sent[0], words)
        assert await copy.states(broadcast, is_second=True) == ["skipped"]
        report = await settle(copy, carrier.log)
        assert report.accepted == {(broadcast, True): 1}
        assert await copy.states(broadcast, is_second=True) == ["accepted"]
        assert await rebuilt(copy)
