"""A broadcast of its own, for tests that do something to the containers while it is under way."""

from datetime import UTC, datetime, timedelta

from libs.console.client import Client
from libs.console.demo import people

FIRST, SECOND = "First: ¿qué tal? 💡", "Second: 50 % off\\n $$"


def schedule(client: Client, recipients: int) -> int:
    """Import people and have a broadcast to some of them begin now; return its id."""
    client.call("POST", "/contacts/import", content=people(), headers={"Content-Type": "text/csv"})
    segment = client.call("POST", "/segments", json={"name": "eastside", "filter": {"any": ["eastside"]}})
    broadcast = client.call(
        "POST",
        "/broadcasts",
        json={
            "run_at": (datetime.now(UTC) + timedelta(seconds=2)).isoformat(),
            "first_message": FIRST,
            "second_message": SECOND,
            "segments": [{"segment_id": segment["id"], "ratio": 100}],
            "max_recipients": recipients,
        },
    )
    return int(broadcast["id"])


def state(client: Client, broadcast_id: int) -> str:
    """Return a broadcast's state."""
    return str(client.call("GET", f"/broadcasts/{broadcast_id}/report")["state"])
