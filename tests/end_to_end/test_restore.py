"""A database restored to a point in the past, with real services around it: nobody is texted twice, nobody is lost."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.end_to_end.test_broadcast import SECOND, assert_once_and_every_one, completed, messages, scheduled, some_sent
from tests.support import servers
from tests.support.processes import FROM_NUMBER, ROOT, Processes, until

SERVICES = ("api", "planner", "sender", "twilio_sync")


@pytest.mark.timeout(600)  # it starts everything three times
async def test_what_left_after_the_point_is_found_in_the_log_before_anything_leaves_again(
    broadsheet: Processes, database_url: str
) -> None:
    await broadsheet.simulate("PUT", "/config", {"plan": {"reply": 0, "stop": 0}})
    # Slow enough that who answers has not had the second message yet, and that the crash does not come too late.
    rate = broadsheet.environment["BROADSHEET_SEND_RATE"]
    broadsheet.environment["BROADSHEET_SEND_RATE"] = "6"
    await broadsheet.end("sender")
    await broadsheet.start("sender")
    broadcast_id = await scheduled(broadsheet)
    await broadsheet.post("/make")
    await some_sent(broadsheet, broadcast_id, 20)
    for name in SERVICES:
        await broadsheet.end(name)
    point = datetime.now(UTC)
    with servers.copied(database_url) as copy:
        await broadsheet.start(*SERVICES)
        await some_sent(broadsheet, broadcast_id, 40)
        asked, stopped = await _answer(broadsheet)
        await until(lambda: _seconds_left(broadsheet, broadcast_id), seconds=180)
        for name in SERVICES:
            await broadsheet.end(name, signal.SIGKILL)

        broadsheet.environment["BROADSHEET_DATABASE_URL"] = copy
        broadsheet.environment["BROADSHEET_SEND_RATE"] = rate
        await _broadsheet(broadsheet, "restored", "--to", point.isoformat())
        await broadsheet.start(*SERVICES)
        before = await _sent(broadsheet)
        await asyncio.sleep(3)  # six rounds of the watchdog
        assert await _sent(broadsheet) == before

        reconcile = ("reconcile", "--since", point.isoformat())
        # Nobody has written since: the log may lag, and is not believed.
        assert "Write any SMS" in await _broadsheet(broadsheet, *reconcile, status=1)
        assert await _sent(broadsheet) == before
        said = await once_somebody_has_written(broadsheet, *reconcile)
        assert "Broadcasts go on." in said
        await completed(broadsheet, broadcast_id)
        await assert_once_and_every_one(broadsheet, broadcast_id)
        seconds = {t["phone_number"]: t for t in await messages(broadsheet, broadcast_id) if t["is_second"]}
        assert [seconds[number]["state"] for number in (asked, stopped)] == ["skipped", "skipped"]
        for name in SERVICES:
            await broadsheet.end(name)


async def _answer(broadsheet: Processes) -> list[str]:
    """Have the two who got the latest messages answer, one with STOP; return their numbers once that is known."""
    ledger = await broadsheet.simulate("GET", "/ledger")
    # What Missive still has, Twilio does not take any more once its recipient said STOP.
    numbers = [message["to"] for message in ledger["messages"] if message["handed_over_at"] is not None][-2:]
    for number, body in zip(numbers, ("Tell me more", "STOP"), strict=True):
        await broadsheet.simulate("POST", "/inbound", {"from": number, "to": FROM_NUMBER, "body": body})

    async def known() -> bool:
        ledger = await broadsheet.simulate("GET", "/ledger")
        return all(reply["acknowledged_at"] is not None for reply in ledger["inbound"])

    await until(known)
    return numbers


async def _seconds_left(broadsheet: Processes, broadcast_id: int) -> bool:
    report = await broadsheet.get(f"/broadcasts/{broadcast_id}")
    assert report["state"] in ("sending_first", "waiting", "sending_second"), "the crash comes too late"
    ledger = await broadsheet.simulate("GET", "/ledger")
    seconds = [message for message in ledger["messages"] if message["body"] == SECOND]
    return len(seconds) >= 10


async def once_somebody_has_written(broadsheet: Processes, *arguments: str) -> str:
    """Write from a phone that has nothing to do with it, and run `broadsheet` once that is certainly newer."""
    stranger = {"from": "+12485550001", "to": FROM_NUMBER, "body": "Is anybody there?"}
    while True:
        await broadsheet.simulate("POST", "/inbound", stranger)
        status, said = await _run(broadsheet, *arguments)
        if status == 0:
            return said
        assert "Write any SMS" in said


async def _sent(broadsheet: Processes) -> int:
    return int((await broadsheet.simulate("GET", "/ledger?messages=false"))["totals"]["accepted"])


async def _broadsheet(broadsheet: Processes, *arguments: str, status: int = 0) -> str:
    """Run `broadsheet` as an operator does, which is to end so, and give what it said."""
    ended, said = await _run(broadsheet, *arguments)
    assert ended == status, said
    return said


async def _run(broadsheet: Processes, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.console.main", *arguments, cwd=ROOT, env=broadsheet.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()
