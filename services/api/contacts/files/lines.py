"""The lines of a CSV file, as spreadsheets of any country write it.

Commas, semicolons, tabs or bars between the cells: a first line `sep=;` says which, else the headings tell. Empty
lines, also those of nothing but separators, are passed over, up to a bound.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator
from typing import TextIO

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import headings
from services.api.contacts.files.outcome import UnreadableFile

SEPARATORS = ",;\t|"
LONGEST_HEADING = 100_000  # characters
LONGEST_CELL = 131_072  # characters; what Python's reader of CSV takes, too
LONGEST = 1_000_000  # characters of a line
MOST = 1_000_000  # lines with something in them
MOST_EMPTY = 2_000_000  # lines without

Line = tuple[int, list[str]]

#: What the reader of CSV says of a line, and what a person can do about it.
_IN_WORDS = (
    ("field larger", filled("a cell has more than %(most)s characters", most=format(LONGEST_CELL, ","))),
    ("unexpected end", n_("a quotation mark is opened and never closed")),
    ("expected after", n_("something stands behind a closing quotation mark: one within a cell is written twice")),
)


def read(text: TextIO) -> Iterator[Line]:
    """Yield the lines that hold something with their numbers, the headings first. Raise UnreadableFile."""
    first, skipped, separator = _begin(text)
    yield from _with_something(_cells(first, text, skipped, separator), skipped)


def with_something(rows: Iterable[Line]) -> Iterator[Line]:
    """Yield the rows that hold something, a bounded number. Raise UnreadableFile where there are more, or none."""
    return _with_something(rows, 0)


def too_long_to_be_headings() -> UnreadableFile:
    """Return what is said of a first line without an end."""
    return UnreadableFile("phone_number", n_("the first line is too long to name the columns"))


def of_line(number: int, fault: str) -> UnreadableFile:
    """Return what is said where one line keeps the whole file from being read."""
    return UnreadableFile("file", filled("line %(number)s: %(error)s", number=number, error=fault))


def _with_something(rows: Iterable[Line], empty: int) -> Iterator[Line]:
    found = 0
    for row in rows:
        cells = row[1]
        if (cells and cells[0] and not cells[0].isspace()) or any(cell and not cell.isspace() for cell in cells):
            found += 1
            yield row
        else:
            empty += 1
        if found > MOST + 1:
            raise UnreadableFile("file", filled("has more than %(most)s lines: divide it", most=format(MOST, ",")))
        if empty > MOST_EMPTY:
            raise _too_empty()
    if not found:
        raise _nothing()


def _cells(first: str, text: TextIO, skipped: int, separator: str) -> Iterator[Line]:
    lines = csv.reader(itertools.chain([first], _bounded(text, skipped + 1)), delimiter=separator, strict=True)
    before = skipped
    try:
        for cells in lines:
            yield before + 1, cells
            before = skipped + lines.line_num
    except csv.Error as error:
        fault = next((words for said, words in _IN_WORDS if said in str(error)), str(error))
        raise of_line(before + 1, fault) from None


def _bounded(text: TextIO, before: int) -> Iterator[str]:
    """Yield lines none of which takes more memory than a line may."""
    for number in itertools.count(before + 1):
        line = text.readline(LONGEST)
        if len(line) == LONGEST:
            raise of_line(number, filled("it has more than %(most)s characters", most=format(LONGEST, ",")))
        if not line:
            return
        yield line


def _begin(text: TextIO) -> tuple[str, int, str]:
    """Return the line of headings as it stands, how many lines come before it, and what separates the cells."""
    skipped, separator = 0, ""
    while line := text.readline(LONGEST_HEADING):
        if len(line) == LONGEST_HEADING:
            raise too_long_to_be_headings()
        bare = line.strip().strip('"')
        if not separator and bare[:4].lower() == "sep=" and len(bare := line.strip("\r\n").strip('"')) == 5:
            separator = bare[4]
        elif line.strip(SEPARATORS + ' \t\r\n"'):
            return line, skipped, separator or _separator(line)
        skipped += 1
        if skipped > MOST_EMPTY:
            raise _too_empty()
    if skipped:
        raise _nothing()
    raise UnreadableFile("phone_number", n_("the file is empty"))


def _separator(heading: str) -> str:
    """Return what separates the cells: that by which a heading is one of phone numbers, or by which there are most."""

    def score(separator: str) -> tuple[bool, int]:
        try:
            cells = next(csv.reader([heading], delimiter=separator), [])
        except csv.Error:
            return False, 0
        return headings.has_number(cells), len(cells)

    return max(SEPARATORS, key=score)


def _nothing() -> UnreadableFile:
    return UnreadableFile("phone_number", n_("the file is empty: no line of it holds anything"))


def _too_empty() -> UnreadableFile:
    return UnreadableFile(
        "file", filled("has more than %(most)s empty lines: remove them", most=format(MOST_EMPTY, ","))
    )
