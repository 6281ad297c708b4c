import asyncio
import signal
import socket
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from libs.simulator.config import Config, Limits, load, merged
from libs.simulator.limits import Limiter
from libs.simulator.request_log import most_within
from tests.integration.simulator.running import ALICE, BOB, FROM, eventually, simulator


async def test_the_ledger_tells_what_was_sent_twice() -> None:
    async with simulator() as sim:
        for send in (sim.missive, sim.twilio, sim.missive):
            await send(ALICE, "Hello")
        await sim.missive(ALICE, "Good-bye")
        await sim.missive(BOB, "Hello")
        await sim.control("POST", "/outbound", {"from": FROM, "to": BOB, "body": "Hello"})
        ledger = await sim.control("GET", "/ledger")
        assert [each["carrier"] for each in ledger["messages"]] == ["missive", "twilio", "missive"] + [
            "missive"
        ] * 2 + ["staff"]
        duplicates = ledger["duplicates"]
        assert [(d["to"], d["from"], d["body"], d["count"]) for d in duplicates] == [(ALICE, FROM, "Hello", 3)]
        await sim.control("PUT", "/config", {"equal_by_design": ["Hello"]})
        assert (await sim.control("GET", "/ledger"))["duplicates"] == []


async def test_ids_are_the_same_for_the_same_seed_and_order() -> None:
    async def ids(seed: int) -> list[str]:
        async with simulator(plan={"seed": seed, "hand_over_delay": [0, 0.05]}) as sim:
            for to in (ALICE, BOB):
                await sim.missive(to)
            await eventually(lambda: all(each.sid for each in sim.network.ledger.messages))
            messages = (await sim.control("GET", "/ledger"))["messages"]
            return [message[name] for message in messages for name in ("missive_id", "conversation", "sid")]

    assert await ids(1) == await ids(1)
    assert await ids(1) != await ids(2)


async def test_a_reset_forgets_all_but_the_configuration() -> None:
    async with simulator(plan={"delivery_delay": [0.1, 0.1]}) as sim:
        await sim.missive()
        await sim.control("POST", "/faults", {"kind": "slow"})
        await sim.control("POST", "/inbound", {"from": ALICE, "to": FROM, "body": "STOP"})
        await sim.control("POST", "/reset")
        await asyncio.sleep(0.15)
        assert (await sim.control("GET", "/ledger"))["messages"] == []
        assert (await sim.control("GET", "/requests"))["requests"] == []
        assert await sim.control("GET", "/faults") == []
        assert (await sim.control("GET", "/config"))["plan"]["delivery_delay"] == [0.1, 0.1]
        assert (await sim.twilio()).status_code == 201


async def test_a_configuration_is_changed_in_part_or_not_at_all() -> None:
    async with simulator() as sim:
        await sim.control("PUT", "/config", {"plan": {"reply": 0.5, "numbers": {ALICE: "stop"}}})
        for patch in ({"unknown": 1}, {"plan": {"reply": 2}}, {"plan": {"reply_delay": [2, 1]}}):
            assert (await sim.http.put("/_simulator/config", json=patch)).status_code == 400
        plan = (await sim.control("GET", "/config"))["plan"]
    assert (plan["reply"], plan["stop"], plan["numbers"]) == (0.5, 0, {ALICE: "stop"})


async def test_the_requests_tell_the_pace() -> None:
    async with simulator() as sim:
        for n in range(4):
            await sim.missive(body=f"{n}")
        await sim.log()
        report = await sim.control("GET", "/requests")
        only_totals = await sim.control("GET", "/requests?list=false&kind=twilio_log")
    assert report["totals"]["kinds"] == {"missive_send": 4, "twilio_log": 1}
    assert report["totals"]["peak"]["60s"] == 4
    times = [request["at"] for request in report["requests"]]
    assert times == sorted(times)
    assert only_totals == {"totals": {**only_totals["totals"], "requests": 1, "kinds": {"twilio_log": 1}}}


async def test_the_requests_tell_why_a_message_was_refused() -> None:
    async with simulator(plan={"numbers": {ALICE: "invalid"}}) as sim:
        await sim.missive(to=ALICE)
        await sim.twilio(to=ALICE)
        requests = (await sim.control("GET", "/requests"))["requests"]
    assert [(item["to"], item["status"], item["code"]) for item in requests] == [
        (ALICE, 400, None), (ALICE, 400, 21211)
    ]  # fmt: skip


def test_the_most_within_a_window_is_found_wherever_it_is() -> None:
    assert most_within([], 1.0) == 0
    assert most_within([0.0, 1.0, 2.0], 1.0) == 1
    assert most_within([0.0, 5.0, 5.1, 5.9, 6.0, 9.0], 1.0) == 3


def test_a_window_slides_and_what_was_turned_away_does_not_count() -> None:
    limiter, limits = Limiter(), Limits(concurrent=0, windows=((3, 60.0),))

    def at(now: float) -> bool:
        return limiter.check(limits, concurrent=1, now=now).allowed

    assert [at(now) for now in (0, 30, 59, 59.5, 59.9)] == [True, True, True, False, False]
    verdict = limiter.check(limits, concurrent=1, now=59.9)
    assert verdict.headers["Retry-After"] == "1"
    assert [at(now) for now in (60, 61, 90)] == [True, False, True]


def test_the_configuration_comes_from_the_file_then_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "simulator.json"
    path.write_bytes(msgspec.json.encode({"missive_token": "file", "plan": {"seed": 5, "reply": 0.1}}))
    environment = {"SIMULATOR_MISSIVE_TOKEN": "12345", "SIMULATOR_PLAN": '{"reply": 0.3}', "OTHER": "x"}
    config = load(path, environment)
    assert (config.missive_token, config.plan.seed, config.plan.reply) == ("12345", 5, 0.3)
    assert load(None, {}) == Config()
    with pytest.raises(msgspec.ValidationError):
        merged(config, {"plan": {"sed": 1}})


async def test_the_process_serves_and_ends_cleanly_on_sigterm() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.simulator", "--port", str(port), "--seed", "9", stderr=asyncio.subprocess.PIPE
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        async with asyncio.timeout(90):
            while True:
                try:
                    assert (await http.get("/health/live")).json() == {"status": "live"}
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
        assert (await http.get("/_simulator/config")).json()["plan"]["seed"] == 9
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0
    assert errors == b""
