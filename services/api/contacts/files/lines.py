"""The lines of a CSV file, as spreadsheets of any country write it.

Commas, semicolons, tabs or bars between the cells: a first line `sep=;` says which, else the headings tell. Empty
lines, also those of nothing but separators, are passed over, up to a bound.
"""

import csv
import io
import itertools
from collections.abc import Generator, Iterator
from typing import IO

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import headings, kinds
from services.api.contacts.files.outcome import UnreadableFile

SEPARATORS = ",;\t|"
LONGEST_HEADING = 100_000  # characters
MOST = 1_000_000  # lines with something in them
MOST_EMPTY = 2_000_000  # lines without

Line = tuple[int, list[str]]


def read(file: IO[bytes]) -> Generator[Line, None, None]:
    """Yield the lines that hold something with their numbers, the headings first. Raise UnreadableFile."""
    kinds.check(file)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _bounded(text)
    except UnicodeDecodeError:
        is_utf8 = False
    else:
        is_utf8 = True
    finally:
        text.detach()  # or it would close the file
    if not is_utf8:
        kinds.check_utf8(file)
        raise UnreadableFile("file", n_("is not UTF-8"))


def _bounded(text: io.TextIOWrapper) -> Iterator[Line]:
    first, skipped, separator = _begin(text)
    lines = csv.reader(itertools.chain([first], text), delimiter=separator, strict=True)
    before, found, empty = skipped, 0, skipped
    try:
        for cells in lines:
            number, before = before + 1, skipped + lines.line_num
            if any(not (cell == "" or cell.isspace()) for cell in cells):
                found += 1
                yield number, cells
            else:
                empty += 1
            if found > MOST + 1:
                raise UnreadableFile("file", filled("has more than %(most)s lines: divide it", most=format(MOST, ",")))
            if empty > MOST_EMPTY:
                raise _too_empty()
    except csv.Error as error:
        raise UnreadableFile(
            "file", filled("line %(number)s: %(error)s", number=skipped + lines.line_num, error=error)
        ) from None
    if not found:
        raise _nothing()


def _begin(text: io.TextIOWrapper) -> tuple[str, int, str]:
    """Return the line of headings as it stands, how many lines come before it, and what separates the cells."""
    skipped, separator = 0, ""
    while line := text.readline(LONGEST_HEADING):
        if len(line) == LONGEST_HEADING:
            raise UnreadableFile("phone_number", n_("the first line is too long to name the columns"))
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
