"""The encoding of a text file: what its first bytes say, else UTF-8, else Windows-1252, of which Latin-1 is a part.

Nothing is guessed where letters might be lost: a file that is UTF-8 but for a few bytes, or that has bytes which mean
nothing in Windows-1252, is refused with the line.
"""

import codecs
import re
from enum import StrEnum
from typing import IO

from libs.common.texts import filled
from services.api.contacts.files.kinds import SAVE_AS
from services.api.contacts.files.outcome import UnreadableFile

CHUNK = 1024 * 1024  # bytes that are looked at at once
MANY, FEW = 0.8, 0.1  # of the bytes in their places
HEAD = 400  # bytes by which UTF-16 without a mark is told


class Encoding(StrEnum):
    """An encoding that is read, as people call it."""

    UTF_8 = "UTF-8"
    UTF_16 = "UTF-16"
    UTF_16_LE = "UTF-16LE"
    UTF_16_BE = "UTF-16BE"
    UTF_32 = "UTF-32"
    WINDOWS_1252 = "Windows-1252"

    @property
    def codec(self) -> str:
        """Return what Python calls it; a mark at the beginning is no part of the text."""
        return "utf-8-sig" if self is Encoding.UTF_8 else self.value


#: A mark at the beginning says it; those of four bytes come first, since they begin like those of two.
_MARKS = (
    (codecs.BOM_UTF32_LE, Encoding.UTF_32),
    (codecs.BOM_UTF32_BE, Encoding.UTF_32),
    (codecs.BOM_UTF8, Encoding.UTF_8),
    (codecs.BOM_UTF16_LE, Encoding.UTF_16),
    (codecs.BOM_UTF16_BE, Encoding.UTF_16),
)
#: Bytes that are no part of UTF-8, as `surrogateescape` has them, and letters that are.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_LETTERS = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
#: Bytes that mean nothing in Windows-1252.
_NOTHING = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def of(file: IO[bytes], *, is_whole: bool = True) -> Encoding:
    """Return the encoding of a file, or of its beginning; it is left at its beginning. Raise UnreadableFile."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if (pairs := _in_pairs(head)) is not None:
        return pairs
    try:
        return _of_bytes(file, is_whole=is_whole)
    finally:
        file.seek(0)


def _in_pairs(head: bytes) -> Encoding | None:
    """Return which UTF-16 a text without a mark is: in its headings nearly every second byte is 0."""
    high, low = head[0::2].count(0), head[1::2].count(0)
    most = len(head) // 2
    if low > most * MANY > most * FEW > high:
        return Encoding.UTF_16_LE
    if high > most * MANY > most * FEW > low:
        return Encoding.UTF_16_BE
    return None


def _of_bytes(file: IO[bytes], *, is_whole: bool) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    wrong, letters, nothing, line = 0, False, 0, 1
    while data := file.read(CHUNK):
        if not (data.isascii() and not decoder.getstate()[0]):
            text = decoder.decode(data)
            if not wrong and (found := _NOT_UTF8.search(text)) is not None:
                wrong = line + text.count("\n", 0, found.start())
            letters = letters or _LETTERS.search(text) is not None
            if not nothing and (byte := _NOTHING.search(data)) is not None:
                nothing = line + data.count(b"\n", 0, byte.start())
        line += data.count(b"\n")
    if not wrong and is_whole and decoder.decode(b"", final=True):
        wrong = line
    if not wrong:
        return Encoding.UTF_8
    if letters:
        reason = filled(
            "line %(number)s is not UTF-8, and other lines are: which letters are meant cannot be told; %(save)s",
            number=wrong,
            save=SAVE_AS,
        )
        raise UnreadableFile("file", reason)
    if nothing:
        reason = filled(
            "line %(number)s is neither UTF-8 nor Windows-1252 (Latin-1): %(save)s", number=nothing, save=SAVE_AS
        )
        raise UnreadableFile("file", reason)
    return Encoding.WINDOWS_1252
