"""`broadsheet segments`: parts of the audience, over the API."""

import json
from typing import Annotated, Any

import typer

from libs.console.client import LONG, connect
from libs.console.inputs import Json, Key, key_header, text_of
from libs.console.printing import Yes, after, agree, console, one_line, say, show, show_all

SegmentId = Annotated[int, typer.Argument(help="The segment's id.")]
AnyTag = Annotated[list[str] | None, typer.Option("--any", help="At least one of these tags.")]
AllTags = Annotated[list[str] | None, typer.Option("--all", help="Every one of these tags.")]
NoTag = Annotated[list[str] | None, typer.Option("--none", help="None of these tags.")]
Filter = Annotated[
    str, typer.Option("--filter", help="The filter as JSON, or @FILE (docs/segments.md), in place of tags.")
]

segments = typer.Typer(no_args_is_help=True, help="The audience's segments.")


@segments.command("create")
def create_segment(
    name: str,
    any_: AnyTag = None,
    all_: AllTags = None,
    none: NoTag = None,
    filter_: Filter = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Create a segment: a filter over tags, or any other; without one it is everybody."""
    body = {"name": name, "filter": _filter(any_, all_, none, filter_) or {"all": []}}
    found = connect().call("POST", "/segments", json=body, headers=key_header(key))
    with after(f"Segment {found['id']} is created."):
        show(found, as_json=as_json)


@segments.command("preview")
def preview_segment(
    any_: AnyTag = None, all_: AllTags = None, none: NoTag = None, filter_: Filter = "", as_json: Json = False
) -> None:
    """Count whom a filter takes in that is no segment's yet, and show some of them."""
    wanted = _filter(any_, all_, none, filter_) or {"all": []}
    found = connect().call("POST", "/segments/preview", json={"filter": wanted}, within=LONG)
    if as_json:
        show(found, as_json=True)
        return
    console.print(one_line(f"{found['count']:,} can get texts."))
    for reason, people in found["left_out"].items():
        console.print(one_line(f"{people:,} get none: {reason.replace('_', ' ')}."))
    for tag in found["unknown_tags"]:
        console.print(one_line(f"Nobody has the tag “{tag}”."))
    show_all(found["sample"], ("contact_id", "phone_number", "name", "tags"), as_json=False)


@segments.command("list")
def list_segments(as_json: Json = False) -> None:
    """List the segments."""
    show_all(connect().all("/segments"), ("id", "name", "filter"), as_json=as_json)


@segments.command("show")
def show_segment(segment_id: SegmentId, as_json: Json = False) -> None:
    """Show a segment, and how many may be drawn from it."""
    client = connect()
    found = client.call("GET", f"/segments/{segment_id}")
    counted = client.call("GET", f"/segments/{segment_id}/preview", within=LONG)
    show({**found, "people": counted["count"]}, as_json=as_json)


@segments.command("change")
def change_segment(
    segment_id: SegmentId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    any_: AnyTag = None,
    all_: AllTags = None,
    none: NoTag = None,
    filter_: Filter = "",
    as_json: Json = False,
) -> None:
    """Change a segment, for all broadcasts that are made from now on: its name, or whom it takes in as a whole."""
    wanted = _filter(any_, all_, none, filter_)
    changes: dict[str, Any] = {} if name is None else {"name": name}
    if wanted is not None:
        changes["filter"] = wanted
    if not changes:
        raise typer.BadParameter("say what is to change: --name, --any, --all, --none or --filter")
    found = connect().call("PATCH", f"/segments/{segment_id}", json=changes)
    with after(f"Segment {segment_id} is changed."):
        show(found, as_json=as_json)


@segments.command("delete")
def delete_segment(segment_id: SegmentId, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a segment that no broadcast and no other segment names, after asking."""
    client = connect()
    if not yes:
        name = one_line(client.call("GET", f"/segments/{segment_id}")["name"])
        agree(f"Delete segment {segment_id} (“{name}”) for good?", yes=yes)
    client.call("DELETE", f"/segments/{segment_id}", within=LONG)
    with after(f"Segment {segment_id} is deleted."):
        say(f"Segment {segment_id} is deleted.", {"id": segment_id, "deleted": True}, as_json=as_json)


def _filter(any_: list[str] | None, all_: list[str] | None, none: list[str] | None, given: str) -> Any:
    """Return the filter that is meant, None where nothing says so. Raise typer.BadParameter."""
    parts: list[Any] = [*(all_ or [])]
    if any_:
        parts.append({"any": any_})
    if none:
        parts.append({"not": {"any": none}})
    if not given:
        return (parts[0] if len(parts) == 1 else {"all": parts}) if parts else None
    if parts:
        raise typer.BadParameter("give tags or --filter, and not both")
    try:
        return json.loads(text_of(given))
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"the filter is not JSON: {error}") from error
