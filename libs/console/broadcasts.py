"""`broadsheet broadcast` and `stop-now`: the newsroom's work, over the API."""

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live

from libs.common.domain.states import BroadcastState, Late
from libs.console import campaigns
from libs.console.client import LONG, PATIENCE, connect
from libs.console.inputs import (
    BroadcastId,
    Json,
    Key,
    cap_of,
    key_header,
    share_of,
    text_of,
    time_of,
    weekday_of,
    zone,
)
from libs.console.printing import Yes, after, agree, console, one_line, show, show_all, write_json
from libs.console.report import drawn, expected, going, outcomes, progress
from libs.console.trying import list_tried, try_out

broadcasts = typer.Typer(no_args_is_help=True, help="Broadcasts: create, look, and what staff do to them.")
FINAL = (BroadcastState.COMPLETED, BroadcastState.CANCELLED, BroadcastState.MISSED)
PAUSE = 0.7  # seconds between two looks at a broadcast, at least
SHOWN = 60  # characters of a message, in a question
SHARE = 10  # times as long as a look takes, a watcher waits


@broadcasts.command()
def create(
    run_at: Annotated[
        str, typer.Option(help="14:30 (today) or an RFC 3339 time; in BROADSHEET_TIMEZONE where it has no offset.")
    ],
    first: Annotated[
        str | None, typer.Option(help="The first message, or @file. With --messages it may be left out.")
    ] = None,
    max_recipients: Annotated[
        int | None, typer.Option(help="How many people get it at most; to a file all, if it is left out.")
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="ID:PERCENT of what is left of --max-recipients, ID:n=NUMBER of people, or ID:all; may be repeated. "
            "A draft may have none."
        ),
    ] = None,
    exclude: Annotated[
        list[int] | None, typer.Option(help="ID of a segment whose people are left out; may be repeated.")
    ] = None,
    fallback: Annotated[
        int | None, typer.Option(help="ID of the segment that fills up what the others do not give.")
    ] = None,
    cap: Annotated[
        str | None, typer.Option(help="TEXTS/DAYS: leave out who would get more than so many texts in so many days.")
    ] = None,
    numbers: Annotated[Path | None, typer.Option(help="Everybody in this file gets it: CSV, .xlsx or .ods.")] = None,
    messages: Annotated[
        Path | None, typer.Option(help="A file with the message of each person, and perhaps their follow-up.")
    ] = None,
    file: Annotated[
        int | None, typer.Option(help="The id of a file that was imported before (`contacts imports`).")
    ] = None,
    second: Annotated[str | None, typer.Option(help="The follow-up, or @file; without it there is none.")] = None,
    second_delay: Annotated[int | None, typer.Option(help="Seconds from the last first message on.")] = None,
    from_number: Annotated[str | None, typer.Option(help="The number to send from.")] = None,
    also_from: Annotated[
        list[str] | None, typer.Option(help="A further number that it is sent from; may be repeated.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Do not schedule it again for the next working day.")] = False,
    at: Annotated[
        list[str] | None,
        typer.Option(help="DAY=HH:MM, such as wed=14:00: it repeats on such weekdays alone, at these times."),
    ] = None,
    label: Annotated[
        str, typer.Option(help="A label of Missive's for its conversations, by name; made there where there is none.")
    ] = "",
    draft: Annotated[
        bool, typer.Option("--draft", help="Save it as a draft: it goes to nobody until somebody schedules it.")
    ] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Where lines of the file cannot be taken, go on with the others.")
    ] = False,
    late: Annotated[
        Late, typer.Option(help="What becomes of a text that would come too late in the day where its recipient is.")
    ] = Late.WAIT,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Schedule a broadcast, or save a draft of one; a draft is scheduled at the desk.

    It goes to segments, or to a file; then it goes out once. People of a file are imported, as by `contacts import`.
    """
    given = [each for each in (segment, numbers, messages, file) if each]
    if len(given) > 1:
        raise typer.BadParameter("give one of --segment, --numbers, --messages and --file")
    if not given and not draft:
        raise typer.BadParameter(
            "say who gets it: --segment ID:PERCENT, ID:n=NUMBER or ID:all, --numbers or --messages; or --draft"
        )
    at_time = time_of(run_at, datetime.now(zone())).isoformat()
    shares = [share_of(value) for value in segment or []]
    if first is None and not (messages or file):
        raise typer.BadParameter("say what it says: --first")
    spoken = None if first is None else text_of(first)
    second_spoken = None if second is None else text_of(second)
    client = connect()
    file = campaigns.import_of(client, numbers, messages, leave_out=leave_out, key=key, as_json=as_json) or file
    spoken, second_spoken = campaigns.words(client, file, spoken, second_spoken)
    body: dict[str, Any] = {
        "run_at": at_time,
        "first_message": spoken,
        "segments": shares,
        "recurring": not once and file is None,
        "draft": draft,
        "label": label,
        "late": late,
    }
    if exclude:
        body["exclude"] = [{"segment_id": each} for each in exclude]
    if fallback is not None:
        body["fallback"] = {"segment_id": fallback}
    if cap is not None:
        body["frequency_cap"] = cap_of(cap)
    if file is not None:
        body["file"] = file
    if max_recipients is not None:
        body["max_recipients"] = max_recipients
    if at:
        body["week"] = dict(map(weekday_of, at))
    if second_spoken is not None:
        body["second_message"] = second_spoken
    if second_delay is not None:
        body["second_delay"] = second_delay
    if from_number is not None:
        body["from_number"] = from_number
    if also_from:
        body["pool"] = also_from
    found = client.call("POST", "/broadcasts", json=body, headers=key_header(key))
    with after(f"Draft {found['id']} is saved." if draft else f"Broadcast {found['id']} is scheduled."):
        show(found, as_json=as_json)


@broadcasts.command("list")
def list_broadcasts(
    state: Annotated[BroadcastState | None, typer.Option(help="Only those in a state.")] = None, as_json: Json = False
) -> None:
    """List the broadcasts, the newest first."""
    items = connect().all(f"/broadcasts?state={state}" if state else "/broadcasts")
    show_all(items, ("id", "state", "run_at_local", "recipients", "max_recipients", "recurring"), as_json=as_json)


@broadcasts.command("show")
def show_broadcast(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """Show a broadcast."""
    show(connect().call("GET", f"/broadcasts/{broadcast_id}"), as_json=as_json)


@broadcasts.command()
def report(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """Show what became of a broadcast's messages."""
    found = connect().call("GET", f"/broadcasts/{broadcast_id}/report")
    if as_json:
        show(found, as_json=True)
    else:
        console.print(progress(found))
        explained = connect().call("GET", f"/broadcasts/{broadcast_id}/outcomes")
        for table in outcomes(explained, only_wrong=True):
            console.print(table)


@broadcasts.command()
def explain(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """Say in words what became of a broadcast's messages, what to do about it, and why people were left out."""
    found = connect().call("GET", f"/broadcasts/{broadcast_id}/outcomes")
    if as_json:
        show(found, as_json=True)
        return
    tables = outcomes(found)
    for table in tables:
        console.print(table)
    if tables:
        lines = drawn(found)
    else:
        console.print("Nobody is drawn yet. If it were made now:")
        lines = expected(connect().call("GET", f"/broadcasts/{broadcast_id}/audience", within=LONG))
    for line in lines:
        console.print(one_line(line))


@broadcasts.command()
def audience(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """Say who would get a broadcast if it were made now, and why others in its segments would not."""
    found = connect().call("GET", f"/broadcasts/{broadcast_id}/audience", within=LONG)
    if as_json:
        show(found, as_json=True)
        return
    for line in expected(found):
        console.print(one_line(line))


@broadcasts.command()
def preflight(
    broadcast_id: BroadcastId,
    csv: Annotated[Path | None, typer.Option(help="Write all whose messages cannot be made to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Say whose messages cannot be made, and in how many parts the others go. Exit status 1 if one cannot be made."""
    client = connect()
    found = client.call("GET", f"/broadcasts/{broadcast_id}/preflight", within=LONG)
    if csv is not None:
        client.download(f"/broadcasts/{broadcast_id}/preflight.csv", csv)
    if as_json:
        show(found, as_json=True)
    else:
        console.print("\n".join(checked(found)))
    if found["wrong"]:
        raise typer.Exit(1)


def checked(found: Mapping[str, Any]) -> list[str]:
    """Put into words what a look at a broadcast's messages has found."""
    lines = [f"May get it: {found['people']:,}. Their messages cannot be made: {found['wrong']:,}."]
    lines += [f"Without a value for {each['variable']}: {each['people']:,}" for each in found["lacking"]]
    if found["too_long"]:
        lines.append(f"More than 1,600 characters: {found['too_long']:,}")
    for each in found["parts"]:
        phase = "Follow-up" if each["is_second"] else "First message"
        lines.append(f"{phase} in {each['parts']} parts: {each['messages']:,}")
    return lines


@broadcasts.command()
def make(key: Key = None, as_json: Json = False) -> None:
    """Make the nearest scheduled broadcast of today now."""
    found = connect().call("POST", "/make", headers=key_header(key), within=LONG)
    with after(f"Broadcast {found['broadcast_id']} is made."):
        show(found, as_json=as_json)


@broadcasts.command()
def watch(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """Follow a broadcast until it is over; with --json its report is printed then."""
    with Live(console=console, refresh_per_second=4) if not as_json else nullcontext() as live:
        for found in _reports(broadcast_id):
            if live is not None:
                live.update(going(found) if console.is_terminal and found["state"] not in FINAL else progress(found))
    if as_json:
        write_json(found)


def _reports(broadcast_id: int) -> Iterator[dict[str, Any]]:
    """Yield a broadcast's report again and again, until it is over."""
    client = connect()
    while True:
        began = time.monotonic()
        found: dict[str, Any] = client.call("GET", f"/broadcasts/{broadcast_id}/report")
        yield found
        if found["state"] in FINAL:
            return
        # To count a large broadcast takes its time: a watcher costs the database a tenth of its time at most.
        time.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))


#: What another command takes back, with how long it may take.
LEVERS = (("pause", PATIENCE), ("resume", PATIENCE), ("send-now", LONG), ("call-back", LONG))


def _lever(name: str, within: float) -> None:
    def run(broadcast_id: BroadcastId, key: Key = None, as_json: Json = False) -> None:
        _act(name, broadcast_id, within, key, as_json=as_json)

    run.__doc__ = f"{name.capitalize().replace('-', ' ')} a broadcast; twice does no harm."
    broadcasts.command(name)(run)


for lever, patience in LEVERS:
    _lever(lever, patience)


@broadcasts.command()
def skip(broadcast_id: BroadcastId, yes: Yes = False, key: Key = None, as_json: Json = False) -> None:
    """Leave out a scheduled broadcast for good, after asking; the one after it stays. Twice does no harm."""
    agree(f"Leave out broadcast {broadcast_id} for good?", yes=yes)
    _act("skip", broadcast_id, LONG, key, as_json=as_json)


@broadcasts.command("stop-repeating")
def stop_repeating(broadcast_id: BroadcastId, yes: Yes = False, key: Key = None, as_json: Json = False) -> None:
    """Let a broadcast go out once more and not again, after asking; twice does no harm."""
    agree(f"Have broadcast {broadcast_id} go out once more, and not again?", yes=yes)
    _act("stop-repeating", broadcast_id, PATIENCE, key, as_json=as_json)


@broadcasts.command()
def cancel(broadcast_id: BroadcastId, yes: Yes = False, key: Key = None, as_json: Json = False) -> None:
    """Cancel a broadcast for good, after asking; twice does no harm."""
    if not yes:
        found = connect().call("GET", f"/broadcasts/{broadcast_id}")
        words = one_line(found["first_message"])
        shown = words if len(words) <= SHOWN else f"{words[:SHOWN]}…"
        agree(f"Cancel broadcast {broadcast_id} ({found['state']}, “{shown}”) for good?", yes=yes)
    _act("cancel", broadcast_id, LONG, key, as_json=as_json)


@broadcasts.command("send-again")
def send_again(
    broadcast_id: BroadcastId,
    message_id: Annotated[int, typer.Argument(help="The message's id; `messages?state=uncertain` lists them.")],
    by: Annotated[str, typer.Option(help="Who says so, by name; it is on record.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: Yes = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Send a message again of which nobody can tell whether it was sent: it may come twice."""
    agree(f"Send message {message_id} again, though it may have arrived?", yes=yes)
    path = f"/broadcasts/{broadcast_id}/messages/{message_id}/send-again"
    found = connect().call("POST", path, json={"by": by, "reason": reason}, headers=key_header(key))
    with after(f"Message {message_id} will be sent again."):
        show(found, as_json=as_json)


def _act(name: str, broadcast_id: int, within: float, key: str | None, *, as_json: bool) -> None:
    found = connect().call("POST", f"/broadcasts/{broadcast_id}/{name}", headers=key_header(key), within=within)
    with after(f"Done: {name} broadcast {broadcast_id}."):
        show(found, as_json=as_json)


def stop_now(as_json: Json = False) -> None:
    """Pause every broadcast that sends or waits, at once. Exit status 1 if one could not be."""
    found = connect().call("POST", "/stop")
    with after(f"Paused: {found['paused']}. Not stopped: {found['not_stopped']}."):
        if as_json:
            show(found, as_json=True)
        else:
            console.print("\n".join(stopped(found)))
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


broadcasts.command("test")(try_out)
broadcasts.command("tests")(list_tried)
