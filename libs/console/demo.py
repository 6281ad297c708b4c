"""`broadsheet demo`: a whole broadcast over real servers and simulated carriers, in about a minute.

The flow is the real one; only settings are shorter. It runs everything itself, or uses what runs elsewhere
(`--against`), where another demo may have run before. It ends with the two ledgers side by side and says what comparing
them gives; the exit status is 0 only if nobody got a message twice, nobody is lost and nobody heard from us after STOP.
"""

import asyncio
import os
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from rich.live import Live
from rich.table import Table

from libs.common.domain.roles import Role
from libs.common.domain.states import BroadcastState
from libs.console.client import Client
from libs.console.ledger_check import Verdict, judge
from libs.console.local_stack import Running
from libs.console.printing import console, one_line, styled
from libs.console.report import going, outcomes, progress
from libs.console.running import everything, told_to_end

PEOPLE = 300
FIRST_NAMES = (
    "Ana", "Ben", "Chidi", "Dolores", "Elena", "Farid", "Grace", "Hassan", "Imani", "Jorge", "Keisha", "Luis", "Mei",
    "Nadia", "Omar", "Priya", "Rosa", "Samuel", "Tanya", "Walter",
)  # fmt: skip
LAST_NAMES = (
    "Diaz", "Okafor", "Haddad", "Johnson", "Kowalski", "Lee", "Moreno", "Nguyen", "Patel", "Rahman", "Robinson",
    "Sanders", "Torres", "Washington", "Young",
)  # fmt: skip
RECIPIENTS = 240
RATE = 15  # messages a second
PATIENCE = 150.0  # seconds from the start of the broadcast
FIRST = (
    "Buenos días! It's the Detroit desk: how's your street lighting? 💡\n"
    'Reply with "good", 50 % or {} worse. Reply STOP to hear no more.'
)
SECOND = "We'd still love to hear from you: ¿qué tal la luz en su calle? Path C:\\lamps, $$ or %s, it's all welcome 🙂"

SETTINGS = {
    "SEND_RATE": str(RATE),
    "MISSIVE_WINDOWS": "100/5",
    "SECOND_DELAY": "6",
    "SEND_HOLD": "0",
    "LEASE": "3",
    "REQUEST_TIMEOUT": "2",
    "SETTLE_AFTER": "9",
    "SYNC_INTERVAL": "2",
    "HANDOVER_AFTER": "12",
    "WATCHDOG_INTERVAL": "1",
    "QUIET_HOURS": "",
    "CARRIER": "missive",
}
#: Who signs in at the desk of a demo that stays.
VISITOR = {"email": "demo@example.org", "name": "Demo", "role": Role.ADMIN}
ZONES = ("America/Detroit", "Asia/Tokyo", "Europe/Paris")


def simulated(seed: int) -> dict[str, object]:
    """Return the simulator's configuration: what handsets do, and the windows that the settings keep."""
    return {
        "limits": {"concurrent": 5, "windows": [[100, 5.0]]},
        "plan": {
            "seed": seed,
            "reply": 0.25,
            "stop": 0.05,
            "unreachable": 0.04,
            "invalid": 0.03,
            "hand_over_delay": [0.1, 0.6],
            "delivery_delay": [0.3, 2.0],
            "reply_delay": [0.5, 6.0],
        },
    }


#: What goes wrong on the way: one refusal for now, and one connection that breaks after the message was taken.
FAULTS = (
    {"kind": "rate_limited", "on": "send", "skip": 40, "count": 1, "retry_after": 2},
    {"kind": "cut_after", "on": "send", "skip": 90, "count": 1},
)


def people() -> str:
    """Return about 300 contacts as CSV, in three overlapping groups."""
    rows = ["phone_number,name,tags"]
    for n in range(PEOPLE):
        tags = [name for name, every in (("eastside", 2), ("tenants", 3), ("lights", 5)) if n % every == 0]
        name = f"{FIRST_NAMES[n % len(FIRST_NAMES)]} {LAST_NAMES[n // len(FIRST_NAMES)]}"
        rows.append(f"+1313555{1000 + n},{name},{';'.join(tags or ['eastside'])}")
    return "\n".join(rows)


def zone_of_today(now: datetime) -> str:
    """Return a time zone in which it stays today for the next few minutes."""
    later = now + timedelta(minutes=5)
    return next(
        name for name in ZONES if now.astimezone(ZoneInfo(name)).date() == later.astimezone(ZoneInfo(name)).date()
    )


async def run_against(api_url: str, key: str, simulator_url: str) -> bool:
    """Run the demo against an API and a simulator that run already; return whether the verdict holds."""
    running = Running(
        api_url=api_url, api_key=key, database_url="", amqp_url="", simulator_url=simulator_url,
        logs="the containers'", settings={},
    )  # fmt: skip
    return await _broadcast(running, os.environ.get("BROADSHEET_TIMEZONE") or ZONES[0], datetime.now(UTC))


async def run(seed: int, *, stay: bool = False) -> bool:
    """Run the demo; return whether the verdict holds. With `stay` it returns only once it is told to end."""
    zone = os.environ.get("BROADSHEET_TIMEZONE") or zone_of_today(datetime.now(UTC))
    began = asyncio.get_running_loop().time()
    settings = {**SETTINGS, "TIMEZONE": zone}
    async with everything(settings=settings, simulator=simulated(seed), tell=_tell, fresh=True) as (running, _):
        took = asyncio.get_running_loop().time() - began
        _tell(f"api, planner, sender, twilio_sync and the carrier simulator run after {took:.0f} s")
        if not stay:
            return await _broadcast(running, zone, None)
        password = await asyncio.to_thread(welcome, running)
        at_the_desk = f"{running.desk_url}/sign-in as {VISITOR['email']} with the password {password}"
        _tell(f"watch it at the desk: {at_the_desk}")
        holds = await _broadcast(running, zone, None)
        _tell(f"the desk stays: {at_the_desk}")
        _tell("Ctrl-C ends it, and removes what it has written")
        await told_to_end().wait()
        return holds


def invite(running: Running) -> str:
    """Make the desk's first user; return the link behind which a password is chosen."""
    with closing(Client(running.api_url, running.api_key)) as client:
        return str(client.call("POST", "/users", json=VISITOR)["link"])


def welcome(running: Running) -> str:
    """Make the desk's first user, who may do everything; return the password by which one signs in as that user."""
    address = f"{running.api_url.rstrip('/')}{urlsplit(invite(running)).path}"
    password = secrets.token_hex(8)
    page = httpx.get(address).raise_for_status()
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert token is not None, "the page of an invitation has a form"
    # As plain values: a public address has its cookies for https alone, and this is the machine itself.
    form = {"_csrf_token": token[1], "password": password}
    answer = httpx.post(address, data=form, headers={"Cookie": "; ".join(map("=".join, page.cookies.items()))})
    if not answer.has_redirect_location:
        answer.raise_for_status()
        raise AssertionError("the password was not taken")
    return password


async def _broadcast(running: Running, zone: str, began: datetime | None) -> bool:
    """Send a broadcast and judge it. `began` sets its names and messages apart from those of a demo before it."""
    mark = f" ({began:%H:%M:%S.%f})" if began else ""
    bodies = (FIRST + mark, SECOND + mark)
    with closing(Client(running.api_url, running.api_key)) as client:
        broadcast_id = await asyncio.to_thread(prepare, client, running, bodies, mark)
        report = await follow(client, broadcast_id)
        return await asyncio.to_thread(_conclude, client, running, broadcast_id, report, bodies, mark, zone)


def _tell(message: str) -> None:
    console.print(styled("·", "dim"), message, soft_wrap=True)  # an address stays in one piece


def prepare(client: Client, running: Running, bodies: tuple[str, str], mark: str) -> int:
    """Bring in the people, schedule a broadcast for a few seconds from now, and plan what goes wrong."""
    imported = client.call("POST", "/contacts/import", content=people(), headers={"Content-Type": "text/csv"})
    _tell(f"{imported['imported']} contacts imported, in three overlapping segments")
    segments = []
    for name, ratio in (("eastside", 50), ("tenants", 30), ("lights", 20)):
        segment = client.call("POST", "/segments", json={"name": name + mark, "filter": {"any": [name]}})
        segments.append({"segment_id": segment["id"], "ratio": ratio})
    run_at = datetime.now(UTC) + timedelta(seconds=3)
    broadcast = client.call(
        "POST",
        "/broadcasts",
        json={
            "run_at": run_at.isoformat(),
            "first_message": bodies[0],
            "second_message": bodies[1],
            "segments": segments,
            "max_recipients": RECIPIENTS,
        },
    )
    httpx.post(f"{running.simulator_url}/_simulator/faults", json=list(FAULTS)).raise_for_status()
    _tell(f"broadcast {broadcast['id']} runs at {run_at:%H:%M:%S} UTC, by its schedule; a 429 and a cut line await it")
    return int(broadcast["id"])


async def follow(client: Client, broadcast_id: int) -> dict[str, Any]:
    """Show the broadcast go by; return the report it ends with, or the last one before patience ran out."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    shown = ""
    with Live(console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
        while True:
            report: dict[str, Any] = await asyncio.to_thread(client.call, "GET", f"/broadcasts/{broadcast_id}/report")
            if console.is_terminal:
                live.update(progress(report) if report["state"] == BroadcastState.COMPLETED else going(report))
            elif report["state"] != shown:
                shown = report["state"]
                _tell(f"{shown}: {report['ledger']['accepted']} sent, {report['replies']} replies")
            if report["state"] == BroadcastState.COMPLETED or asyncio.get_running_loop().time() > ends:
                return report
            await asyncio.sleep(0.4)


def _conclude(
    client: Client,
    running: Running,
    broadcast_id: int,
    report: Mapping[str, Any],
    bodies: tuple[str, str],
    mark: str,
    zone: str,
) -> bool:
    """Show the report, the history and both ledgers; return whether the verdict holds."""
    console.print(progress(report))
    for table in outcomes(client.call("GET", f"/broadcasts/{broadcast_id}/outcomes"), only_wrong=True):
        console.print(table)
    ledger = report["ledger"]
    _show_segments(report)
    _show_history(f"broadcast-{broadcast_id}", client.all(f"/broadcasts/{broadcast_id}/events"))
    theirs = httpx.get(f"{running.simulator_url}/_simulator/ledger").raise_for_status().json()
    # Without a mark every message is this broadcast's, also one whose body arrived garbled.
    theirs["messages"] = [message for message in theirs["messages"] if mark in message["body"]]
    planned = client.all(f"/broadcasts/{broadcast_id}/messages")
    verdict = judge(planned, bodies, theirs)
    _show_ledgers(ledger, theirs["messages"], verdict)
    following = client.call("GET", f"/broadcasts/{report['next_broadcast_id']}")
    run_at = datetime.fromisoformat(following["run_at"]).astimezone(ZoneInfo(zone))
    console.print(f"The next broadcast, {following['id']}, runs on {run_at:%A %d %B at %H:%M:%S} ({zone}).")
    completed = report["state"] == BroadcastState.COMPLETED
    colour = "green" if verdict.holds and completed else "red"
    words = f"{verdict.messages} messages, {verdict.twice} twice, {verdict.lost} lost, {verdict.after_stop} after STOP"
    if not completed:
        words += f" (still {report['state']})"
    console.print(styled(words, f"bold {colour}"))
    if not (verdict.holds and completed):
        console.print(f"The logs are in {running.logs}.")
    return verdict.holds and completed


def _show_segments(report: Mapping[str, Any]) -> None:
    table = Table("segment", "asked for", "drawn", "short by", title="audience", title_justify="left")
    for segment in report["segments"]:
        table.add_row(segment["name"], *(str(segment[name]) for name in ("quota", "drawn", "shortfall")))
    console.print(table)


def _show_history(own: str, events: list[dict[str, Any]]) -> None:
    """Print the events of the broadcast's own stream one by one, the others by their number."""
    table = Table("time", "event", "who", "what", title="history", title_justify="left")
    others: dict[str, int] = {}
    for event in events:
        if event["stream"] != own:
            others[event["type"]] = others.get(event["type"], 0) + 1
            continue
        named = ("run_at", "recipients", "second_due_at", "next_broadcast_id", "unsettled")
        what = ", ".join(f"{name} {event['data'][name]}" for name in named if event["data"].get(name) is not None)
        who = event["actor_name"] or event["actor"]
        table.add_row(event["occurred_at"][11:23], event["type"], one_line(who), what)
    for name, count in sorted(others.items()):
        table.add_row("", name, "", f"{count} of them", style="dim")
    console.print(table)


def _show_ledgers(ours: Mapping[str, Any], theirs: Sequence[Mapping[str, Any]], verdict: Verdict) -> None:
    table = Table("", "database", "carrier", title="the two ledgers", title_justify="left")
    table.add_row("planned", str(ours["planned"]), "")
    table.add_row("accepted", str(ours["accepted"]), str(len(theirs)))
    for code, count in ours["refused"].items():
        table.add_row(f"refused: {code}", str(count), "")
    for reason, count in ours["skipped"].items():
        table.add_row(f"skipped: {reason}", str(count), "")
    table.add_row("uncertain", str(ours["uncertain"]), "")
    table.add_row("not handed over", str(ours["not_handed_over"]), "")
    for status, count in sorted(Counter(message["status"] for message in theirs).items()):
        table.add_row(f"… {status}", "", str(count))
    table.add_row("twice", "", str(verdict.twice))
    console.print(table)
