"""Broadcasts in which each person has their own words, beside one in which all get the same, made in turns.

Variables from names, the words of a file, and what a preflight of either takes.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from rich.table import Table

from tests.bench import audience
from tests.bench.checkouts import THIS

PATIENCE = 1800.0  # seconds that making may take

PLAIN, NAMES, FILE = "the same words", "variables", "a file of messages"
#: The two messages of each kind, and what is asked for besides the segment.
WORDS = {
    PLAIN: ("Hi neighbor, what should we look into?", "Still there, neighbor?"),
    NAMES: (
        'Hi {{ first_name | default: "neighbor" }}, what should we look into?',
        'Still there, {{ first_name | default: "neighbor" }}?',
    ),
    FILE: ("{{ message }}", "{{ follow_up }}"),
}

PEOPLE = """
INSERT INTO contacts (phone_number, name, tags)
SELECT '+1' || (2010000000 + i)::text, (ARRAY['Ana', 'José', 'Mary Ann', ''])[mod(i, 4) + 1] || ' ' || i, '{all}'
FROM generate_series(1, %s) AS i
"""
#: A file of the same people, as an import leaves it.
IMPORTED = """
WITH file AS (
    INSERT INTO contact_imports (state, file_name, actor, summary, has_bodies)
    VALUES ('done', 'messages.csv', 'key:bench', '{"people": 0, "has_messages": true, "has_follow_ups": true}', true)
    RETURNING id
), members AS (
    INSERT INTO contact_import_members (import_id, contact_id) SELECT file.id, c.id FROM file, contacts c
)
INSERT INTO audience_segments (name, filter, import_id)
SELECT 'messages.csv', jsonb_build_object('import', id), id FROM file RETURNING import_id
"""
BODIES = """
INSERT INTO contact_import_bodies (import_id, contact_id, first_body, second_body)
SELECT %s, id, 'Hi ' || name || ', what should we look into?', 'Still there, ' || name || '?' FROM contacts
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, the median of some rounds."""

    people: int
    makes: dict[str, float]
    preflights: dict[str, float]

    def ratio(self, kind: str) -> float:
        """Return how much of the pace of a plain `/make` one has that gives each person their own words."""
        return self.makes[PLAIN] / self.makes[kind]


def measure(people: int, rounds: int) -> Measured:
    """Make broadcasts of each kind in turns."""
    makes: dict[str, list[float]] = defaultdict(list)
    preflights: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        THIS.database() as url,
        THIS.service("api", Path(folder), DATABASE_URL=url, TIMEZONE=audience.zone_at_noon()) as api,
        api.client(PATIENCE) as client,
        psycopg.connect(url, autocommit=True) as database,
    ):
        database.execute(PEOPLE, (people,))
        segment = audience.fill(client, url, 0)
        [file] = database.execute(IMPORTED).fetchone() or [0]
        database.execute(BODIES, (file,))
        database.execute("VACUUM ANALYZE")
        for _ in range(rounds):
            for kind in WORDS:
                broadcast = _plan(client, kind, segment, file, people)
                if kind not in preflights:
                    preflights[kind] = _seconds(client, "GET", f"/broadcasts/{broadcast}/preflight")
                database.execute("CHECKPOINT")  # what was written before is not to be paid for by who comes next
                makes[kind].append(_seconds(client, "POST", "/make"))
    medians = {kind: statistics.median(took) for kind, took in makes.items()}
    return Measured(people, medians, preflights)


def table(measured: Measured) -> Table:
    """Return what was measured, for people."""
    found = Table(f"to {measured.people:,} people", "/make, s", "pace of a plain /make", "preflight, s")
    for kind, seconds in measured.makes.items():
        found.add_row(kind, f"{seconds:.1f}", f"{measured.ratio(kind):.2f}", f"{measured.preflights[kind]:.1f}")
    return found


def _plan(client: httpx.Client, kind: str, segment: int, file: int, people: int) -> int:
    first, second = WORDS[kind]
    fields: dict[str, object] = {"first_message": first, "second_message": second}
    if kind == FILE:
        fields |= {"segments": [], "file": file}
    return audience.plan(client, segment, people, **fields)


def _seconds(client: httpx.Client, method: str, path: str) -> float:
    began = time.perf_counter()
    client.request(method, path).raise_for_status()
    return time.perf_counter() - began
