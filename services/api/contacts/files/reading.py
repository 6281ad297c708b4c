"""A file of contacts, read as a whole: people go aside, and what else there is to say of it is summed up."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO

from services.api.contacts.files import headings, lines, rows, spool
from services.api.contacts.files.headings import Columns, Role
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import Person, Rejected, Summary
from services.api.http import csv_export

LISTED = 1000  # rejected lines that are listed


def read(file: IO[bytes], aside: Path, regions: Sequence[str], roles: Sequence[Role] = ()) -> Summary:
    """Read a file from its beginning and put the people in it aside. Raise UnreadableFile if it cannot be read.

    `roles` say what each column is, where a person has said so. Lines that cannot be taken go aside as well, all of
    them (`rejected_beside`).
    """
    file.seek(0)
    with closing(lines.read(file)) as given:
        _, first = next(given)
        columns = headings.chosen(first, roles) if roles else headings.read(first)
        return _read(given, columns, aside, regions)


def first(file: IO[bytes], limit: int) -> list[Line]:
    """Return the first lines that hold something, the headings before them. Raise UnreadableFile."""
    file.seek(0)
    with closing(lines.read(file)) as given:
        return list(itertools.islice(given, limit + 1))


def rejected_beside(aside: Path) -> Path:
    """Return where all lines that could not be taken stand, as CSV: line and reason."""
    return aside.with_name(aside.name + ".rejected.csv")


def _read(given: Iterator[Line], columns: Columns, aside: Path, regions: Sequence[str]) -> Summary:
    rejected: list[Rejected] = []
    count = 0
    with rejected_beside(aside).open("w", encoding="utf-8", newline="") as beside:
        beside.write(csv_export.line(("line", "reason")))

        def people() -> Iterator[Person]:
            nonlocal count
            for line in given:
                for item in rows.read(line, columns, regions):
                    if isinstance(item, Person):
                        yield item
                    else:
                        count += 1
                        beside.write(csv_export.line((item.line, item.reason)))
                        if len(rejected) < LISTED:
                            rejected.append(item)

        number = spool.write(aside, people())
    return Summary(number, rejected, count, list(columns.passed_over))
