"""A file of people, opened as what it is, whatever its name: CSV in an encoding, a workbook, or stored rows of one."""

import codecs
import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TextIO

from libs.common.texts import filled
from services.api.contacts.files import encodings, kinds, lines, stored_rows, workbooks
from services.api.contacts.files.encodings import Encoding
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import UnreadableFile
from services.api.contacts.files.workbooks import Sheet


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being read."""

    #: The lines that hold something with their numbers, the headings first.
    lines: Iterator[Line]
    #: In which encoding a text is read; empty for a workbook.
    encoding: str = ""
    #: Which sheet of a workbook is read, and which are not; empty for a text.
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)

    @property
    def is_utf8(self) -> bool:
        """Whether a text is read in UTF-8: then there is nothing to be looked over."""
        return self.encoding == "UTF-8"


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Opened]:
    """Hold a file open for the time of the block, read from its beginning. Raise UnreadableFile, also in the block."""
    file.seek(0)
    kind = kinds.of(file)
    if kind is kinds.Kind.WORKBOOK:
        yield _of_sheet(workbooks.read(file))
    elif kind is kinds.Kind.STORED_ROWS:
        yield _of_sheet(stored_rows.read(file))
    else:
        encoding = encodings.of(file)
        text = io.TextIOWrapper(file, encoding=encoding.codec, newline="")
        try:
            yield Opened(_told(lines.read(text), encoding), encoding=encoding)
        finally:
            text.detach()  # or it would close the file


def _of_sheet(sheet: Sheet) -> Opened:
    return Opened(sheet.rows, sheet=sheet.name, other_sheets=sheet.others)


def _told(read: Iterator[Line], encoding: Encoding) -> Iterator[Line]:
    try:
        yield from read
    except UnicodeDecodeError:
        raise _damaged(encoding) from None


def _damaged(encoding: Encoding) -> UnreadableFile:
    return UnreadableFile("file", filled("is damaged: it is not %(encoding)s to its end", encoding=encoding.value))


def first(head: bytes, limit: int, *, is_whole: bool) -> Opened:
    """Return the first lines that hold something, the headings before them, of the beginning of a file.

    Raise UnreadableFile. A workbook is looked at in its stored rows alone.
    """
    file = io.BytesIO(head)
    if kinds.of(file) is kinds.Kind.STORED_ROWS:
        cut = head if is_whole else head[: head.rfind(b"\n") + 1]
        found = _of_sheet(stored_rows.read(io.BytesIO(cut)))
    else:
        encoding = encodings.of(file, is_whole=is_whole)
        found = Opened(lines.read(_text(head, encoding, is_whole=is_whole)), encoding=encoding)
    taken: list[Line] = []
    try:
        taken.extend(itertools.islice(found.lines, limit + 1))
    except UnreadableFile:
        if is_whole or not taken:  # else a cell may go on where the beginning ends
            raise
    return replace(found, lines=iter(taken))


def _text(head: bytes, encoding: Encoding, *, is_whole: bool) -> TextIO:
    """Return the beginning of a text up to the last line that is whole."""
    try:
        text = codecs.getincrementaldecoder(encoding.codec)("strict").decode(head, final=is_whole)
    except UnicodeDecodeError:
        raise _damaged(encoding) from None
    if not is_whole and (end := text.rfind("\n")) >= 0:
        text = text[: end + 1]
    return io.StringIO(text, newline="")
