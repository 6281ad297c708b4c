"""People to send to, and a broadcast to them, by what all releases share: the table of contacts, and HTTP."""

from datetime import UTC, datetime, timedelta

import httpx
import psycopg

CONTACTS = """
INSERT INTO contacts (phone_number, tags)
SELECT '+1' || (2010000000 + i)::text, '{all}' FROM generate_series(1, %s) AS i
"""


def schedule(client: httpx.Client, url: str, people: int) -> int:
    """Write contacts, and schedule a broadcast to all of them, for today; return its id."""
    return plan(client, fill(client, url, people), people)


def fill(client: httpx.Client, url: str, people: int) -> int:
    """Write contacts; return the id of a segment with all of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CONTACTS, (people,))
        connection.execute("ANALYZE")
    segment = client.post("/segments", json={"name": "all", "filter": {"any": ["all"]}}).raise_for_status().json()
    return int(segment["id"])


def plan(client: httpx.Client, segment: int, people: int, **fields: object) -> int:
    """Schedule a broadcast to a segment, for today; return its id. `fields` are what is to be otherwise."""
    wish = {
        "run_at": (datetime.now(UTC) + timedelta(minutes=30)).isoformat(),
        "first_message": "What should we look into?", "second_message": "Still there?", "recurring": False,
        "second_delay": 86_400, "segments": [{"segment_id": segment, "ratio": 100}], "max_recipients": people,
        **fields,
    }  # fmt: skip
    made = client.post("/broadcasts", json=wish).raise_for_status().json()
    return int(made["id"])


def zone_at_noon() -> str:
    """Return a time zone where it is about noon, so that today is not over before the bench is."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
