"""Whole broadcasts: the processes, over HTTP, against the simulator."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common import database
from libs.common.operations import rebuild
from tests.support.processes import Processes, until

FIRST = "¿Cómo está? It's \"free\" – 100 % {} {2} \\ $$ 'x'; DROP TABLE contacts; -- 🗳️\nÁrbol"
SECOND = "Second: it’s 5 o'clock\n%s %(x)s {} \\n 🙂"
PEOPLE = 120
NAME = "Zebedee-Quux"
STRANGER = {"from": "+12485550001", "to": "+13135550198", "body": "Are you open today?"}
ENDED = {"accepted", "refused", "skipped"}
SETTLE = 300.0  # seconds within which a broadcast of this size is over, on a busy machine too

pytestmark = pytest.mark.timeout(600)


def csv(count: int = PEOPLE) -> str:
    """Return contacts in three overlapping groups."""
    rows = ["phone_number,name,tags"]
    for i in range(count):
        tags = ["all", *(["east"] if i % 2 else []), *(["west"] if i % 3 else [])]
        rows.append(f"+1313555{2000 + i},{NAME} {i},{';'.join(tags)}")
    return "\n".join(rows)


async def scheduled(broadsheet: Processes, *, count: int = PEOPLE, run_in: float = 3600.0, **changes: Any) -> int:
    """Import contacts, create segments and a broadcast later today; return its id."""
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
    """Wait for the final report and return it. Meanwhile a stranger writes to another number of the account.

    A message whose answer was lost is sent again only when Twilio's log shows a newer entry. Nothing is newer than the
    last messages of a phase, so without the stranger the phase may wait for 15 minutes.
    """

    async def over() -> dict[str, Any] | None:
        await broadsheet.simulate("POST", "/inbound", STRANGER)
        report: dict[str, Any] = await broadsheet.get(f"/broadcasts/{broadcast_id}/report")
        return report if report["state"] == "completed" else None

    async def instead() -> dict[str, Any]:
        report = await broadsheet.get(f"/broadcasts/{broadcast_id}/report")
        unfinished = [each for each in await messages(broadsheet, broadcast_id) if each["state"] not in ENDED]
        events = await broadsheet.get(f"/broadcasts/{broadcast_id}/events?limit=100")
        return {"report": report, "messages": unfinished, "events": events}

    report: dict[str, Any] = await until(over, seconds=SETTLE, every=1.0, instead=instead)
    return report


async def some_sent(broadsheet: Processes, broadcast_id: int, count: int) -> None:
    """Wait until so many messages of a broadcast are accepted."""

    async def sent() -> bool:
        report = await broadsheet.get(f"/broadcasts/{broadcast_id}/report")
        return bool(report["ledger"]["accepted"] >= count)

    await until(sent, seconds=SETTLE)


async def messages(broadsheet: Processes, broadcast_id: int) -> list[dict[str, Any]]:
    """Return all messages of a broadcast."""
    found: list[dict[str, Any]] = []
    path = f"/broadcasts/{broadcast_id}/messages?limit=100"
    cursor = ""
    while True:
        page = await broadsheet.get(path + cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def _story(
    broadsheet: Processes, broadcast_id: int, planned: list[dict[str, Any]], numbers: set[str]
) -> list[object]:
    """Return all that either side knows of some numbers, for who has to find out why a test failed."""
    ledger = await broadsheet.simulate("GET", "/ledger")
    known = [message for message in planned if message["phone_number"] in numbers]
    ids = {message["id"] for message in known}
    events: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await broadsheet.get(f"/broadcasts/{broadcast_id}/events?limit=100{cursor and f'&cursor={cursor}'}")
        events += page["items"]
        cursor = page["next_cursor"]
    about = [
        event
        for event in events
        if ids & {event["data"].get("message_id"), *event["data"].get("message_ids", [])}
        or any(status["message_id"] in ids for status in event["data"].get("statuses", []))
        or event["data"].get("contact_id") in {message["contact_id"] for message in known}
    ]
    sent = [message for message in ledger["messages"] if message["to"] in numbers]
    return [known, sent, [reply for reply in ledger["inbound"] if reply["from"] in numbers], about]


async def assert_once_and_every_one(broadsheet: Processes, broadcast_id: int) -> None:
    """Compare the simulator's ledger with the database's: nobody twice, nobody lost, byte for byte."""
    ledger = await broadsheet.simulate("GET", "/ledger")
    sent = Counter((each["to"], each["body"]) for each in ledger["messages"])
    assert {key: n for key, n in sent.items() if n > 1} == {}, "somebody got the same message twice"
    planned = await messages(broadsheet, broadcast_id)
    assert {each["state"] for each in planned} <= ENDED
    ours = {(t["phone_number"], SECOND if t["is_second"] else FIRST) for t in planned if t["state"] == "accepted"}
    differing = {number for number, _ in ours ^ set(sent)}
    assert not differing, f"the two ledgers differ: {await _story(broadsheet, broadcast_id, planned, differing)}"
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


async def test_lost_answers_and_refusals_for_now_neither_double_nor_lose_a_message_and_history_tells_it_all(
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
    async with (
        database.disposing(database.create_engine(database_url)) as engine,
        database.transaction(engine) as connection,
    ):
        before = await rebuild.fingerprints(connection)
        await rebuild.rebuild(connection)
        assert await rebuild.fingerprints(connection) == before


async def test_a_sender_killed_in_the_middle_of_a_phase_costs_nobody_a_message(broadsheet: Processes) -> None:
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
    before = (await broadsheet.simulate("GET", "/ledger?messages=false"))["totals"]["accepted"]
    assert await broadsheet.end("sender", signal.SIGCONT) == -signal.SIGALRM
    assert (await broadsheet.simulate("GET", "/ledger?messages=false"))["totals"]["accepted"] == before
    await assert_once_and_every_one(broadsheet, broadcast_id)


async def test_messages_go_through_twilio_itself_with_delivery_reports(
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
            described = (await client.get(f"{broadsheet.health(name)}/asyncapi")).json()
            assert described["info"]["title"] == f"Broadsheet {name}"
