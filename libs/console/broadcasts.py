"""`broadsheet broadcast`, `segments` and `contacts`: the newsroom's work, over the API."""

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from libs.common.errors import SettingsError
from libs.common.settings import Settings
from libs.console.client import LONG, PATIENCE, connect
from libs.console.demo import progress
from libs.console.running import named

console = Console()
broadcasts = typer.Typer(no_args_is_help=True, help="Broadcasts: create, look, and staff's levers.")
segments = typer.Typer(no_args_is_help=True, help="The audience's segments.")
contacts = typer.Typer(no_args_is_help=True, help="The people.")

FINAL = ("completed", "cancelled", "missed")
PAUSE = 0.7  # seconds between two looks at a broadcast, at least
SHARE = 10  # times as long as a look takes, a watcher waits
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[int, typer.Argument(help="The broadcast's id.")]


def text_of(value: str) -> str:
    """Give a text, or with `@` in front the content of the file that it names, to the byte. Raises BadParameter."""
    if not value.startswith("@"):
        return value
    try:
        return content_of(Path(value[1:])).decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{value[1:]}: not UTF-8") from error


def content_of(path: Path) -> bytes:
    """Give the content of a file. Raises typer.BadParameter."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error


def zone() -> ZoneInfo:
    """Give the organisation's time zone: this machine's may be another, and a container's is UTC."""
    try:
        return ZoneInfo(named("TIMEZONE") or Settings.model_fields["timezone"].default)
    except (ValueError, OSError, KeyError) as error:
        raise SettingsError("BROADSHEET_TIMEZONE: not a time zone of the IANA database") from error


def time_of(value: str, now: datetime) -> datetime:
    """Read `14:30` (today, in the zone of `now`) or an RFC 3339 time. Raises typer.BadParameter."""
    try:
        if "T" in value or " " in value:
            given = datetime.fromisoformat(value)
        else:
            given = datetime.combine(now.date(), datetime.strptime(value, "%H:%M").time())  # noqa: DTZ007
    except ValueError as error:
        raise typer.BadParameter("give HH:MM or a time like 2026-03-04T14:30:00-05:00") from error
    return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)


def share_of(value: str) -> dict[str, Any]:
    """Read `ID:RATIO`. Raises typer.BadParameter."""
    segment, _, ratio = value.partition(":")
    try:
        return {"segment_id": int(segment), "ratio": float(ratio or 100)}
    except ValueError as error:
        raise typer.BadParameter("give ID:PERCENT, such as 2:50") from error


def show(item: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        print(json.dumps(item, indent=2, ensure_ascii=False))
        return
    table = Table(show_header=False)
    for name, value in item.items():
        if value is not None:
            table.add_row(name, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value))
    console.print(table)


def show_all(items: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Print a list."""
    if as_json:
        print(json.dumps(items, indent=2, ensure_ascii=False))
        return
    table = Table(*columns)
    for item in items:
        table.add_row(*("" if item.get(name) is None else str(item[name]) for name in columns))
    console.print(table if items else "There is none.")


@broadcasts.command()
def create(
    run_at: Annotated[
        str, typer.Option(help="14:30 (today) or an RFC 3339 time; in BROADSHEET_TIMEZONE where it has no offset.")
    ],
    first: Annotated[str, typer.Option(help="The first message, or @file.")],
    second: Annotated[str, typer.Option(help="The follow-up, or @file.")],
    segment: Annotated[list[str], typer.Option(help="ID:PERCENT of --max-recipients; may be repeated.")],
    max_recipients: Annotated[int, typer.Option(help="How many people get it at most.")],
    second_delay: Annotated[int | None, typer.Option(help="Seconds from the last first message on.")] = None,
    from_number: Annotated[str | None, typer.Option(help="The number to send from.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Do not schedule it again for the next working day.")] = False,
    as_json: Json = False,
) -> None:
    """Schedule a broadcast."""
    body: dict[str, Any] = {
        "run_at": time_of(run_at, datetime.now(zone())).isoformat(),
        "first_message": text_of(first),
        "second_message": text_of(second),
        "segments": [share_of(value) for value in segment],
        "max_recipients": max_recipients,
        "recurring": not once,
    }
    if second_delay is not None:
        body["second_delay"] = second_delay
    if from_number is not None:
        body["from_number"] = from_number
    show(connect().call("POST", "/broadcasts", json=body, headers=_key()), as_json=as_json)


@broadcasts.command("list")
def list_broadcasts(
    state: Annotated[str | None, typer.Option(help="Only those in a state.")] = None, as_json: Json = False
) -> None:
    """List the broadcasts, the newest first."""
    items = connect().all(f"/broadcasts?state={state}" if state else "/broadcasts")
    show_all(items, ("id", "state", "run_at_local", "recipients", "max_recipients", "recurring"), as_json=as_json)


@broadcasts.command("show")
def show_broadcast(broadcast_id: Id, as_json: Json = False) -> None:
    """Show a broadcast."""
    show(connect().call("GET", f"/broadcasts/{broadcast_id}"), as_json=as_json)


@broadcasts.command()
def report(broadcast_id: Id, as_json: Json = False) -> None:
    """Show what became of a broadcast's texts."""
    found = connect().call("GET", f"/broadcasts/{broadcast_id}/report")
    if as_json:
        show(found, as_json=True)
    else:
        console.print(progress(found))


@broadcasts.command()
def make(as_json: Json = False) -> None:
    """Make the nearest scheduled broadcast of today now."""
    show(connect().call("POST", "/make", headers=_key(), within=LONG), as_json=as_json)


@broadcasts.command()
def watch(broadcast_id: Id) -> None:
    """Follow a broadcast until it is over."""
    client = connect()
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            began = time.monotonic()
            found = client.call("GET", f"/broadcasts/{broadcast_id}/report")
            live.update(progress(found))
            if found["state"] in FINAL:
                return
            # To count a large broadcast takes its time: a watcher costs the database a tenth of its time at most.
            time.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))


def _lever(name: str, within: float) -> None:
    def pull(broadcast_id: Id, as_json: Json = False) -> None:
        path = f"/broadcasts/{broadcast_id}/{name}"
        show(connect().call("POST", path, headers=_key(), within=within), as_json=as_json)

    pull.__doc__ = f"{name.capitalize().replace('-', ' ')} a broadcast; twice does no harm."
    broadcasts.command(name)(pull)


for lever, patience in (("pause", PATIENCE), ("resume", PATIENCE), ("cancel", LONG), ("send-now", LONG)):
    _lever(lever, patience)


def stop_now(as_json: Json = False) -> None:
    """Pause every broadcast that sends or waits, at once. Exit status 1 if one could not be."""
    found = connect().call("POST", "/stop")
    if as_json:
        show(found, as_json=True)
    else:
        for line in stopped(found):
            console.print(line, highlight=False)
    if found["not_stopped"]:
        raise typer.Exit(1)


def stopped(found: Mapping[str, Any]) -> list[str]:
    """Put into words what `/stop` answered."""
    lines = [f"Paused: broadcast {each}" for each in found["paused"]] or ["Nothing was sending or waiting."]
    lines += [f"NOT STOPPED: broadcast {each}; try again" for each in found["not_stopped"]]
    lines.append(f"Requests under way, which may still arrive: {found['under_way']}")
    for each in found["scheduled"]:
        begins = f"Begins at {each['run_at']}: broadcast {each['broadcast_id']}"
        lines.append(f"{begins} (broadsheet broadcast cancel {each['broadcast_id']})")
    return lines


@segments.command("create")
def create_segment(
    name: str,
    any_: Annotated[list[str] | None, typer.Option("--any", help="At least one of these tags.")] = None,
    all_: Annotated[list[str] | None, typer.Option("--all", help="Every one of these tags.")] = None,
    none: Annotated[list[str] | None, typer.Option("--none", help="None of these tags.")] = None,
    as_json: Json = False,
) -> None:
    """Create a segment: a filter over tags."""
    body = {"name": name, "filter": {"any": any_ or [], "all": all_ or [], "none": none or []}}
    show(connect().call("POST", "/segments", json=body, headers=_key()), as_json=as_json)


@segments.command("list")
def list_segments(as_json: Json = False) -> None:
    """List the segments."""
    show_all(connect().all("/segments"), ("id", "name", "filter"), as_json=as_json)


@contacts.command("import")
def import_contacts(
    file: Annotated[Path, typer.Argument(help="CSV with phone_number, name, tags; - for standard input.")],
    as_json: Json = False,
) -> None:
    """Import people from a CSV file; rows that cannot be taken are listed, the others are in."""
    content = sys.stdin.buffer.read() if str(file) == "-" else content_of(file)
    headers = {"Content-Type": "text/csv", **_key()}
    found = connect().call("POST", "/contacts/import", content=content, headers=headers, within=LONG)
    show({name: value for name, value in found.items() if as_json or name != "rejected"}, as_json=as_json)
    for row in found["rejected"] if not as_json else ():
        console.print(f"line {row['line']}: {row['reason']}", highlight=False)


def erase(
    number: Annotated[str, typer.Argument(help="The phone number of whoever asks to be forgotten.")],
    opt_out: Annotated[
        bool, typer.Option(help="Keep the number as an opt-out, so that no later import brings it back.")
    ] = True,
) -> None:
    """Erase a person, contact or not: number, name, tags, replies. What has not left for them will not."""
    connect().call("DELETE", "/contacts", params={"phone_number": number, "opt_out": opt_out})
    kept = "; the number stays as an opt-out alone" if opt_out else ""
    console.print(f"{number} is erased{kept}.", highlight=False)


def _key() -> dict[str, str]:
    """Give the header that makes a call that is tried again have its effect once."""
    return {"Idempotency-Key": str(uuid4())}
