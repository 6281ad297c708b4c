"""What becomes of messages of no broadcast whose answer was lost, or that say nothing of their delivery."""

from libs.common import database
from libs.common.broadcasts import single_attempts, single_log
from libs.common.carriers.clocks import SAME
from libs.common.carriers.outcomes import Accepted, Outcome, Unknown
from services.twilio_sync.single_settling import SettleSingles
from services.twilio_sync.status_sync import changed
from tests.integration.twilio_sync.lost import prove
from tests.support.singles import TO, WORDS, ask, row
from tests.support.twilio_log import TwilioLog
from tests.support.world import FIRST, FROM, World

LOST = Unknown(reason="connection_lost")


async def start(world: World, outcome: Outcome, *, to: str = TO, body: str = WORDS) -> int:
    """Have a message started and answered."""
    message = await ask(world, to=to, body=body)
    async with database.transaction(world.engine) as connection:
        due = await single_attempts.due(connection, world.clock.now)
        assert due is not None
        started = await single_attempts.start(connection, due, quiet_until=None, now=world.clock.now)
        assert started is not None
        await single_attempts.record(
            connection, started, outcome, carrier="twilio", max_attempts=3, look_after=120, now=world.clock.now
        )
    return message


async def look(world: World, log: TwilioLog) -> None:
    await SettleSingles(world.settings, log.twilio()).look(world.worker)


async def test_a_message_that_the_log_has_was_accepted(world: World, log: TwilioLog) -> None:
    message = await start(world, LOST)
    log.add("SM1", TO, WORDS, world.clock.now)
    world.clock.forward(seconds=120)
    await look(world, log)
    found = await row(world, message)
    assert (found["state"], found["twilio_id"], found["twilio_sent_status"]) == ("accepted", "SM1", "delivered")
    assert found["look_at"] is None


async def test_a_message_that_was_never_sent_has_failed_and_is_not_sent_again(world: World, log: TwilioLog) -> None:
    message = await start(world, LOST)
    world.clock.forward(seconds=120)
    prove(world, log)
    await look(world, log)
    found = await row(world, message)
    assert (found["state"], found["twilio_error_code"]) == ("refused", "no_answer")


async def test_without_a_proof_it_stays_uncertain(world: World, log: TwilioLog) -> None:
    message = await start(world, LOST)
    world.clock.forward(seconds=120)
    await look(world, log)
    assert (await row(world, message))["state"] == "uncertain"
    log.add("SM1", TO, WORDS, world.clock.now)
    world.clock.forward(seconds=61)
    await look(world, log)
    assert (await row(world, message))["state"] == "accepted"


async def test_whether_it_was_delivered_comes_from_the_log(world: World, log: TwilioLog) -> None:
    message = await start(world, Accepted(twilio_id="SM1", twilio_status="queued"))
    log.add("SM1", TO, WORDS, world.clock.now, status="undelivered", error_code=30003)
    world.clock.forward(seconds=121)
    await look(world, log)
    found = await row(world, message)
    assert (found["twilio_sent_status"], found["twilio_error_code"]) == ("undelivered", "30003")


async def test_a_delivery_report_is_recorded_by_its_sid(world: World) -> None:
    message = await start(world, Accepted(twilio_id="SM1", twilio_status="queued"))
    async with database.transaction(world.engine) as connection:
        assert await single_log.report(connection, "SM1", "delivered", None, world.clock.now)
        assert not await single_log.report(connection, "SM1", "sent", None, world.clock.now)
        assert not await single_log.report(connection, "SM2", "sent", None, world.clock.now)
    assert (await row(world, message))["twilio_sent_status"] == "delivered"


async def test_the_entry_of_a_test_is_not_taken_for_that_of_the_broadcast_s_message(
    world: World, log: TwilioLog
) -> None:
    """A test has the broadcast's own words, and a colleague may be in its audience."""
    broadcast = await world.made(1)
    [sent] = await world.send(broadcast)
    world.clock.forward(seconds=5)
    await start(world, Accepted(missive_id="M-test"), to=sent.attempt.to, body=FIRST)
    log.add("SMtest", sent.attempt.to, FIRST, world.clock.now)
    page = await log.twilio().messages(from_number=FROM, since=world.clock.now, page_size=100)
    async with database.transaction(world.engine) as connection:
        assert await changed(connection, broadcast, FROM, page.entries, SAME) == []
    world.clock.forward(seconds=121)
    await look(world, log)
    assert await world.column("SELECT twilio_id FROM single_messages") == ["SMtest"]
