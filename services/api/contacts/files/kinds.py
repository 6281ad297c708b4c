"""What a file is, before it is read as CSV: one that is none is named as what it is, with what to do about it."""

import zipfile
from typing import IO

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.contacts.files.outcome import UnreadableFile

SAVE_AS = n_("in the spreadsheet choose File, Save as, CSV UTF-8")
HEAD = 4096  # bytes that are looked at

#: How files begin that people send for CSV.
_BEGINNINGS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", filled("is an old Excel workbook (.xls), not CSV: %(save)s", save=SAVE_AS)),
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


def check(file: IO[bytes]) -> None:
    """Raise UnreadableFile for a file that is certainly no CSV in UTF-8; leave it at its beginning otherwise."""
    head = file.read(HEAD)
    file.seek(0)
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            raise UnreadableFile("file", what)
    if head.startswith(b"PK\x03\x04"):
        raise UnreadableFile("file", _archive(file))
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _in_pairs(head[:40]):
        raise UnreadableFile("file", filled('is not UTF-8 but UTF-16 ("Unicode text"): %(save)s', save=SAVE_AS))
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _MARKUP:
        if text.startswith(beginning):
            raise UnreadableFile("file", filled("is %(what)s, not CSV", what=what))


def _in_pairs(head: bytes) -> bool:
    """Whether every second byte is 0, as in English text in UTF-16 without a mark."""
    return len(head) > 1 and any(not any(head[start::2]) for start in (0, 1))


def check_utf8(file: IO[bytes]) -> None:
    """Raise UnreadableFile that tells the first line that is not UTF-8."""
    file.seek(0)
    for number, line in enumerate(file, start=1):
        try:
            line.decode()
        except UnicodeDecodeError:
            reason = filled(
                "line %(number)s is not UTF-8; it looks like Windows-1252 or Latin-1: %(save)s",
                number=number,
                save=SAVE_AS,
            )
            raise UnreadableFile("file", reason) from None


def _archive(file: IO[bytes]) -> str:
    """Return what kind of archive a file is: workbooks are archives, too."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype")[:100] if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError):
        names, kind = [], b""
    if any(name.startswith("xl/") for name in names):
        return filled("is an Excel workbook (.xlsx), not CSV: %(save)s", save=SAVE_AS)
    if kind.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        return filled("is a LibreOffice or OpenOffice spreadsheet (.ods), not CSV: %(save)s", save=SAVE_AS)
    if any(name.endswith(".iwa") for name in names):
        return n_("is a Numbers document (.numbers), not CSV: in Numbers choose File, Export to, CSV")
    if any(name.startswith("word/") for name in names):
        return n_("is a Word document (.docx), not CSV")
    return n_("is an archive (.zip): send the CSV that is in it")
