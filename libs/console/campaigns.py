"""A broadcast to a file from the command line: the file is tried, its people are imported, and it goes to them."""

import os
from pathlib import Path
from typing import IO, Any

import typer

from libs.common.domain import templates
from libs.console import contact_files
from libs.console.bars import bar, is_shown
from libs.console.client import Client
from libs.console.contact_files import CHANGED
from libs.console.failures import ApiError
from libs.console.inputs import key_header
from libs.console.printing import errors, one_line

LISTED = 20  # lines that are shown which cannot be taken


def import_of(
    client: Client, numbers: Path | None, messages: Path | None, *, leave_out: bool, key: str | None, as_json: bool
) -> int | None:
    """Import a file of numbers, or of messages, and return the import's id; None where there is neither.

    Where lines cannot be taken they are listed; with `leave_out` the others are imported. Raise ApiError.
    """
    path = numbers or messages
    if path is None:
        return None
    wanted = {"messages": "true"} if messages else {}
    with contact_files.opened(path) as content:
        before = _version(content)
        with bar("Checking", as_json=as_json) as tell:
            found = contact_files.send(client, "/contacts/import/check", content, tell, params=wanted)
        if found["rejected_count"]:
            _list(found)
            if not leave_out:
                raise ApiError("Nothing was imported. Mend these lines, or have them left out: --leave-out.")
        if not found["people"]:
            raise ApiError("Nobody is in the file. Nothing was imported.")
        if _version(content) != before:
            raise ApiError(CHANGED)
        name = "" if str(path) == "-" else path.name
        with (
            bar("Importing", as_json=as_json) as tell,
            contact_files.followed(client, name, tell, shown=is_shown(as_json=as_json)),
        ):
            headers = key_header(f"{key}-file" if key else None)
            done = contact_files.send(
                client, "/contacts/import", content, tell, params={"file_name": name, **wanted}, headers=headers
            )
    return int(done["import_id"])


def words(client: Client, file: int | None, first: str | None, second: str | None) -> tuple[str, str | None]:
    """Return the messages of a broadcast: those that are given, else those of the file. Raise BadParameter."""
    if first is not None:
        return first, second
    if file is not None:
        imports = client.all("/contacts/imports")
        found = next((each for each in imports if each["id"] == file), None)
        if found is not None and found["has_messages"]:
            follow_up = templates.FOLLOW_UP_ALONE if found["has_follow_ups"] else None
            return templates.MESSAGE_ALONE, second or follow_up
    raise typer.BadParameter("say what it says: --first")


def _list(found: dict[str, Any]) -> None:
    """List the lines that cannot be taken."""
    for each in found["rejected"][:LISTED]:
        errors.print(one_line(f"line {each['line']}: {each['reason']}"))
    if (more := found["rejected_count"] - LISTED) > 0:
        errors.print(f"and {more:,} more: `broadsheet contacts import --dry-run --rejected` writes all")


def _version(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
