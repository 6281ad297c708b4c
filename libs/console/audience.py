"""`broadsheet segments`, `contacts` and `erase`: the audience, over the API."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from libs.console.bars import Upload, bar
from libs.console.client import LONG, connect
from libs.console.inputs import Json, Key, content_of, key_header
from libs.console.printing import Yes, after, agree, console, one_line, say, show, show_all

segments = typer.Typer(no_args_is_help=True, help="The audience's segments.")
contacts = typer.Typer(no_args_is_help=True, help="The people.")


@segments.command("create")
def create_segment(
    name: str,
    any_: Annotated[list[str] | None, typer.Option("--any", help="At least one of these tags.")] = None,
    all_: Annotated[list[str] | None, typer.Option("--all", help="Every one of these tags.")] = None,
    none: Annotated[list[str] | None, typer.Option("--none", help="None of these tags.")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Create a segment: a filter over tags."""
    body = {"name": name, "filter": {"any": any_ or [], "all": all_ or [], "none": none or []}}
    found = connect().call("POST", "/segments", json=body, headers=key_header(key))
    with after(f"Segment {found['id']} is created."):
        show(found, as_json=as_json)


@segments.command("list")
def list_segments(as_json: Json = False) -> None:
    """List the segments."""
    show_all(connect().all("/segments"), ("id", "name", "filter"), as_json=as_json)


@contacts.command("import")
def import_contacts(
    file: Annotated[Path, typer.Argument(help="CSV with phone_number, name, tags; - for standard input.")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Import people from a CSV file; rows that cannot be taken are listed, the others are in.

    Columns such as opted_out, unsubscribed, status or consent tell who wants no messages. All that is not read is
    named.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else content_of(file)
    headers = {"Content-Type": "text/csv", "Content-Length": str(len(content)), **key_header(key)}
    with bar("Importing", as_json=as_json) as tell:
        sent = Upload(content, tell)
        found = connect().call("POST", "/contacts/import", content=sent, headers=headers, within=LONG)
    with after(f"{found['imported']} people are imported."):
        figures = {name: value for name, value in found.items() if as_json or not isinstance(value, list)}
        show(figures, as_json=as_json)
        if (passed_over := found.get("passed_over")) and not as_json:
            console.print(one_line(f"Columns that were not read: {', '.join(passed_over)}"))
        for row in found["rejected"] if not as_json else ():
            console.print(one_line(f"line {row['line']}: {row['reason']}"))


@contacts.command("unreachable")
def list_unreachable(as_json: Json = False) -> None:
    """List the people whose numbers take no messages: theirs failed for good, twice in a row, and none is drawn."""
    found = connect().all("/contacts?unreachable=true")
    rows = [
        {**each, **({} if as_json else {key: each["unreachable"][key] for key in ("code", "meaning", "since")})}
        for each in found
    ]
    show_all(rows, ("id", "phone_number", "name", "code", "meaning", "since"), as_json=as_json)


@contacts.command("reachable")
def clear_unreachable(
    contact_id: Annotated[int, typer.Argument(help="The contact's id.")],
    by: Annotated[str, typer.Option(help="Your name; it is on record.")],
    as_json: Json = False,
) -> None:
    """Have somebody drawn again whose number took no messages; twice does no harm."""
    found = connect().call("POST", f"/contacts/{contact_id}/reachable", json={"by": by})
    with after(f"Contact {contact_id} may be drawn again."):
        show(found, as_json=as_json)


def erase(
    number: Annotated[str, typer.Argument(help="The phone number of whoever asks to be forgotten.")],
    opt_out: Annotated[
        bool, typer.Option(help="Keep the number as an opt-out, so that no later import brings it back.")
    ] = True,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a person, contact or not: number, name, tags, replies. What was not sent to them will not be."""
    agree(f"Erase {number} with name, tags and the words of their replies, for good?", yes=yes)
    connect().call("DELETE", "/contacts", params={"phone_number": number, "opt_out": opt_out})
    kept = "; the number stays as an opt-out alone" if opt_out else ""
    with after(f"{number} is erased."):
        say(
            f"{number} is erased{kept}.",
            {"phone_number": number, "erased": True, "opted_out": opt_out},
            as_json=as_json,
        )
