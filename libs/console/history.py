"""`broadsheet history`: how past broadcasts were answered, over the API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from libs.console.client import connect
from libs.console.inputs import Json, zone
from libs.console.printing import console, one_line, write_json

SHOWN = 40  # characters of a message
HEADS = ("got it", "replied", "of 100", "how sure that is")
NOT_COUNTED = ("", "", "", "too many people to count here")


def history(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many broadcasts.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only broadcasts before this one, by its id.")] = None,
    as_json: Json = False,
) -> None:
    """Say how past broadcasts were answered, the newest first: by broadcast, by segment, and by the hour."""
    asked = {"limit": limit, **({} if before is None else {"cursor": before})}
    found = connect().call("GET", "/responses", params=asked)
    if as_json:
        write_json(found)
        return
    if not found["items"]:
        console.print("No broadcast is over yet.")
        return
    here = zone()
    by_broadcast = Table("broadcast", "began", "first message", *HEADS)
    for each in found["items"]:
        began = datetime.fromisoformat(each["began_at"]).astimezone(here)
        words = one_line(each["first_message"])
        rate = cells(each["rate"]) if each["rate"] else NOT_COUNTED
        by_broadcast.add_row(str(each["broadcast_id"]), f"{began:%Y-%m-%d %H:%M}", words[:SHOWN], *rate)
    by_segment, by_hour = Table("segment", *HEADS), Table("hour", *HEADS)
    for each in found["segments"]:
        by_segment.add_row(one_line(each["name"]), *cells(each["rate"]))
    for each in found["hours"]:
        by_hour.add_row(f"{each['hour']:02}:00", *cells(each["rate"]))
    by_broadcast.add_section()
    by_broadcast.add_row("all", "", "", *cells(found["total"]))
    for table in (by_broadcast, by_segment, by_hour):
        console.print(table)


def cells(rate: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return a rate as a table shows it, of a hundred."""
    sure = f"between {100 * rate['low']:.0f} and {100 * rate['high']:.0f}" if rate["delivered"] else ""
    return f"{rate['delivered']:,}", f"{rate['replied']:,}", f"{100 * rate['share']:.0f}", sure
