"""`broadsheet demo`: a whole broadcast over real servers and simulated carriers, in about a minute.

The flow is the real one; only settings are shorter. It runs everything itself, or uses what runs elsewhere
(`--against`), where another demo may have run before. It ends with the two ledgers side by side and says what comparing
them gives; the exit status is 0 only if nobody got a text twice, nobody is lost and nobody heard from us after STOP.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from libs.console.client import Client
from libs.console.running import Running, everything
from libs.console.verdict import Verdict, judge

console = Console()

PEOPLE = 300
RECIPIENTS = 240
RATE = 15  # texts a second
PATIENCE = 150.0  # seconds from the start of the broadcast
FIRST = (
    "Buenos días! It's the Detroit desk: how's your street lighting? 💡\n"
    'Reply with "good", 50 % or {worse}. Reply STOP to hear no more.'
)
SECOND = "We'd still love to hear from you: ¿qué tal la luz en su calle? Path C:\\lamps, $$ or %s, it's all welcome 🙂"

SETTINGS = {
    "SEND_RATE": str(RATE),
    "MISSIVE_WINDOWS": "100/5",
    "SECOND_DELAY": "6",
    "LEASE": "3",
    "REQUEST_TIMEOUT": "2",
    "SETTLE_AFTER": "9",
    "SYNC_INTERVAL": "2",
    "WATCHDOG_INTERVAL": "1",
    "QUIET_HOURS": "",
    "CARRIER": "missive",
}
ZONES = ("America/Detroit", "Asia/Tokyo", "Europe/Paris")


def simulated(seed: int) -> dict[str, object]:
    """Give the simulator's configuration: what handsets do, and the windows that the settings keep."""
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


#: What goes wrong on the way: one refusal for now, and one connection that breaks after the text was taken.
FAULTS = (
    {"kind": "rate_limited", "on": "send", "skip": 40, "count": 1, "retry_after": 2},
    {"kind": "cut_after", "on": "send", "skip": 90, "count": 1},
)


def people() -> str:
    """Give about 300 contacts as CSV, in three overlapping groups."""
    rows = ["phone_number,name,tags"]
    for n in range(PEOPLE):
        tags = [name for name, every in (("eastside", 2), ("tenants", 3), ("lights", 5)) if n % every == 0]
        rows.append(f"+1313555{1000 + n},Reader {n},{';'.join(tags or ['eastside'])}")
    return "\n".join(rows)


def zone_of_today(now: datetime) -> str:
    """Give a time zone in which it stays today for the next few minutes."""
    later = now + timedelta(minutes=5)
    return next(
        name for name in ZONES if now.astimezone(ZoneInfo(name)).date() == later.astimezone(ZoneInfo(name)).date()
    )


async def run_against(api_url: str, key: str, simulator_url: str) -> bool:
    """Run the demo against an API and a simulator that run already; tell whether the verdict holds."""
    running = Running(
        api_url=api_url, api_key=key, database_url="", amqp_url="", simulator_url=simulator_url, logs="the containers'"
    )
    return await _broadcast(running, os.environ.get("BROADSHEET_TIMEZONE") or ZONES[0], datetime.now(UTC))


async def run(seed: int) -> bool:
    """Run the demo; tell whether the verdict holds."""
    zone = os.environ.get("BROADSHEET_TIMEZONE") or zone_of_today(datetime.now(UTC))
    began = asyncio.get_running_loop().time()
    settings = {**SETTINGS, "TIMEZONE": zone}
    async with everything(settings=settings, simulator=simulated(seed), tell=_tell, fresh=True) as (running, _):
        took = asyncio.get_running_loop().time() - began
        _tell(f"api, planner, sender, twilio_sync and the carrier simulator run after {took:.0f} s")
        return await _broadcast(running, zone, None)


async def _broadcast(running: Running, zone: str, began: datetime | None) -> bool:
    """Send a broadcast and judge it. `began` sets its names and texts apart from those of a demo before it."""
    mark = f" ({began:%H:%M:%S.%f})" if began else ""
    bodies = (FIRST + mark, SECOND + mark)
    client = Client(running.api_url, running.api_key)
    broadcast_id = await asyncio.to_thread(_prepare, client, running, bodies, mark)
    report = await _follow(client, broadcast_id)
    return await asyncio.to_thread(_conclude, client, running, broadcast_id, report, bodies, mark, zone)


def _tell(text: str) -> None:
    console.print(f"[dim]·[/] {text}", highlight=False)


def _prepare(client: Client, running: Running, bodies: tuple[str, str], mark: str) -> int:
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


async def _follow(client: Client, broadcast_id: int) -> dict[str, Any]:
    """Show the broadcast go by; give the report it ends with, or the last one before patience ran out."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    shown = ""
    with Live(console=console, refresh_per_second=4, transient=not console.is_terminal) as live:
        while True:
            report: dict[str, Any] = await asyncio.to_thread(client.call, "GET", f"/broadcasts/{broadcast_id}/report")
            if console.is_terminal:
                live.update(progress(report))
            elif report["state"] != shown:
                shown = report["state"]
                _tell(f"{shown}: {report['ledger']['accepted']} sent, {report['replies']} replies")
            if report["state"] == "completed" or asyncio.get_running_loop().time() > ends:
                return report
            await asyncio.sleep(0.4)


def progress(report: Mapping[str, Any]) -> Table:
    """Draw where a broadcast is."""
    table = Table(title=f"{report['state']}", title_justify="left")
    for column in ("", "planned", "sent", "refused", "skipped", "uncertain", "left", "texts a second"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("first", "second"):
        ledger, pace = report[name]["ledger"], report[name]["pace"]
        refused, skipped = sum(ledger["refused"].values()), sum(ledger["skipped"].values())
        rate = "" if not pace["rate"] else f"{pace['rate']:.1f} of {report['allowed_rate']:g}"
        cells = (ledger["planned"], ledger["accepted"], refused, skipped, ledger["uncertain"], ledger["undecided"])
        table.add_row(f"{name} message", *map(str, cells), rate)
    table.caption = f"{report['replies']} replies, {report['opt_outs']} said STOP, {report['delivered']} delivered"
    return table


def _conclude(
    client: Client,
    running: Running,
    broadcast_id: int,
    report: Mapping[str, Any],
    bodies: tuple[str, str],
    mark: str,
    zone: str,
) -> bool:
    """Show the report, the history and both ledgers; tell whether the verdict holds."""
    console.print(progress(report))
    ledger = report["ledger"]
    _show_segments(report)
    _show_history(f"broadcast-{broadcast_id}", client.all(f"/broadcasts/{broadcast_id}/events"))
    theirs = httpx.get(f"{running.simulator_url}/_simulator/ledger").raise_for_status().json()
    # Without a mark every text is this broadcast's, also one whose body arrived garbled.
    theirs["texts"] = [text for text in theirs["texts"] if mark in text["body"]]
    planned = client.all(f"/broadcasts/{broadcast_id}/messages")
    verdict = judge(planned, bodies, theirs)
    _show_ledgers(ledger, theirs["texts"], verdict)
    following = client.call("GET", f"/broadcasts/{report['next_broadcast_id']}")
    run_at = datetime.fromisoformat(following["run_at"]).astimezone(ZoneInfo(zone))
    console.print(f"The next broadcast, {following['id']}, runs on {run_at:%A %d %B at %H:%M:%S} ({zone}).")
    completed = report["state"] == "completed"
    colour = "green" if verdict.holds and completed else "red"
    console.print(
        f"[bold {colour}]{verdict.texts} texts, {verdict.twice} twice, {verdict.lost} lost, "
        f"{verdict.after_stop} after STOP[/]" + ("" if completed else f" [red](still {report['state']})[/]")
    )
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
    table = Table("time", "event", "what", title="history", title_justify="left")
    others: dict[str, int] = {}
    for event in events:
        if event["stream"] != own:
            others[event["type"]] = others.get(event["type"], 0) + 1
            continue
        named = ("run_at", "recipients", "second_due_at", "next_broadcast_id", "unsettled")
        what = ", ".join(f"{name} {event['data'][name]}" for name in named if event["data"].get(name) is not None)
        table.add_row(event["occurred_at"][11:23], event["type"], what)
    for name, count in sorted(others.items()):
        table.add_row("", name, f"{count} of them", style="dim")
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
    for status, count in sorted(Counter(text["status"] for text in theirs).items()):
        table.add_row(f"… {status}", "", str(count))
    table.add_row("twice", "", str(verdict.twice))
    console.print(table)
