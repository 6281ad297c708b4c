"""Whole batches, with a carrier that answers as a test says."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import messages
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.clock import utc_now
from libs.common.domain.commands import SendBatch
from libs.common.rate_limits import concurrency
from libs.common.runtime import tasks
from libs.common.runtime.worker import Worker
from services.planner import watchdog
from services.sender import batches
from services.sender.batch_sender import Sender
from tests.support import lateness, outages
from tests.support.deliveries import delivery
from tests.support.processes import until
from tests.support.scripted import ScriptedCarrier, never
from tests.support.world import FIRST, FROM, Clock, World, make_settings


@pytest.fixture
def fast(world: World) -> World:
    """A world in real time, where a batch takes a moment."""
    return quick(replace(world, clock=Clock(None)))


def quick(world: World, **fields: Any) -> World:
    return replace(
        world,
        settings=make_settings(world.settings.database_url, **{"send_rate": 200, **fields}),
    )


async def batch(world: World, broadcast_id: int, *, is_second: bool = False) -> SendBatch:
    batch_id = await world.plan(broadcast_id, is_second=is_second)
    return SendBatch(broadcast_id=broadcast_id, batch_id=batch_id, is_second=is_second)


async def send(world: World, broadcast_id: int, carrier: ScriptedCarrier) -> Worker:
    """Send one batch, and give the worker that did it."""
    worker = world.worker
    await Sender(worker, world.settings, carrier).send_batch(await batch(world, broadcast_id), delivery())
    return worker


async def test_every_message_of_a_batch_is_asked_for_once_byte_for_byte(fast: World) -> None:
    """Fault 21: quotes, `$$`, backslashes broke the SQL they were pasted into."""
    broadcast = await fast.made(6)
    carrier = ScriptedCarrier()
    await send(fast, broadcast, carrier)
    numbers = [row["recipient_phone_number"] for row in await fast.messages(broadcast)]
    assert sorted(item.to for item in carrier.requests) == sorted(numbers)
    assert {(item.from_number, item.body) for item in carrier.requests} == {(FROM, FIRST)}


async def test_each_answer_moves_its_message(fast: World) -> None:
    """Fault 20: answer, delete, insert, each its own statement."""
    broadcast = await fast.made(4)
    carrier = ScriptedCarrier([
        Accepted(missive_id="M1", missive_conversation_id="C1", twilio_id="S1", twilio_status="queued"),
        Refused(code="21211", reason="not valid"),
        Deferred(code="http_408", reason="again"),
        Unknown(reason="timeout"),
    ])  # fmt: skip
    await send(fast, broadcast, carrier)
    by_number = {row["recipient_phone_number"]: row for row in await fast.messages(broadcast)}
    rows = [by_number[item.to] for item in carrier.requests]
    assert [row["state"] for row in rows] == ["accepted", "refused", "pending", "uncertain"]
    assert [row["failures"] for row in rows] == [0, 1, 1, 0]
    status = await fast.query(
        "SELECT outgoing_message_id, outcome, missive_id, missive_conversation_id, twilio_id, twilio_sent_status,"
        " twilio_error_code FROM broadcast_sent_message_status ORDER BY outcome"
    )
    assert [tuple(row.values()) for row in status] == [
        (rows[0]["id"], "accepted", "M1", "C1", "S1", "queued", None),
        (rows[1]["id"], "refused", None, None, None, None, "21211"),
    ]


async def test_a_batch_that_is_over_is_closed_and_says_so_after_its_last_answer(fast: World) -> None:
    """Fault 17: the clean-up ran before the results were in."""
    broadcast = await fast.made(5)
    await send(fast, broadcast, ScriptedCarrier(seconds=0.1))
    assert await fast.opens(broadcast) == []
    [sent] = await fast.happened("BatchSent")
    assert (sent["started"], sent["returned"]) == (5, [])
    assert await fast.states(broadcast) == ["accepted"] * 5


async def test_the_same_step_twice_sends_nothing_twice(fast: World) -> None:
    """Fault 15."""
    broadcast = await fast.made(6)
    carrier = ScriptedCarrier(seconds=0.05)
    step = await batch(fast, broadcast)
    senders = [Sender(fast.worker, fast.settings, carrier) for _ in range(3)]
    await asyncio.gather(*(sender.send_batch(step, delivery()) for sender in senders))
    await senders[0].send_batch(step, delivery())
    assert Counter(item.to for item in carrier.requests).most_common(1)[0][1] == 1
    assert len(carrier.requests) == 6


async def test_a_message_whose_answer_is_lost_is_not_sent_again(fast: World) -> None:
    """Fault 33: a rollback around the provider call returned sent rows to the queue."""
    broadcast = await fast.made(1)
    carrier = ScriptedCarrier([Unknown(reason="connection_lost")])
    await send(fast, broadcast, carrier)
    await fast.query("UPDATE pace SET held_until = '-infinity'")
    await send(fast, broadcast, carrier)
    assert len(carrier.requests) == 1
    assert len(await fast.planned("MessagesUncertain")) == 1


async def test_a_message_that_fails_again_and_again_is_given_up_with_its_code(fast: World) -> None:
    """Fault 18: failed messages were given back for ever, so a phase never ended."""
    broadcast = await fast.made(1)
    carrier = ScriptedCarrier([Deferred(code="http_408", reason="again", retry_after=0)] * 9)
    for _ in range(5):
        await send(fast, broadcast, carrier)
    assert len(carrier.requests) == fast.settings.max_attempts
    [message] = await fast.messages(broadcast)
    assert (message["state"], message["failures"]) == ("refused", 3)
    assert await fast.value("SELECT twilio_error_code FROM broadcast_sent_message_status") == "http_408"


async def test_a_carrier_that_says_wait_is_left_alone_by_everybody(fast: World) -> None:
    broadcast = await fast.made(3)
    carrier = ScriptedCarrier([Deferred(code="http_429", reason="too fast", retry_after=30)])
    fast = quick(fast, send_concurrency=1)
    await send(fast, broadcast, carrier)
    asked = len(carrier.requests)
    await send(fast, broadcast, carrier)
    assert asked <= 2  # one may have had its slot before the answer came
    assert len(carrier.requests) == asked
    held = await fast.value("SELECT extract(epoch FROM held_until - now()) FROM pace WHERE key = 'missive'")
    assert 25 < held <= 30


async def test_the_last_message_of_a_window_is_no_failure(fast: World) -> None:
    """Everybody waits for the next window, but the next failure is a first one and costs a second, not a minute."""
    broadcast = await fast.made(1)
    await send(fast, broadcast, ScriptedCarrier([Accepted(missive_id="M1", wait=30)]))
    row = (await fast.query("SELECT failures, held_until > now() + interval '25s' AS held FROM pace"
                            " WHERE key = 'missive'"))[0]  # fmt: skip
    assert (row["failures"], row["held"]) == (0, True)


async def test_an_error_that_hits_every_message_pauses_the_broadcast(fast: World) -> None:
    broadcast = await fast.made(20)
    fast = quick(fast, send_concurrency=1)
    carrier = ScriptedCarrier([Deferred(code="http_401", reason="credentials")] * 20)
    await send(fast, broadcast, carrier)
    assert await fast.state(broadcast) == "paused"
    assert await fast.value("SELECT pause_reason FROM broadcasts") == "http_401"
    assert len(carrier.requests) <= 2  # one may have started before the answer came
    assert await fast.states(broadcast) == ["pending"] * 20


async def test_whom_the_carrier_knows_to_have_opted_out_gets_nothing_more(fast: World) -> None:
    broadcast = await fast.made(1)
    await send(fast, broadcast, ScriptedCarrier([Refused(code="21610", reason="opted out")]))
    assert await fast.column("SELECT source FROM opt_outs") == ["carrier"]
    assert [row["skip_reason"] for row in await fast.messages(broadcast, is_second=True)] == ["opted_out"]


async def test_quiet_hours_are_those_of_the_organisations_clock(world: World) -> None:
    """Fault 33: texting hours were enforced in UTC."""
    world = replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00"))
    broadcast = await world.made(1)
    world.clock.now = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)  # 21:30 in Detroit
    carrier = ScriptedCarrier()
    await send(world, broadcast, carrier)
    assert carrier.requests == []
    world.clock.now = datetime(2026, 3, 5, 1, 30, tzinfo=UTC)  # 20:30 in Detroit
    await send(world, broadcast, carrier)
    assert len(carrier.requests) == 1


async def test_the_carrier_is_told_to_keep_no_message_into_the_quiet_hours(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00"))
    broadcast = await world.made(1)
    world.clock.now = datetime(2026, 3, 5, 1, 58, tzinfo=UTC)  # 20:58 in Detroit
    carrier = ScriptedCarrier()
    await send(world, broadcast, carrier)
    [request] = carrier.requests
    assert request.valid_for is not None
    assert 100 <= request.valid_for <= 120 - 5


async def test_a_request_that_is_late_for_its_validity_is_not_made(world: World) -> None:
    world = replace(world, settings=make_settings(world.settings.database_url, quiet_hours="21:00-08:00"))
    broadcast = await world.made(1)
    world.clock.now = datetime(2026, 3, 5, 1, 59, 45, tzinfo=UTC)

    def connect() -> float:
        world.clock.forward(seconds=8)  # 20:59:53: what Twilio may keep it for would end at 21:00:03
        return 0.0

    carrier = ScriptedCarrier(connecting=connect)
    await send(world, broadcast, carrier)
    assert carrier.requests == []
    assert await world.states(broadcast) == ["pending"]


async def test_nothing_starts_after_the_batchs_time(fast: World) -> None:
    """Fault 18: what was not reached in 60 s was lost."""
    fast = quick(fast, send_rate=5, batch_seconds=2, batch_size=50)
    broadcast = await fast.made(50)
    fast.settings.__dict__["batch_messages"] = 50
    carrier = ScriptedCarrier()
    began = time.monotonic()
    with lateness.measured() as late:
        await send(fast, broadcast, carrier)
    assert set(await fast.states(broadcast)) == {"accepted", "pending"}
    times = [item.at for item in carrier.requests]
    assert max(times) - min(times) < fast.settings.batch_seconds + 0.5 + late.worst
    # However late requests are, none comes before its slot.
    assert all(earlier <= (at - began) * fast.settings.send_rate for earlier, at in enumerate(sorted(times)))


async def test_a_batch_that_is_told_to_stop_gives_back_what_it_has_not_started(fast: World) -> None:
    """SIGTERM, in the middle of a batch."""
    fast = quick(fast, send_rate=20)
    broadcast = await fast.made(30)
    worker = fast.worker
    carrier = ScriptedCarrier(seconds=0.2)
    step = await batch(fast, broadcast)
    sending = asyncio.create_task(Sender(worker, fast.settings, carrier).send_batch(step, delivery()))

    async def some_left() -> bool:
        return len(carrier.requests) >= 3

    await until(some_left, every=0.01)
    worker.stopping.set()
    await sending
    states = Counter(await fast.states(broadcast))
    assert states == {"accepted": len(carrier.requests), "pending": 30 - len(carrier.requests)}
    assert len(carrier.requests) < 30
    assert await fast.opens(broadcast) == []


async def test_a_worker_that_dies_in_a_request_leaves_a_message_that_is_not_sent_again(fast: World) -> None:
    """Fault 16: a crash left claimed rows claimed for ever."""
    fast = quick(fast, send_concurrency=1, watchdog_interval=0.5)
    broadcast = await fast.made(4)
    carrier = ScriptedCarrier([never])
    step = await batch(fast, broadcast)
    dying = asyncio.create_task(Sender(fast.worker, fast.settings, carrier).send_batch(step, delivery()))

    async def asked() -> bool:
        return bool(carrier.requests)

    await until(asked, every=0.01)
    while not dying.done():
        dying.cancel()
        await asyncio.sleep(0.01)
    [started] = [row for row in await fast.messages(broadcast) if row["state"] == "started"]
    later = utc_now() + timedelta(seconds=60)
    async with database.transaction(fast.engine) as connection:
        assert await messages.give_up_waiting(connection, later, later) == 1
    await fast.query("UPDATE permits SET held_until = '-infinity'; ")
    await fast.query("UPDATE batches SET lease_until = '-infinity'")
    await Sender(fast.worker, fast.settings, carrier).send_batch(step, delivery())
    states = {row["id"]: row["state"] for row in await fast.messages(broadcast)}
    assert states.pop(started["id"]) == "uncertain"
    assert set(states.values()) == {"accepted"}
    assert Counter(item.to for item in carrier.requests).most_common(1)[0][1] == 1


async def test_nothing_renews_the_lease_of_a_batch_that_has_failed(
    fast: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A engine may let a cancellation go that comes together with a connection: the heartbeat went on for a minute."""
    fast = quick(fast, lease=0.6)
    broadcast = await fast.made(2)
    renewing = asyncio.Event()
    renewals: list[float] = []
    renew = batches.renew

    async def deaf_once(*args: Any, **kwargs: Any) -> bool:
        renewals.append(time.monotonic())
        if not renewing.is_set():
            renewing.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
        return await renew(*args, **kwargs)

    async def database_lost() -> Outcome:
        await renewing.wait()
        raise psycopg.OperationalError

    monkeypatch.setattr(batches, "renew", deaf_once)
    monkeypatch.setattr(tasks, "AGAIN", 0.01)
    step = await batch(fast, broadcast)
    with pytest.raises(psycopg.OperationalError):
        await Sender(fast.worker, fast.settings, ScriptedCarrier([database_lost])).send_batch(step, delivery())
    failed = time.monotonic()
    await asyncio.sleep(3 * fast.settings.lease)
    assert [at for at in renewals if at > failed] == []


async def test_a_started_message_becomes_uncertain_only_when_no_worker_can_still_wait_for_it(world: World) -> None:
    broadcast = await world.made(1)
    await world.start(await world.claimed(broadcast))
    patience = world.settings.lease + world.settings.request_timeout
    world.clock.forward(seconds=patience - 0.1)
    await watchdog.look(world.worker, world.clock.now, {})
    assert await world.states(broadcast) == ["started"]
    world.clock.forward(seconds=0.2)
    await watchdog.look(world.worker, world.clock.now, {})
    assert await world.states(broadcast) == ["uncertain"]


async def test_a_request_is_not_written_once_its_attempt_is_older_than_the_lease(fast: World) -> None:
    """Others settle an attempt by its age: waiting for a lock before it is committed must not make it look younger."""
    fast = quick(fast, lease=0.6)
    broadcast = await fast.made(1)
    carrier = ScriptedCarrier()
    step = await batch(fast, broadcast)
    await fast.query("INSERT INTO pace (key, next_at) SELECT 'number:' || id, now() + '3 s' FROM sending_numbers")
    async with database.transaction(fast.engine) as connection:
        sending = asyncio.create_task(Sender(fast.worker, fast.settings, carrier).send_batch(step, delivery()))

        async def claimed() -> bool:
            return await fast.states(broadcast) == ["claimed"]

        await until(claimed, every=0.005)
        await connection.execute(text("SELECT 1 FROM broadcasts FOR NO KEY UPDATE"))
        await fast.until_somebody_waits()
        await asyncio.sleep(0.7)
    await sending
    assert carrier.requests == []
    assert await fast.states(broadcast) == ["pending"]


async def test_three_senders_never_have_more_requests_under_way_than_the_provider_allows(fast: World) -> None:
    fast = quick(fast, send_concurrency=4, send_rate=500, batch_size=20)
    broadcast = await fast.made(60)
    carrier = ScriptedCarrier(seconds=0.05)
    senders = [Sender(fast.worker, fast.settings, carrier) for _ in range(3)]
    steps = [await batch(fast, broadcast) for _ in senders]
    await asyncio.gather(*(sender.send_batch(step, delivery()) for sender, step in zip(senders, steps, strict=True)))
    assert len(carrier.requests) == 60
    assert carrier.busiest == 4


async def test_three_senders_keep_the_pace_of_one_number_together(fast: World) -> None:
    rate = 40
    fast = quick(fast, send_concurrency=20, send_rate=rate, batch_size=20)
    broadcast = await fast.made(60)
    carrier = ScriptedCarrier()
    senders = [Sender(fast.worker, fast.settings, carrier) for _ in range(3)]
    steps = [await batch(fast, broadcast) for _ in senders]
    sending = (sender.send_batch(step, delivery()) for sender, step in zip(senders, steps, strict=True))
    with lateness.measured() as late:
        await asyncio.gather(*sending)
    times = sorted(item.at for item in carrier.requests)
    assert len(times) == 60
    # Any window: no more than the rate allows, give or take the lateness of a busy machine.
    tolerance = 0.25 + late.worst
    for first in range(60):
        for last in range(first + 1, 60):
            assert times[last] - times[first] >= (last - first - 4) / rate - tolerance


async def test_who_waited_together_for_a_slow_carrier_does_not_start_together(fast: World) -> None:
    """Their slots passed while all requests were taken: what starts then needs slots of then."""
    rate = 4
    fast = quick(fast, send_rate=rate, batch_size=1)
    broadcast = await fast.made(4)
    async with database.transaction(fast.engine) as connection:
        await concurrency.prepare(connection, "missive", 5)
    taken = await concurrency.acquire(fast.engine, "missive", count=5, want=5, seconds=60)
    carrier = ScriptedCarrier()
    senders = [Sender(fast.worker, fast.settings, carrier) for _ in range(4)]
    steps = [await batch(fast, broadcast) for _ in senders]
    sending = [
        asyncio.create_task(sender.send_batch(step, delivery())) for sender, step in zip(senders, steps, strict=True)
    ]
    await asyncio.sleep(2.0)  # all of their slots are over
    assert carrier.requests == []
    await concurrency.release(fast.engine, "missive", taken)
    with lateness.measured() as late:
        await asyncio.gather(*sending)
    times = sorted(item.at for item in carrier.requests)
    assert len(times) == 4
    assert times[-1] - times[0] > 2 / rate - late.worst


async def test_answers_that_come_while_the_database_is_away_are_recorded_once_it_is_back(database_url: str) -> None:
    """Fault 20: a crash between the answer and its record sends again or forgets."""
    async with database.disposing(database.create_engine(database_url)) as engine:
        world = quick(World(engine=engine, settings=make_settings(database_url), clock=Clock(None)), lease=10)
        broadcast = await world.made(1)

        async def answer() -> Outcome:
            gone.enter_context(outages.database_away(database_url))
            asyncio.get_running_loop().call_later(0.5, gone.close)
            return Accepted(missive_id="M1")

        with contextlib.ExitStack() as gone:
            await send(world, broadcast, ScriptedCarrier([answer]))
        assert await world.states(broadcast) == ["accepted"]


async def test_each_message_uses_its_part_of_the_tightest_allowance(fast: World) -> None:
    fast = quick(fast, send_rate=50, missive_windows="300/3")
    broadcast = await fast.made(6)
    number = await fast.value("SELECT id FROM sending_numbers")

    def used() -> float:
        return REGISTRY.get_sample_value("broadsheet_pace_used_seconds_total", {"limit": f"number:{number}"}) or 0

    before = used()
    await send(fast, broadcast, ScriptedCarrier())
    assert used() - before == pytest.approx(6 / 50)


async def test_an_answer_with_a_sid_that_is_another_messages_already_is_an_acceptance_all_the_same(
    world: World,
) -> None:
    """The answer failed on the unique sid, was lost, and the message was uncertain for no reason."""
    broadcast = await world.made(2)
    taken = Accepted(twilio_id="SM1", twilio_status="queued")
    await send(world, broadcast, ScriptedCarrier([taken, taken]))
    assert await world.states(broadcast) == ["accepted", "accepted"]
    sids = await world.column("SELECT twilio_id FROM broadcast_sent_message_status ORDER BY twilio_id NULLS LAST")
    assert sids == ["SM1", None]


async def test_the_carriers_clock_is_noted_from_the_first_answer_on(world: World) -> None:
    """A reply may come within the second, and is dated by that clock."""
    carrier = ScriptedCarrier()
    carrier.meter.note({"Content-Type": "application/json", "Date": formatdate(usegmt=True)}, carrier.meter.now())
    await send(world, await world.made(1), carrier)
    [known] = await world.query("SELECT carrier, low, high FROM carrier_clocks")
    assert known["carrier"] == "missive"
    assert known["low"] <= 0 <= known["high"]
