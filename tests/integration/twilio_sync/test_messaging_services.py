"""A Messaging Service as a sender: the real sender and the real reading of the log, against the simulator."""

from dataclasses import replace

from libs.common import database
from libs.common.broadcasts import replies, sending_numbers
from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers import create_twilio
from libs.common.domain.commands import SendBatch, SettleUncertain, SyncStatuses
from libs.simulator.faults import Fault
from services.sender.batch_sender import Sender
from services.twilio_sync.settling import Settle
from services.twilio_sync.status_sync import Sync
from tests.integration.simulator.running import ACCOUNT, SECRET, Simulator, simulator
from tests.support.deliveries import delivery
from tests.support.world import FROM, Clock, World, make_settings

SERVICE = "MG" + "5" * 32
POOL = ("+13135550031", "+13135550032", "+13135550033")
PLAN = {"messaging_services": {SERVICE: POOL}, "from_numbers": POOL}


def live(world: World, sim: Simulator) -> World:
    settings = make_settings(
        world.settings.database_url, carrier="twilio", missive_token="", twilio_url=sim.url, twilio_account_sid=ACCOUNT,
        twilio_auth_token=SECRET, public_url=sim.url, send_rate=200,
    )  # fmt: skip
    return replace(world, settings=settings, clock=Clock(None))


async def with_service(world: World) -> None:
    """Have a Messaging Service send for our number."""
    number = await world.sending_number()
    await world.query("UPDATE sending_numbers SET messaging_service_sid = %s WHERE id = %s", SERVICE, number)
    await world.query("INSERT INTO messaging_services VALUES (%s, %s)", SERVICE, number)


async def send(world: World, broadcast: int) -> None:
    twilio = create_twilio(world.settings)
    step = SendBatch(broadcast_id=broadcast, batch_id=await world.plan(broadcast), is_second=False)
    await Sender(world.worker, world.settings, twilio).send_batch(step, delivery())
    await twilio.aclose()


async def test_a_service_sends_in_place_of_the_number_and_the_log_tells_what_became_of_it(world: World) -> None:
    async with simulator(**PLAN) as sim:
        world = live(world, sim)
        await with_service(world)
        broadcast = await world.made(6)
        await send(world, broadcast)
        assert await world.states(broadcast) == ["accepted"] * 6
        assert {message.from_number for message in sim.network.ledger.messages} <= set(POOL)
        twilio = create_twilio(world.settings)
        await Sync(world.worker, world.settings, twilio, None).sync_statuses(
            SyncStatuses(broadcast_id=broadcast), delivery()
        )
        await twilio.aclose()
    found = await world.column("SELECT twilio_sent_status FROM broadcast_sent_message_status")
    assert found == ["delivered"] * 6


async def test_lost_answers_are_found_by_the_service_whichever_number_it_took(world: World) -> None:
    """Nobody gets a text twice: an entry from a number that is none of ours is ours all the same."""
    async with simulator(**PLAN) as sim:
        world = live(world, sim)
        await with_service(world)
        broadcast = await world.made(5)
        sim.network.faults.add(Fault(kind="cut_after", carrier="twilio", on="send", count=2))
        await send(world, broadcast)
        assert sorted(await world.states(broadcast)) == ["accepted"] * 3 + ["uncertain"] * 2
        clock = Clock(world.clock.now)
        clock.forward(seconds=world.settings.settle_after + 30)
        later = replace(world, clock=clock)
        twilio = create_twilio(later.settings)
        settle = Settle(later.worker, later.settings, twilio)
        await settle.settle_uncertain(SettleUncertain(broadcast_id=broadcast), delivery())
        await twilio.aclose()
        assert len(sim.network.ledger.messages) == 5
    assert await world.states(broadcast) == ["accepted"] * 5


async def test_what_a_former_service_has_sent_is_found_still(world: World) -> None:
    async with simulator(**PLAN) as sim:
        world = live(world, sim)
        await with_service(world)
        await world.query("UPDATE sending_numbers SET messaging_service_sid = NULL")
        async with database.transaction(world.engine) as connection:
            assert await sending_numbers.services(connection) == {SERVICE: FROM}


async def test_a_reply_to_any_number_of_a_service_answers_the_broadcast_of_its_number(world: World) -> None:
    await with_service(world)
    contact = (await world.contacts(1, "both"))[0]
    segment = await world.segment("both")
    first = await world.scheduled(segment)
    await world.make(first)
    await world.send(first)
    world.clock.forward(minutes=1)
    other = await world.scheduled(segment, from_number="+13135550199")
    await world.make(other)
    await world.send(other)
    world.clock.forward(minutes=1)
    written = Inbound(
        provider_id="SM1", phone_number=await world.number_of(contact), body="hello", received_at=world.clock.now,
        to=POOL[1], service=SERVICE,
    )  # fmt: skip
    async with database.transaction(world.engine) as connection:
        await replies.receive(connection, written, world.clock.now)
    assert await world.column("SELECT broadcast_id FROM replies") == [first]
