"""A Messaging Service sends from numbers of its own, and who said STOP to one of them has said it to the service."""

from tests.integration.simulator.running import ALICE, BOB, CAROL, FROM, Simulator, simulator

SERVICE = "MG" + "5" * 32
POOL = ("+13135550031", "+13135550032", "+13135550033")


async def by_service(sim: Simulator, to: str, sid: str = SERVICE) -> dict[str, object]:
    answer = await sim.twilio(to, From="", MessagingServiceSid=sid)
    found: dict[str, object] = answer.json()
    return found


async def test_each_recipient_gets_theirs_from_one_number_of_the_service() -> None:
    async with simulator(messaging_services={SERVICE: POOL}) as sim:
        senders = {to: {(await by_service(sim, to))["from"] for _ in range(3)} for to in (ALICE, BOB, CAROL)}
        entries = (await sim.log()).json()["messages"]
    assert all(len(each) == 1 and each <= set(POOL) for each in senders.values())
    assert {entry["messaging_service_sid"] for entry in entries} == {SERVICE}


async def test_a_service_that_is_not_there_or_has_no_number_sends_nothing() -> None:
    empty = "MG" + "6" * 32
    async with simulator(messaging_services={empty: ()}) as sim:
        assert (await by_service(sim, ALICE))["code"] == 21701
        assert (await by_service(sim, ALICE, empty))["code"] == 21703
        assert sim.network.ledger.messages == []


async def test_a_stop_to_one_number_of_a_service_is_one_to_the_service_until_start() -> None:
    async with simulator(messaging_services={SERVICE: POOL}, from_numbers=[FROM, *POOL]) as sim:
        others = [number for number in POOL if number != sim.network.sender(SERVICE, ALICE)]
        sim.network.receive(from_number=ALICE, to=others[0], body="STOP")
        assert (await by_service(sim, ALICE))["code"] == 21610
        assert (await sim.twilio(ALICE)).status_code == 201  # another number of the account
        sim.network.receive(from_number=ALICE, to=others[1], body="START")
        assert (await by_service(sim, ALICE))["status"] == "queued"
