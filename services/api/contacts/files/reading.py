"""A file of contacts, read as a whole: people go aside, and what else there is to say of it is summed up."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from services.api.contacts.files import attribute_columns, headings, message_columns, opening, rows, spool
from services.api.contacts.files.headings import Columns, Role
from services.api.contacts.files.lines import Line
from services.api.contacts.files.message_columns import FirstLines
from services.api.contacts.files.opening import Opened
from services.api.contacts.files.outcome import Person, Refusal, Rejected, Summary
from services.api.http import csv_lines

LISTED = 1000  # rejected lines that are listed
LONGEST_GIVEN = 40  # characters of a number as it stands in a line that was rejected


def read(
    file: IO[bytes],
    aside: Path,
    regions: Sequence[str],
    roles: Sequence[Role] = (),
    *,
    attributes: bool = False,
    messages: bool = False,
) -> Summary:
    """Read a file from its beginning and put the people in it aside. Raise UnreadableFile if it cannot be read.

    `roles` say what each column is, where a person has said so; else with `attributes` every column that is nothing
    else is a free attribute, and with `messages` one has the words that each person is to get. Lines that cannot be
    taken go aside as well, all of them (`rejected_beside`).
    """
    with opening.opened(file) as given:
        _, cells = next(given.lines)
        columns = (
            headings.chosen(cells, roles) if roles else headings.read(cells, attributes=attributes, messages=messages)
        )
        return _read(given, columns, aside, regions)


def rejected_beside(aside: Path) -> Path:
    """Return where all lines that could not be taken stand, as CSV: line, reason, the number as given."""
    return aside.with_name(aside.name + ".rejected.csv")


def _read(given: Opened, columns: Columns, aside: Path, regions: Sequence[str]) -> Summary:
    rejected: list[Rejected] = []
    count = 0
    kinds = attribute_columns.Kinds()
    first_lines = message_columns.FirstLines()
    with rejected_beside(aside).open("w", encoding="utf-8", newline="") as beside:
        beside.write(csv_lines.line(("line", "reason", "phone_number")))

        def people() -> Iterator[Person]:
            nonlocal count
            for line in given.lines:
                for item in _once(rows.read(line, columns, regions), line, columns, first_lines):
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
        columns.message is not None,
        columns.follow_up is not None,
    )


def _once(
    items: Iterator[Person | Refusal], line: Line, columns: Columns, first_lines: FirstLines
) -> Iterator[Person | Refusal]:
    """Yield what a line says; of a number that has its message in an earlier line nothing but a no."""
    for item in items:
        fault = first_lines.fault(item.phone_number, line[0]) if isinstance(item, Person) and item.message else ""
        if not fault or not isinstance(item, Person):
            yield item
            continue
        yield Refusal(Rejected(line[0], fault), line[1][columns.phone_number].strip())
        if item.opted_out:
            yield Person(item.phone_number, "", (), opted_out=True)
