"""`broadsheet contacts` and `erase`: the people, over the API."""

from pathlib import Path
from typing import Annotated, Any

import typer

from libs.console import contact_files
from libs.console.bars import bar, is_shown
from libs.console.client import LONG, connect
from libs.console.failures import ApiError
from libs.console.inputs import Json, Key, key_header
from libs.console.printing import Yes, after, agree, console, one_line, say, show, show_all

Number = Annotated[str, typer.Argument(help="The phone number of a contact.")]
Reason = Annotated[str, typer.Option(help="Why; it is on record.")]

contacts = typer.Typer(no_args_is_help=True, help="The people.")


@contacts.command("undo")
def undo_import(
    import_id: Annotated[int, typer.Argument(help="The import's id, as `contacts import` has told it.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take an import back, after asking: what it has added and changed, of all whom nothing else has touched since."""
    agree(f"Take import {import_id} back, and erase whoever was new in it?", yes=yes)
    found = connect().call("POST", f"/contacts/imports/{import_id}/undo", within=LONG)
    with after(f"Import {import_id} is taken back."):
        erased, restored, kept = (f"{found[name]:,}" for name in ("removed", "restored", "kept"))
        say(f"Erased again: {erased}. As before: {restored}. Left as they are: {kept}.", found, as_json=as_json)


@contacts.command("opt-out")
def opt_out_contact(number: Number, reason: Reason, as_json: Json = False) -> None:
    """Opt somebody out: nothing more is sent to the number. `opt-in` takes it back."""
    _decide(number, reason, "opted out", opted_out=True, as_json=as_json)


@contacts.command("opt-in")
def opt_in_contact(number: Number, reason: Reason, as_json: Json = False) -> None:
    """Let somebody in again who has asked for that."""
    _decide(number, reason, "in again", opted_out=False, as_json=as_json)


def _decide(number: str, reason: str, said: str, *, opted_out: bool, as_json: bool) -> None:
    client = connect()
    found = client.call("GET", "/contacts", params={"phone_number": number})["items"]
    if not found:
        raise ApiError("nobody has this number")
    changes = {"opted_out": opted_out, "reason": reason}
    changed = client.call("PATCH", f"/contacts/{found[0]['id']}", json=changes)
    with after(f"{number} is {said}."):
        say(f"{changed['phone_number']} ({changed['name'] or 'no name'}) is {said}.", changed, as_json=as_json)


@contacts.command("import")
def import_contacts(
    file: Annotated[
        Path, typer.Argument(help="CSV, .xlsx or .ods with phone_number, name, tags; - for standard input.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and change nothing.")] = False,
    rejected: Annotated[
        Path | None, typer.Option(help="Write every line that cannot be taken to this CSV file, with the reason.")
    ] = None,
    attributes: Annotated[
        bool,
        typer.Option("--attributes", help="Keep every other column as a free attribute: text, number, date, yes/no."),
    ] = False,
    messages: Annotated[
        bool,
        typer.Option("--messages", help="A column has the message of each person: check it before a broadcast to it."),
    ] = False,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Import people from a file; lines that cannot be taken are listed, the others are in.

    Columns such as opted_out, unsubscribed, status or consent tell who wants no messages. All that is not read is
    named. Of a workbook the first sheet that has rows is read.
    """
    client = connect()
    wanted = {name: "true" for name, is_wanted in (("attributes", attributes), ("messages", messages)) if is_wanted}
    name = "" if str(file) == "-" else file.name
    with contact_files.opened(file) as content:
        if rejected is not None:
            with bar("Checking", as_json=as_json) as tell:
                contact_files.save_rejected(client, content, tell, rejected, params=wanted)
        if dry_run:
            with bar("Checking", as_json=as_json) as tell:
                found = contact_files.send(client, "/contacts/import/check", content, tell, params=wanted)
            _tell_import(found, as_json=as_json)
            return
        with (
            bar("Importing", as_json=as_json) as tell,
            contact_files.followed(client, name, tell, shown=is_shown(as_json=as_json)),
        ):
            found = contact_files.send(
                client, "/contacts/import", content, tell, params={"file_name": name, **wanted}, headers=key_header(key)
            )
    with after(f"{found['imported']} people are imported."):
        _tell_import(found, as_json=as_json)


def _tell_import(found: dict[str, Any], *, as_json: bool) -> None:
    """Print what came, or would come, of a file."""
    show({name: value for name, value in found.items() if as_json or not isinstance(value, list)}, as_json=as_json)
    if as_json:
        return
    if passed_over := found.get("passed_over"):
        console.print(one_line(f"Columns that were not read: {', '.join(passed_over)}"))
    if others := found.get("other_sheets"):
        console.print(one_line(f"Sheets that were not read: {', '.join(others)}"))
    for row in found["rejected"]:
        console.print(one_line(f"line {row['line']}: {row['reason']}"))


@contacts.command("imports")
def list_imports(as_json: Json = False) -> None:
    """List the imports, the newest first, with how far they came, and the ids by which they are undone."""
    found = connect().all("/contacts/imports")
    show_all(
        found, ("id", "state", "file_name", "created_at", "people", "done", "imported", "updated"), as_json=as_json
    )


@contacts.command("hours")
def show_hours(number: Number, as_json: Json = False) -> None:
    """Say at what hours somebody may be texted, by which clocks, and from where these are known."""
    client = connect()
    found = client.call("GET", "/contacts", params={"phone_number": number})["items"]
    if not found:
        raise ApiError("nobody has this number")
    show(client.call("GET", f"/contacts/{found[0]['id']}/hours"), as_json=as_json)


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
