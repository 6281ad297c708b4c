"""A file of contacts, read as a whole: people go aside, and what else there is to say of it is summed up."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from services.api.contacts.files import attribute_columns, headings, opening, rows, spool
from services.api.contacts.files.headings import Columns, Role
from services.api.contacts.files.opening import Opened
from services.api.contacts.files.outcome import Person, Rejected, Summary
from services.api.http import csv_lines

LISTED = 1000  # rejected lines that are listed
LONGEST_GIVEN = 40  # characters of a number as it stands in a line that was rejected


def read(
    file: IO[bytes], aside: Path, regions: Sequence[str], roles: Sequence[Role] = (), *, attributes: bool = False
) -> Summary:
    """Read a file from its beginning and put the people in it aside. Raise UnreadableFile if it cannot be read.

    `roles` say what each column is, where a person has said so; else with `attributes` every column that is nothing
    else is a free attribute. Lines that cannot be taken go aside as well, all of them (`rejected_beside`).
    """
    with opening.opened(file) as given:
        _, cells = next(given.lines)
        columns = headings.chosen(cells, roles) if roles else headings.read(cells, attributes=attributes)
        return _read(given, columns, aside, regions)


def rejected_beside(aside: Path) -> Path:
    """Return where all lines that could not be taken stand, as CSV: line, reason, the number as given."""
    return aside.with_name(aside.name + ".rejected.csv")


def _read(given: Opened, columns: Columns, aside: Path, regions: Sequence[str]) -> Summary:
    rejected: list[Rejected] = []
    count = 0
    kinds = attribute_columns.Kinds()
    with rejected_beside(aside).open("w", encoding="utf-8", newline="") as beside:
        beside.write(csv_lines.line(("line", "reason", "phone_number")))

        def people() -> Iterator[Person]:
            nonlocal count
            for line in given.lines:
                for item in rows.read(line, columns, regions):
                    if isinstance(item, Person):
                        for name, text in item.attributes.items():
                            kinds.see(name, str(text))
                        yield item
                    else:
                        count += 1
                        beside.write(csv_lines.line((item.line.line, item.line.reason, item.given[:LONGEST_GIVEN])))
                        if len(rejected) < LISTED:
                            rejected.append(item.line)

        number = spool.write(aside, people())
    return Summary(
        number,
        rejected,
        count,
        list(columns.passed_over),
        given.encoding,
        given.sheet,
        given.other_sheets,
        kinds.all(),
    )
