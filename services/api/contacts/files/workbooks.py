"""Workbooks, .xlsx and .ods: the rows of the first sheet that has any, with the numbers that they have in it.

`python-calamine` reads a sheet whole, in the process of its own that has a bound of memory. What a file unpacks to is
counted before, as it really is and not as the archive says.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import lines
from services.api.contacts.files.kinds import PASSWORD, ZIP_FAULTS
from services.api.contacts.files.lines import Line
from services.api.contacts.files.outcome import UnreadableFile

MOST_UNPACKED = 1024 * 1024 * 1024  # bytes
MOST_PARTS = 10_000  # of an archive
MOST_NAMED = 20  # sheets that are named
BLOCK = 256 * 1024  # bytes that are unpacked at once
OVERLAP = 4096  # bytes of a block that are looked at again with the next one
#: From here on a spreadsheet does not keep every digit of a number.
INEXACT = 10**15

DAMAGED = n_("is a damaged workbook: open it in the spreadsheet and save it again")
TOO_LARGE = filled(
    "is a workbook that unpacks to more than %(most)s bytes: save it as CSV UTF-8", most=format(MOST_UNPACKED, ",")
)
NO_RESULTS = n_(
    "has formulas whose results are not in the file: open it in the spreadsheet, save it again, and send that"
)

#: A formula without a result, in .xlsx (the first group says what the cell is) and in .ods.
_XLSX_FORMULA = re.compile(rb"<c\b([^>]*)>\s*<f\b[^<]*(?:</f>)?\s*(?:</c>|<v\s*/>|<v>\s*</v>)")
_ODS_FORMULA = re.compile(rb"<table:table-cell\b(?=[^>]*\stable:formula=)(?![^>]*\soffice:value-type=)[^>]*>")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that is read."""

    name: str
    #: Those that are not.
    others: list[str]
    rows: Iterator[Line]


def read(file: IO[bytes]) -> Sheet:
    """Return the first sheet, of those that are shown, that has rows. Raise UnreadableFile."""
    _check(file)
    file.seek(0)
    try:
        workbook = CalamineWorkbook.from_object(_source(file))
        for each in workbook.sheets_metadata:
            if each.visible != SheetVisibleEnum.Visible:
                continue
            sheet = workbook.get_sheet_by_name(each.name)
            if sheet.start is not None:
                others = [name for name in workbook.sheet_names if name != each.name][:MOST_NAMED]
                return Sheet(each.name, others, lines.with_something(_rows(sheet)))
    except PasswordError:
        raise UnreadableFile("file", PASSWORD) from None
    except CalamineError:
        raise UnreadableFile("file", DAMAGED) from None
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":  # what the library has not foreseen is no Exception
            raise
        raise UnreadableFile("file", DAMAGED) from None
    raise UnreadableFile("phone_number", n_("the file is empty: no sheet of it holds anything"))


def text_of(value: Any) -> str:
    """Return what a cell holds as it was meant: whole numbers as digits, dates as 2026-11-27.

    A number of which a spreadsheet has not kept every digit stays in scientific notation: it is no phone number.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value)) if abs(value) < INEXACT else f"{value:.14E}"
        case datetime() if (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0):
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _rows(sheet: CalamineSheet) -> Iterator[Line]:
    for number, values in enumerate(sheet.iter_rows(), start=1):
        cells = [value if type(value) is str else text_of(value) for value in values]
        if any(len(cell) > lines.LONGEST_CELL for cell in cells):
            most = format(lines.LONGEST_CELL, ",")
            raise lines.of_line(number, filled("a cell has more than %(most)s characters", most=most))
        yield number, cells


def _source(file: IO[bytes]) -> Any:
    """Return what the library reads from: the open file itself where there is one, so that it is not copied."""
    try:
        return f"/dev/fd/{file.fileno()}"
    except (AttributeError, io.UnsupportedOperation):
        return file


def _check(file: IO[bytes]) -> None:
    """Unpack what is going to be read, block by block. Raise UnreadableFile where that is too much, or no workbook."""
    file.seek(0)
    unpacked = 0
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS:
                raise UnreadableFile("file", DAMAGED)
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".bin")):
                    unpacked = _unpack(archive, part, unpacked)
    except ZIP_FAULTS:
        raise UnreadableFile("file", DAMAGED) from None


def _unpack(archive: zipfile.ZipFile, part: zipfile.ZipInfo, unpacked: int) -> int:
    """Unpack one part; return how much was unpacked with it."""
    if part.flag_bits & 1:
        raise UnreadableFile("file", PASSWORD)
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFile("file", DAMAGED)
    part.file_size = MOST_UNPACKED + 2 * BLOCK  # what it says itself would be believed
    is_ods = part.filename == "content.xml"
    tail = b""
    with archive.open(part) as content:
        while data := content.read(BLOCK):
            unpacked += len(data)
            if unpacked > MOST_UNPACKED:
                raise UnreadableFile("file", TOO_LARGE)
            seen = tail + data
            if _lacks_results(seen, is_ods=is_ods):
                raise UnreadableFile("file", NO_RESULTS)
            tail = seen[-OVERLAP:]
    return unpacked


def _lacks_results(xml: bytes, *, is_ods: bool) -> bool:
    if is_ods:
        return b"table:formula" in xml and _ODS_FORMULA.search(xml) is not None
    if b"<f" not in xml:
        return False
    return any(b't="str"' not in found[1] for found in _XLSX_FORMULA.finditer(xml))
