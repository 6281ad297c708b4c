"""Reading a file of contacts in one line."""

import io
import tempfile
from pathlib import Path

from services.api.contacts.files import reading, spool
from services.api.contacts.files.outcome import Person, Summary


def read(raw: str | bytes, *regions: str, messages: bool = False) -> tuple[list[Person], Summary]:
    """Return the people in a file, and what else there is to say of it."""
    file = io.BytesIO(raw.encode() if isinstance(raw, str) else raw)
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / "people"
        summary = reading.read(file, aside, regions or ("US",), messages=messages)
        people: list[Person] = []
        while more := spool.read(aside, people[-1].phone_number if people else "", 100):
            people += more
    assert len(people) == summary.people
    return people, summary


def numbers(raw: str | bytes) -> list[str]:
    """Return the last four digits of the numbers in a file, every line of which can be taken."""
    people, summary = read(raw)
    assert summary.rejected == []
    return [person.phone_number[-4:] for person in people]


def reasons(raw: str | bytes, *, messages: bool = False) -> list[tuple[int, str]]:
    """Return what the lines that cannot be taken are rejected for."""
    return [(each.line, each.reason) for each in read(raw, messages=messages)[1].rejected]
