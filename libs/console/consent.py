"""`broadsheet consent`: the register of every opt-out and opt-in, for an auditor."""

from pathlib import Path
from typing import Annotated

import typer

from libs.console.client import connect
from libs.console.inputs import Json
from libs.console.printing import after, say

consent = typer.Typer(no_args_is_help=True, help="The register of every opt-out and opt-in.")


@consent.callback()
def about() -> None:
    """Look after the register of every opt-out and opt-in."""


@consent.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it: .csv, or .jsonl for JSON lines.", dir_okay=False)],
    hashed: Annotated[
        bool, typer.Option("--hashed", help="Without numbers: with the HMAC of each, by BROADSHEET_CONSENT_HASH_KEY.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write every opt-out and opt-in to a file, with source, words, time and who recorded it. It is on record."""
    form = "jsonl" if file.suffix in (".jsonl", ".ndjson") else "csv"
    connect().download(f"/consent/export.{form}", file, params={"numbers": "hashed" if hashed else "plain"})
    with after(f"The register is in {file}."):
        say(f"The register is in {file}.", {"file": str(file)}, as_json=as_json)
