"""`broadsheet replies`: what people wrote back, and what is decided about it."""

import getpass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from libs.common.domain.states import ReplyKind
from libs.console.client import KEY_HEADER, connect
from libs.console.inputs import Json
from libs.console.printing import after, say, show, show_all

replies = typer.Typer(help="What people wrote back, and likely opt-outs that wait for somebody to look.")

COLUMNS = ("id", "received_at", "channel", "from", "broadcast_id", "what", "body")
SHOWN = 60  # characters of a reply, in the list

Id = Annotated[int, typer.Argument(help="The reply's id.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so, by name; whoever is logged in on this machine.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the consent.")]


@replies.callback(invoke_without_command=True)
def list_replies(
    context: typer.Context,
    broadcast: Annotated[int | None, typer.Option(help="Only those to a broadcast.")] = None,
    phase: Annotated[str | None, typer.Option(help="Only those to the `first` message, or after the `second`.")] = None,
    segment: Annotated[int | None, typer.Option(help="Only those from a segment, by its id.")] = None,
    search: Annotated[str | None, typer.Option(help="Only those with this in words, name or number.")] = None,
    user: Annotated[int | None, typer.Option(help="Only those of a user, by id: `broadsheet users`.")] = None,
    done: Annotated[bool | None, typer.Option("--done/--open", help="Only those that are done, or are not.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Only `own_words`, `reaction`, `automatic`, `delivery_notice` or `short_code`."),
    ] = None,
    likely: Annotated[bool, typer.Option("--likely", help="Only likely opt-outs that wait.")] = False,
    unread: Annotated[bool, typer.Option("--unread", help="Only those that nobody has read.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List the replies, the newest first. `broadsheet replies opt-out ID` and `no-opt-out ID` decide about one."""
    if context.invoked_subcommand is not None:
        return
    filters: dict[str, Any] = {
        "broadcast": broadcast,
        "phase": phase,
        "segment": segment,
        "search": search,
        "assigned_to": user,
        "done": done,
        "kind": kind,
        "likely_opt_out": likely or None,
        "unread": unread or None,
    }
    asked = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in filters.items()
        if value is not None
    }
    items: list[dict[str, Any]] = []
    client, cursor = connect(), None
    while len(items) < most:
        page = {**asked, "limit": str(min(200, most - len(items))), **({"cursor": cursor} if cursor else {})}
        found = client.call("GET", "/replies", params=page)
        items += found["items"]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    show_all(items if as_json else [_line(item) for item in items], COLUMNS, as_json=as_json)


def _line(item: dict[str, Any]) -> dict[str, Any]:
    """Return a reply as it stands in the list."""
    cut = len(item["body"]) > SHOWN or item["words_cut"]
    return {
        **item,
        "received_at": item["received_at"][:16].replace("T", " "),
        "from": item["phone_number"] or item["sender"],
        "what": f"LIKELY OPT-OUT: {item['why']}" if item["likely_opt_out"] else _settled(item),
        "body": item["body"][:SHOWN] + ("…" if cut else ""),
    }


def _settled(item: dict[str, Any]) -> str:
    if item["opted_out"]:
        return "opted out"
    if item["done_at"]:
        return "done"
    if item["kind"] != ReplyKind.OWN_WORDS:
        return str(item["kind"]).replace("_", " ")
    return item["assigned_to_name"] or ("" if item["read_at"] else "unread")


@replies.command("show")
def show_reply(reply_id: Id, as_json: Json = False) -> None:
    """Show one reply."""
    show(connect().call("GET", f"/replies/{reply_id}"), as_json=as_json)


@replies.command("read")
def mark_read(reply_id: Id, by: By = None, as_json: Json = False) -> None:
    """Mark a reply as read."""
    _decide(reply_id, "read", by, "is read", as_json=as_json)


@replies.command("opt-out")
def opt_out(reply_id: Id, by: By = None, reason: Reason = "", as_json: Json = False) -> None:
    """Decide that whoever wrote wants nothing more."""
    said = "was an opt-out: nothing more leaves for its number"
    _decide(reply_id, "opt-out", by, said, as_json=as_json, **_why(reason))


@replies.command("no-opt-out")
def no_opt_out(reply_id: Id, by: By = None, as_json: Json = False) -> None:
    """Decide that a likely opt-out was none."""
    _decide(reply_id, "no-opt-out", by, "was no opt-out: its number may be texted again", as_json=as_json)


@replies.command("opt-in")
def opt_in(reply_id: Id, by: By = None, reason: Reason = "", as_json: Json = False) -> None:
    """Let whoever wrote in again, since that is what they wrote."""
    _decide(reply_id, "opt-in", by, "lets its writer in again", as_json=as_json, **_why(reason))


@replies.command("done")
def done(reply_id: Id, by: By = None, as_json: Json = False) -> None:
    """Note that nothing more is to be done about a reply."""
    _decide(reply_id, "done", by, "is done", as_json=as_json)


@replies.command("reopen")
def reopen(reply_id: Id, by: By = None, as_json: Json = False) -> None:
    """Note that something is to be done about a reply after all."""
    _decide(reply_id, "reopen", by, "is open again", as_json=as_json)


@replies.command("assign")
def assign(
    reply_id: Id,
    user_id: Annotated[int | None, typer.Argument(help="The user's id; nobody any more without one.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Hand a reply to a user: `broadsheet users` lists them with their ids."""
    said = "is nobody's any more" if user_id is None else f"is handed to user {user_id}"
    _decide(reply_id, "assign", by, said, as_json=as_json, user_id=user_id)


@replies.command("answer")
def answer(
    reply_id: Id,
    body: Annotated[str, typer.Argument(help="The words of the answer.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Answer a reply, where Twilio carries the texts: sent once, within seconds."""
    # With a key: where the connection breaks off, it is asked again, and sent once.
    name, key = by or getpass.getuser(), {KEY_HEADER: str(uuid4())}
    found = connect().call("POST", f"/replies/{reply_id}/answer", json={"by": name, "body": body}, headers=key)
    said = f"Reply {reply_id} is being answered ({name})."
    with after(said):
        say(said, found, as_json=as_json)


@replies.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the CSV.", dir_okay=False)],
    broadcast: Annotated[int | None, typer.Option(help="Only those to a broadcast.")] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="With numbers and names.")] = False,
    as_json: Json = False,
) -> None:
    """Write replies to a file as CSV, without numbers and names unless they are asked for."""
    name = "export-with-numbers.csv" if numbers else "export.csv"
    connect().download(f"/replies/{name}", file, params={} if broadcast is None else {"broadcast": broadcast})
    with after(f"The replies are in {file}."):
        say(f"The replies are in {file}.", {"file": str(file)}, as_json=as_json)


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _decide(reply_id: int, what: str, by: str | None, said: str, *, as_json: bool, **fields: Any) -> None:
    name = by or getpass.getuser()
    found = connect().call("POST", f"/replies/{reply_id}/{what}", json={"by": name, **fields})
    with after(f"Reply {reply_id} {said}."):
        say(f"Reply {reply_id} {said} ({name}).", found, as_json=as_json)
