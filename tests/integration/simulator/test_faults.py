import asyncio
import logging

import httpx
import pytest

from libs.simulator import twilio_log
from libs.simulator.faults import Fault, Faults
from tests.integration.simulator.running import ALICE, BOB, FROM, LOG, Simulator, application, eventually, simulator


async def accepted(sim: Simulator) -> int:
    totals = (await sim.control("GET", "/ledger?messages=false"))["totals"]
    assert isinstance(totals["accepted"], int)
    return totals["accepted"]


@pytest.mark.parametrize(("kind", "taken"), [("cut_after", 1), ("cut_before", 0)])
async def test_a_cut_connection_is_an_error_to_the_client_and_no_noise(
    kind: str, taken: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with simulator() as sim:
        await sim.control("POST", "/faults", {"kind": kind, "count": 1})
        with caplog.at_level(logging.INFO), pytest.raises(httpx.RemoteProtocolError):
            await sim.missive()
        assert await accepted(sim) == taken
        request = (await sim.control("GET", "/requests"))["requests"][0]
        assert (request["status"], request["fault"], request["to"]) == (None, kind, ALICE)
        assert (await sim.missive()).status_code == 201
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        ({"kind": "error_before", "status": 503}, 503, 0),
        ({"kind": "error_after", "status": 500}, 500, 1),
        ({"kind": "rate_limited", "retry_after": 7}, 429, 0),
        ({"kind": "slow", "seconds": 0.05}, 201, 1),
    ],
)
async def test_an_answer_tells_as_much_as_the_fault_wants(fault: dict[str, object], status: int, taken: int) -> None:
    async with simulator() as sim:
        for send in (sim.missive, sim.twilio):
            await sim.control("POST", "/reset")
            await sim.control("POST", "/faults", fault)
            response = await send()
            assert response.status_code == status
            assert response.headers.get("Retry-After") == ("7" if status == 429 else None)
            assert await accepted(sim) == taken
        assert (await sim.control("GET", "/requests"))["totals"]["violations"] == 0


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        ({"kind": "error_before", "status": 400}, 400, 0),
        ({"kind": "error_after", "status": 502}, 502, 1),
        ({"kind": "rate_limited"}, 429, 0),
    ],
)
async def test_a_gateway_may_answer_for_the_carrier(fault: dict[str, object], status: int, taken: int) -> None:
    async with simulator() as sim:
        for send in (sim.missive, sim.twilio):
            await sim.control("POST", "/reset")
            await sim.control("POST", "/faults", {**fault, "html": True})
            response = await send()
            assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html")
            assert response.text.startswith("<html>")
            assert await accepted(sim) == taken


async def test_a_fault_hits_whom_it_matches() -> None:
    async with simulator() as sim:
        await sim.control("POST", "/faults", [{"kind": "error_before", "to": BOB, "carrier": "missive"}])
        assert (await sim.missive(ALICE)).status_code == 201
        assert (await sim.twilio(BOB)).status_code == 201
        assert (await sim.missive(BOB)).status_code == 500
        report = await sim.control("GET", "/faults")
        assert (report[0]["seen"], report[0]["fired"]) == (1, 1)
        await sim.control("DELETE", "/faults")
        assert (await sim.missive(BOB)).status_code == 201


async def test_a_message_may_never_be_handed_over() -> None:
    async with simulator() as sim:
        await sim.control("POST", "/faults", {"kind": "never_handed_over", "count": 1})
        assert [(await sim.missive(to)).status_code for to in (ALICE, BOB)] == [201, 201]
        statuses = [message["status"] for message in (await sim.control("GET", "/ledger"))["messages"]]
    assert statuses == ["never_handed_over", "delivered"]


async def test_a_request_without_its_body_is_no_message() -> None:
    async with simulator() as sim:
        address = httpx.URL(sim.url)
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"POST /v1/drafts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        await eventually(lambda: len(sim.network.request_log.all) == 1)
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: sim.network.request_log.all[0].answered_at is not None)
        totals = (await sim.control("GET", "/requests"))["totals"]
    assert totals["kinds"] == {"abandoned": 1}
    assert totals["peak"]["60s"] == 0


async def test_the_log_may_be_unreadable() -> None:
    async with simulator() as sim:
        await sim.missive()
        await sim.control("POST", "/faults", {"kind": "log_unreadable", "count": 1})
        assert (await sim.log()).status_code == 500
        assert len((await sim.log()).json()["messages"]) == 1


async def test_a_log_that_lags_is_as_it_was() -> None:
    async with simulator(plan={"delivery_delay": [0.2, 0.2]}) as sim:
        await sim.twilio(ALICE)
        await eventually(lambda: sim.network.ledger.messages[0].status == "delivered")
        [message] = sim.network.ledger.messages
        assert message.sent_at is not None
        for as_of, expected in (
            (message.accepted_at - 0.01, []),
            (message.handed_over_at, [("queued", False)]),
            (message.sent_at, [("sent", True)]),
            (message.updated_at, [("delivered", True)]),
        ):
            view = twilio_log.View(clock=sim.network.clocks["twilio"], as_of=as_of)
            listed = twilio_log.page(sim.network.ledger, LOG, twilio_log.parse(""), view=view, shift=0)["messages"]
            assert [(entry["status"], entry["date_sent"] is not None) for entry in listed] == expected
        await sim.control("POST", "/faults", {"kind": "log_lag", "seconds": 60, "count": 1})
        assert await sim.logged_bodies() == []
        assert len(await sim.logged_bodies()) == 1


async def test_a_log_that_stands_still_shows_nothing_that_came_after_the_fault_until_it_ends() -> None:
    async with simulator(plan={"delivery_delay": [0.3, 0.3]}) as sim:
        await sim.missive(ALICE, "before")
        await sim.control("POST", "/faults", {"kind": "log_frozen", "lasts": 5.0})
        before = (await sim.log()).json()["messages"]
        await sim.missive(BOB, "after")
        await sim.control("POST", "/inbound", {"from": BOB, "to": FROM, "body": "a reply"})
        await eventually(lambda: sim.network.ledger.messages[0].status == "delivered")
        assert (await sim.log()).json()["messages"] == before
        assert [entry["status"] for entry in before] == ["queued"]
        await sim.control("DELETE", "/faults")
        after = (await sim.log()).json()["messages"]
    assert [entry["body"] for entry in after] == ["a reply", "after", "before"]
    assert after[2]["status"] == "delivered"


async def test_a_log_hits_something_only_where_it_hides_something() -> None:
    async with simulator() as sim:
        await sim.missive(ALICE)
        await sim.control("POST", "/faults", {"kind": "log_frozen"})
        await sim.missive(BOB)
        await sim.log(To=ALICE)
        assert (await sim.control("GET", "/faults"))[0]["fired"] == 0
        await sim.log(To=BOB)
        assert (await sim.control("GET", "/faults"))[0]["fired"] == 1


async def test_webhooks_may_come_twice_or_never() -> None:
    async with application() as app, simulator() as sim:
        await sim.control("PUT", "/config", {"twilio_sms_webhook_url": app.url + "/sms"})
        await sim.control("POST", "/faults", [{"kind": "repeat", "count": 1}, {"kind": "drop", "count": 1}])
        for body in ("twice", "never", "once"):
            await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": body})
        await eventually(lambda: len(app.received) == 3)
    assert sorted(webhook.form["Body"] for webhook in app.received) == ["once", "twice", "twice"]


async def test_a_fault_that_makes_no_sense_is_refused() -> None:
    async with simulator() as sim:
        for fault in ({"kind": "unknown"}, {"kind": "drop", "on": "send"}, {"kind": "slow", "typo": 1}):
            response = await sim.http.post("/_simulator/faults", json=fault)
            assert response.status_code == 400


async def test_a_fault_tells_when_it_first_hit_something() -> None:
    async with simulator() as sim:
        numbers = await sim.control("POST", "/faults", [{"kind": "slow", "to": BOB}, {"kind": "error_before"}])
        await sim.missive(ALICE)
        idle, hit = await sim.control("GET", "/faults")
    assert numbers == [idle["n"], hit["n"]]
    assert (idle["fired"], idle["fired_at"]) == (0, None)
    assert hit["fired"] == 1
    assert hit["at"] <= hit["fired_at"]


def test_a_fault_that_lasts_so_long_is_over_then() -> None:
    clock = iter([10.0, 12.9, 13.0])
    faults = Faults(1, lambda: next(clock))
    faults.add(Fault(kind="slow", lasts=3.0))
    assert [faults.find("send", ("slow",), carrier="missive") is not None for _ in range(2)] == [True, False]


def fired(fault: Fault, times: int, seed: int = 1) -> list[int]:
    faults = Faults(seed, lambda: 0.0)
    faults.add(fault)
    return [n for n in range(1, times + 1) if faults.find("send", (fault.kind,), carrier="missive") is not None]


def test_each_third_request_after_the_first_two_is_hit_twice_at_most() -> None:
    assert fired(Fault(kind="slow", skip=2, every=3, count=2), 20) == [5, 8]


def test_chance_is_the_same_for_the_same_seed() -> None:
    fault = Fault(kind="slow", probability=0.3)
    assert fired(fault, 1000) == fired(fault, 1000)
    assert fired(fault, 1000) != fired(fault, 1000, seed=2)
    assert 250 < len(fired(fault, 1000)) < 350
