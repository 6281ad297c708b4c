"""`broadsheet broadcast test` and `tests`: the words of a broadcast on a few named phones, before it goes out."""

from typing import Annotated

import typer

from libs.console.client import connect
from libs.console.inputs import BroadcastId, Json, Key, key_header
from libs.console.printing import after, show, show_all


def try_out(
    broadcast_id: BroadcastId,
    to: Annotated[list[str], typer.Option(help="A phone of somebody who knows of it; may be repeated.")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Send both messages to a few named phones now, each marked as a test; they are in no figure."""
    found = connect().call("POST", f"/broadcasts/{broadcast_id}/test", json={"to": to}, headers=key_header(key))
    with after("The test messages are on their way."):
        show(found, as_json=as_json)


def list_tried(broadcast_id: BroadcastId, as_json: Json = False) -> None:
    """List the test messages of a broadcast, with what became of each."""
    found = connect().call("GET", f"/broadcasts/{broadcast_id}/tests")["items"]
    show_all(found, ("id", "phone_number", "is_second", "state", "code", "asked_at", "asked_by"), as_json=as_json)
