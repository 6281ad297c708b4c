"""What a file is, by what is in it and not by its name: one that is not read is named, with what to do about it."""

import zipfile
import zlib
from enum import Enum, auto
from typing import IO

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files.outcome import UnreadableFile

SAVE_AS = n_("in the spreadsheet choose File, Save as, CSV UTF-8")
PASSWORD = n_("is protected by a password: save it without one")
OLD_WORKBOOK = n_("is an old Excel workbook (.xls): save it as .xlsx, or as CSV UTF-8")
HEAD = 4096  # bytes that are looked at
BLOCK = 1024 * 1024  # bytes that are searched at once
ARCHIVE = b"PK\x03\x04"  # how a zip begins
#: How the containers of old Office files begin, and what is in those of encrypted new ones ([MS-OFFCRYPTO] 2.3.4.4).
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
ODS = b"application/vnd.oasis.opendocument.spreadsheet"
#: How the stored rows of a workbook begin (`stored_rows.py`).
STORED_ROWS = b'{"broadsheet_rows":1,'


#: What reading a damaged archive may raise.
ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


class Kind(Enum):
    """What is read."""

    TEXT = auto()
    #: .xlsx or .ods
    WORKBOOK = auto()
    STORED_ROWS = auto()


#: How files begin that people send for CSV.
_BEGINNINGS = (
    (b"%PDF-", n_("is a PDF, not CSV")),
    (b"{\\rtf", n_("is a text with formats (.rtf), not CSV")),
    (b"BEGIN:VCARD", n_("is an address book (vCard), not CSV")),
    (b"\x1f\x8b", n_("is compressed (gzip): send the CSV that is in it")),
    (b"BZh", n_("is compressed (bzip2): send the CSV that is in it")),
    (b"\xfd7zXZ\x00", n_("is compressed (xz): send the CSV that is in it")),
    (b"7z\xbc\xaf\x27\x1c", n_("is an archive (.7z): send the CSV that is in it")),
    (b"Rar!\x1a\x07", n_("is an archive (.rar): send the CSV that is in it")),
)
_MARKUP = (
    (b"<!doctype", n_("a web page")),
    (b"<html", n_("a web page")),
    (b"<?xml", "XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)


def is_container(file: IO[bytes]) -> bool:
    """Whether a file has others in it, as workbooks have: only a process of its own looks into it."""
    head = file.read(len(OLD_OFFICE))
    file.seek(0)
    return head.startswith((ARCHIVE, OLD_OFFICE))


def of(file: IO[bytes]) -> Kind:
    """Return what a file is by what is in it; leave it at its beginning. Raise UnreadableFile for what is not read."""
    head = file.read(HEAD)
    file.seek(0)
    if head.startswith(OLD_OFFICE):
        raise UnreadableFile("file", PASSWORD if _holds(file, ENCRYPTED) else OLD_WORKBOOK)
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            raise UnreadableFile("file", what)
    if head.startswith(ARCHIVE):
        fault = _archive(file)
        file.seek(0)
        if fault:
            raise UnreadableFile("file", fault)
        return Kind.WORKBOOK
    if head.startswith(STORED_ROWS):
        return Kind.STORED_ROWS
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _MARKUP:
        if text.startswith(beginning):
            raise UnreadableFile("file", filled("is %(what)s, not CSV", what=what))
    return Kind.TEXT


def _holds(file: IO[bytes], sought: bytes) -> bool:
    """Whether some bytes are anywhere in a file, which is read in parts that overlap."""
    file.seek(0)
    tail = b""
    while data := file.read(BLOCK):
        if sought in tail + data:
            return True
        tail = data[-len(sought) :]
    return False


def _archive(file: IO[bytes]) -> str:
    """Return what kind of archive a file is; nothing where it is a workbook that is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype")[:100] if "mimetype" in names else b""
    except ZIP_FAULTS:
        names, kind = [], b""
    if any(name == "xl/workbook.bin" for name in names):
        return filled("is a binary Excel workbook (.xlsb): %(save)s", save=SAVE_AS)
    if any(name.startswith("xl/") for name in names) or kind.startswith(ODS):
        return ""
    if any(name.endswith(".iwa") for name in names):
        return n_("is a Numbers document (.numbers), not CSV: in Numbers choose File, Export to, CSV")
    if any(name.startswith("word/") for name in names):
        return n_("is a Word document (.docx), not CSV")
    return n_("is an archive (.zip): send the CSV that is in it")
