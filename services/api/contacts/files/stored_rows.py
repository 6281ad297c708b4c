"""The rows of a workbook as they are stored until it is imported: a line of JSON each, so that they come in a stream.

The first line says what it is, and which sheet was read.
"""

from collections.abc import Iterator
from typing import IO

import msgspec

from libs.common.texts import filled
from services.api.contacts.files import lines
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import UnreadableFile
from services.api.contacts.files.workbooks import DAMAGED, Sheet

#: Characters of a cell may take six bytes in JSON; more than one row of cells that are all full is not stored.
LONGEST = 8 * 1024 * 1024  # bytes of a line


class _Head(msgspec.Struct):
    broadsheet_rows: int
    sheet: str
    others: list[str]


_decode_row = msgspec.json.Decoder(tuple[int, list[str]]).decode


def write(sheet: Sheet, target: IO[bytes], most: int) -> None:
    """Write the rows of a sheet. Raise UnreadableFile where they take more than `most` bytes."""
    encoder = msgspec.json.Encoder()
    size = target.write(encoder.encode(_Head(1, sheet.name, sheet.others)) + b"\n")
    for row in sheet.rows:
        line = encoder.encode(row) + b"\n"
        if len(line) > LONGEST:
            raise lines.of_line(row[0], filled("it has more than %(most)s characters", most=format(LONGEST, ",")))
        size += target.write(line)
        if size > most:
            raise UnreadableFile(
                "file", filled("holds more than %(most)s bytes of rows: divide it", most=format(most, ","))
            )


def read(file: IO[bytes]) -> Sheet:
    """Return the sheet whose rows are stored in a file, from its beginning. Raise UnreadableFile."""
    file.seek(0)
    try:
        head = msgspec.json.decode(file.readline(LONGEST), type=_Head)
    except msgspec.MsgspecError:
        raise UnreadableFile("file", DAMAGED) from None
    return Sheet(head.sheet, head.others, lines.with_something(_rows(file)))


def _rows(file: IO[bytes]) -> Iterator[Line]:
    while line := file.readline(LONGEST + 1):
        try:
            yield _decode_row(line)
        except msgspec.MsgspecError:
            raise UnreadableFile("file", DAMAGED) from None
