"""Reading a file of contacts: CSV in UTF-8 with a heading line.

Columns `phone_number` (or `phone`), `name` and `tags` (separated by semicolons) are read, in any order; others are
passed over. A line that cannot be taken is told by its number and the reason; the reason never holds what is in it.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from libs.common.settings import e164
from services.api.fields import TAG_PATTERN
from services.api.problems import InvalidFields

LONGEST_NAME = 200  # characters
MOST_TAGS = 100

_TAG = re.compile(TAG_PATTERN)


@dataclass(frozen=True, slots=True)
class Row:
    """A contact, as a line tells it."""

    line: int
    phone_number: str
    name: str
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that cannot be taken, and why."""

    line: int
    reason: str


def read(file: IO[bytes]) -> Iterator[Row | Rejected]:
    """Read a file line by line. Raises InvalidFields if it is none that can be read."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        lines = csv.reader(text, strict=True)
        columns = _columns(next(lines, []))
        before = lines.line_num
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield _row(before + 1, cells, columns)
            before = lines.line_num
    except UnicodeDecodeError:
        raise InvalidFields(("file", "is not UTF-8")) from None
    except csv.Error as error:
        raise InvalidFields(("file", f"line {lines.line_num}: {error}")) from None
    finally:
        text.detach()


@dataclass(frozen=True, slots=True)
class _Columns:
    count: int
    phone_number: int
    name: int | None
    tags: int | None


def _columns(heading: list[str]) -> _Columns:
    names = [name.strip().lower() for name in heading]
    number = next((names.index(name) for name in ("phone_number", "phone") if name in names), None)
    if number is None:
        raise InvalidFields(("phone_number", "the first line must name the columns, phone_number among them"))
    return _Columns(
        count=len(names),
        phone_number=number,
        name=names.index("name") if "name" in names else None,
        tags=names.index("tags") if "tags" in names else None,
    )


def _row(line: int, cells: list[str], columns: _Columns) -> Row | Rejected:
    if len(cells) > columns.count:
        return Rejected(line, "more cells than the first line has columns")

    def cell(column: int | None) -> str:
        return cells[column].strip() if column is not None and column < len(cells) else ""

    number, name = cell(columns.phone_number), cell(columns.name)
    tags = sorted({tag.strip() for tag in cell(columns.tags).split(";") if tag.strip()})
    if not number:
        return Rejected(line, "no phone number")
    if len(name) > LONGEST_NAME or "\x00" in name:
        return Rejected(line, f"the name has more than {LONGEST_NAME} characters, or a NUL")
    if len(tags) > MOST_TAGS or not all(_TAG.match(tag) for tag in tags):
        return Rejected(line, "a tag has characters other than letters, digits and _ . : / & ' + -, or is too long")
    try:
        return Row(line, e164(number), name, tags)
    except ValueError as error:
        return Rejected(line, str(error))
