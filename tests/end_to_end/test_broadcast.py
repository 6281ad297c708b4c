"""Whole broadcasts: the processes, over HTTP, against the simulator."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from libs.common import database, rebuild
from tests.support.processes import Processes, until

FIRST = "¿Cómo está? It's \"free\" – 100 % {name} \\ $$ 'x'; DROP TABLE contacts; -- 🗳️\nÁrbol"
SECOND = "Second: it’s 5 o'clock\n%s %(x)s {} \\n 🙂"
PEOPLE = 120
NAME = "Zebedee-Quux"
SETTLE = 180.0  # seconds within which a broadcast of this size is over


def csv(count: int = PEOPLE) -> str:
    """Give contacts in three overlapping groups."""
    rows = ["phone_number,name,tags"]
    for i in range(count):
        tags = ["all", *(["east"] if i % 2 else []), *(["west"] if i % 3 else [])]
        rows.append(f"+1313555{2000 + i},{NAME} {i},{';'.join(tags)}")
    return "\n".join(rows)


async def scheduled(broadsheet: Processes, *, count: int = PEOPLE, run_in: float = 3600.0, **changes: Any) -> int:
    """Import contacts, create segments and a broadcast later today; give its id."""
    await broadsheet.post("/contacts/import", content=csv(count), headers={"Content-Type": "text/csv"})
    east = await broadsheet.post("/segments", json={"name": "east", "filter": {"any": ["east"]}})
    all_ = await broadsheet.post("/segments", json={"name": "all", "filter": {"any": ["all"]}})
    body = {
        "run_at": (datetime.now(UTC) + timedelta(seconds=run_in)).isoformat(),
        "first_message": FIRST,
        "second_message": SECOND,
        "segments": [{"segment_id": east["id"], "ratio": 50}, {"segment_id": all_["id"], "ratio": 50}],
        "max_recipients": count,
        **changes,
    }
    created = await broadsheet.post("/broadcasts", json=body)
    return int(created["id"])


async def completed(broadsheet: Processes, broadcast_id: int) -> dict[str, Any]:
    """Wait for the final report and give it."""

    async def over() -> dict[str, Any] | None:
        report: dict[str, Any] = await broadsheet.get(f"/broadcasts/{broadcast_id}/report")
        return report if report["state"] == "completed" else None

    report: dict[str, Any] = await until(over, seconds=SETTLE, every=0.3)
    return report


async def some_sent(broadsheet: Processes, broadcast_id: int, count: int) -> None:
    """Wait until so many texts of a broadcast are accepted."""

    async def sent() -> bool:
        report = await broadsheet.get(f"/broadcasts/{broadcast_id}/report")
        return bool(report["ledger"]["accepted"] >= count)

    await until(sent, seconds=SETTLE)


async def messages(broadsheet: Processes, broadcast_id: int) -> list[dict[str, Any]]:
    """Give all texts of a broadcast."""
    found: list[dict[str, Any]] = []
    path = f"/broadcasts/{broadcast_id}/messages?limit=100"
    cursor = ""
    while True:
        page = await broadsheet.get(path + cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def assert_once_and_every_one(broadsheet: Processes, broadcast_id: int) -> None:
    """Compare the simulator's ledger with the database's: nobody twice, nobody lost, byte for byte."""
    ledger = await broadsheet.simulate("GET", "/ledger")
    sent = Counter((text["to"], text["body"]) for text in ledger["texts"])
    assert {key: n for key, n in sent.items() if n > 1} == {}, "somebody got the same text twice"
    texts = await messages(broadsheet, broadcast_id)
    assert {text["state"] for text in texts} <= {"accepted", "refused", "skipped"}
    ours = {(t["phone_number"], SECOND if t["is_second"] else FIRST) for t in texts if t["state"] == "accepted"}
    assert ours == set(sent), "the two ledgers differ"
    assert ledger["totals"]["after_stop"] == 0


async def test_a_whole_broadcast_goes_from_its_schedule_to_its_final_report(broadsheet: Processes) -> None:
    broadcast_id = await scheduled(broadsheet, run_in=2.0)
    report = await completed(broadsheet, broadcast_id)
    await assert_once_and_every_one(broadsheet, broadcast_id)
    ledger = report["ledger"]
    ended = ledger["accepted"] + sum(ledger["refused"].values()) + sum(ledger["skipped"].values())
    assert ended == ledger["planned"] == 2 * PEOPLE
    assert ledger["skipped"]["replied"] > 0
    assert report["delivered"] > 0
    following = await broadsheet.get(f"/broadcasts/{report['next_broadcast_id']}")
    assert following["state"] == "scheduled"
    assert [segment["ratio"] for segment in following["segments"]] == [50, 50]
    assert following["first_message"] == FIRST


async def test_a_reply_or_a_stop_keeps_the_second_message_away(broadsheet: Processes) -> None:
    numbers = {"+13135552000": "stop", "+13135552001": "reply"}
    plan = {"reply": 0, "stop": 0, "unreachable": 0, "invalid": 0, "reply_delay": [0.1, 0.5], "numbers": numbers}
    await broadsheet.simulate("PUT", "/config", {"plan": plan})
    broadcast_id = await scheduled(broadsheet, count=10)
    await broadsheet.post("/make")
    await completed(broadsheet, broadcast_id)
    seconds = {t["phone_number"]: t for t in await messages(broadsheet, broadcast_id) if t["is_second"]}
    assert seconds["+13135552001"]["skip_reason"] == "replied"
    assert seconds["+13135552000"]["skip_reason"] in ("opted_out", "replied")
    assert {t["state"] for n, t in seconds.items() if n not in numbers} == {"accepted"}
    await assert_once_and_every_one(broadsheet, broadcast_id)


async def test_lost_answers_and_refusals_for_now_neither_double_nor_lose_a_text_and_history_tells_it_all(
    broadsheet: Processes, database_url: str
) -> None:
    faults = [
        {"kind": "rate_limited", "on": "send", "skip": 5, "count": 1, "retry_after": 1},
        {"kind": "cut_after", "on": "send", "skip": 10, "count": 3, "every": 7},
        {"kind": "cut_before", "on": "send", "skip": 12, "count": 3, "every": 11},
        {"kind": "error_after", "on": "send", "skip": 20, "count": 2, "every": 5},
        {"kind": "error_before", "on": "send", "skip": 25, "count": 2, "every": 5},
        {"kind": "slow", "on": "send", "skip": 40, "count": 1, "seconds": 3.0},
        {"kind": "shift_pages", "on": "log", "every": 2, "count": 5, "entries": 3},
        {"kind": "log_unreadable", "on": "log", "count": 1},
    ]
    await broadsheet.simulate("POST", "/faults", faults)
    broadcast_id = await scheduled(broadsheet)
    await broadsheet.post("/make")
    await completed(broadsheet, broadcast_id)
    await assert_once_and_every_one(broadsheet, broadcast_id)
    async with database.create_pool(database_url) as pool, database.transaction(pool) as connection:
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


async def test_a_sender_killed_in_the_middle_of_a_phase_costs_nobody_a_text(broadsheet: Processes) -> None:
    await broadsheet.start("sender2")
    broadcast_id = await scheduled(broadsheet)
    await broadsheet.post("/make")
    await some_sent(broadsheet, broadcast_id, 20)
    assert await broadsheet.end("sender", signal.SIGKILL) == -signal.SIGKILL
    await completed(broadsheet, broadcast_id)
    await assert_once_and_every_one(broadsheet, broadcast_id)


async def test_a_sender_that_is_told_to_end_gives_back_what_it_has_not_started(broadsheet: Processes) -> None:
    broadcast_id = await scheduled(broadsheet)
    await broadsheet.post("/make")
    await some_sent(broadsheet, broadcast_id, 10)
    assert await broadsheet.end("sender") == 0
    states = Counter(t["state"] for t in await messages(broadsheet, broadcast_id))
    assert states["claimed"] == states["started"] == 0
    assert states["pending"] > 0
    await broadsheet.start("sender")
    await completed(broadsheet, broadcast_id)
    await assert_once_and_every_one(broadsheet, broadcast_id)


async def test_a_sender_stopped_past_its_lease_sends_nothing_when_it_wakes(broadsheet: Processes) -> None:
    await broadsheet.start("sender2")
    broadcast_id = await scheduled(broadsheet)
    await broadsheet.post("/make")
    await some_sent(broadsheet, broadcast_id, 20)
    broadsheet.send("sender", signal.SIGSTOP)
    await completed(broadsheet, broadcast_id)
    before = (await broadsheet.simulate("GET", "/ledger?texts=false"))["totals"]["accepted"]
    assert await broadsheet.end("sender", signal.SIGCONT) == -signal.SIGALRM
    assert (await broadsheet.simulate("GET", "/ledger?texts=false"))["totals"]["accepted"] == before
    await assert_once_and_every_one(broadsheet, broadcast_id)


async def test_texts_go_through_twilio_itself_with_delivery_reports(
    tmp_path: Path, database_url: str, amqp_url: str
) -> None:
    broadsheet = Processes(tmp_path, database_url, amqp_url, CARRIER="twilio")
    try:
        await broadsheet.start("simulator")
        plan = {"reply": 0, "stop": 0, "unreachable": 0, "invalid": 0.1, "delivery_delay": [0.1, 0.3]}
        await broadsheet.configure_simulator(plan=plan)
        await broadsheet.start("api", "planner", "sender", "twilio_sync")
        broadcast_id = await scheduled(broadsheet, count=40)
        await broadsheet.post("/make")
        report = await completed(broadsheet, broadcast_id)
        await assert_once_and_every_one(broadsheet, broadcast_id)
        assert report["ledger"]["refused"].keys() == {"21211"}
    finally:
        await broadsheet.close()


async def test_every_service_tells_how_it_is(broadsheet: Processes) -> None:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        for name in ("api", "planner", "sender", "twilio_sync"):
            for path in ("health/live", "health/ready", "metrics"):
                assert (await client.get(f"{broadsheet.health(name)}/{path}")).is_success, (name, path)
        for name in ("planner", "sender", "twilio_sync"):
            assert "Broadsheet" in (await client.get(f"{broadsheet.health(name)}/asyncapi")).text
