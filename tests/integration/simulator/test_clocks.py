"""Carriers whose clocks are off: what shows it, and what does not."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from libs.simulator.clock import CarrierClock
from tests.integration.simulator.running import ALICE, BOB, FROM, Simulator, application, eventually, simulator

NEAR = 1.5  # seconds: dates are cut to the second


def ahead(date: datetime) -> float:
    return (date - datetime.now(UTC)).total_seconds()


def answered(response: httpx.Response) -> float:
    """Return how far the clock of whoever answered is ahead; there is one date, not two."""
    [date] = response.headers.get_list("Date")
    assert date.endswith(" GMT")
    return ahead(parsedate_to_datetime(date))


async def answers(sim: Simulator) -> dict[str, list[httpx.Response]]:
    missive = [await sim.missive(ALICE), await sim.message("unknown"), await sim.http.get("/v1/nothing")]
    twilio = [await sim.twilio(BOB), await sim.log(), await sim.http.get("/2010-04-01/nothing")]
    return {"missive": missive, "twilio": twilio}


async def test_every_answer_has_the_date_by_the_clock_of_whoever_gives_it() -> None:
    clocks = {"missive": {"offset": -30.0}, "twilio": {"offset": 20.0}}
    async with simulator(clocks=clocks) as sim:
        given = await answers(sim)
        own = [await sim.http.get(path) for path in ("/health/live", "/_simulator/ledger")]
        own.append(await sim.http.post("/_simulator/faults", json={"kind": "unknown"}))
    assert [answered(response) for response in given["missive"]] == pytest.approx([-30] * 3, abs=NEAR)
    assert [answered(response) for response in given["twilio"]] == pytest.approx([20] * 3, abs=NEAR)
    assert [answered(response) for response in own] == pytest.approx([0] * 3, abs=NEAR)


async def test_a_refusal_for_a_limit_and_an_error_have_the_date_too() -> None:
    async with simulator(limits={"windows": [[1, 60.0]]}, clocks={"missive": {"offset": 9.0}}) as sim:
        await sim.control("POST", "/faults", {"kind": "error_before"})
        refused = [await sim.missive(), await sim.missive(), await sim.http.post("/v1/drafts")]
    assert [response.status_code for response in refused] == [500, 429, 401]
    assert [answered(response) for response in refused] == pytest.approx([9.0] * 3, abs=NEAR)


async def test_the_log_has_twilios_times_and_is_filtered_by_them() -> None:
    today = datetime.now(UTC).date()
    async with simulator(clocks={"twilio": {"offset": -7 * 86400.0}}) as sim:
        await sim.twilio()
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "hello"})
        listed = (await sim.log()).json()["messages"]
        assert len(await sim.logged_bodies(DateSent=str(today - timedelta(days=7)))) == 2
        assert await sim.logged_bodies(DateSent=str(today)) == []
    for entry in listed:
        for name in ("date_created", "date_sent", "date_updated"):
            assert ahead(parsedate_to_datetime(entry[name])) == pytest.approx(-7 * 86400, abs=NEAR)


async def test_missives_messages_and_webhooks_have_its_times() -> None:
    async with application() as app, simulator(clocks={"missive": {"offset": 40.0}}) as sim:
        await sim.control("PUT", "/config", {"missive_webhook_url": app.url + "/webhooks/missive"})
        sent = (await sim.missive()).json()["drafts"]["id"]
        message: dict[str, Any] = (await sim.message(sent)).json()["messages"]
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "hello"})
        await eventually(lambda: len(app.received) == 1)
        told = app.received[0].content["message"]
    for times in (message, told):
        for name in ("created_at", "delivered_at"):
            assert ahead(datetime.fromtimestamp(times[name], UTC)) == pytest.approx(40, abs=NEAR)


async def test_a_clock_that_is_set_leaves_what_it_said_before() -> None:
    async with simulator() as sim:
        await sim.twilio(ALICE)
        await sim.control("PUT", "/config", {"clocks": {"twilio": {"offset": 100.0}}})
        await sim.twilio(BOB)
        config = await sim.control("GET", "/config")
        listed = (await sim.log()).json()["messages"]
        accepted = [message["accepted_at"] for message in (await sim.control("GET", "/ledger"))["messages"]]
    times = [ahead(parsedate_to_datetime(entry["date_created"])) for entry in listed]
    assert times == pytest.approx([100, 0], abs=NEAR)
    assert [ahead(datetime.fromtimestamp(at, UTC)) for at in accepted] == pytest.approx([0, 0], abs=NEAR)
    assert config["clocks"] == {"missive": {"offset": 0, "drift": 0}, "twilio": {"offset": 100, "drift": 0}}


def test_a_clock_that_drifts_is_off_by_more_with_each_second() -> None:
    clock = CarrierClock()
    clock.set(offset=2.0, drift=0.5, at=100.0)
    clock.set(offset=0.0, drift=0.0, at=110.0)
    assert [clock.read(at) for at in (99.0, 100.0, 104.0, 110.0)] == [99.0, 102.0, 108.0, 110.0]
