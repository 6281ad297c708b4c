"""Lines of CSV for people who open them in a spreadsheet. Every export is written with these.

A spreadsheet takes a cell for a formula by its first character, in ASCII or full width. Where lists are separated by
semicolons, as in most of Europe, it also divides a file with commas at each semicolon, tab or line break, in quotes or
not: what follows one of those counts as the beginning of a cell, too. An apostrophe in front makes it plain text.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

_SIGNS = "=+\\-@＝＋－＠﹢﹣－﹦﹫−"
#: What makes a spreadsheet take a cell for a formula; a number with its sign is none.
FORMULA = re.compile(rf"[\t\r\n]|[\s\"']*[{_SIGNS}]")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(?![\s\S])")
#: Where a cell that is divided would begin as a formula does.
DIVIDED = re.compile(rf"([;\t\r\n\v\f\x85\u2028\u2029])(?=(?:[^\S\t\r\n]|[\"'])*[{_SIGNS}])")
#: What has a cell put into quotes.
QUOTED = re.compile(r"[\",;|\t\r\n\v\f\x85\u2028\u2029]|^\s|\s(?![\s\S])")


def line(values: Iterable[Any]) -> str:
    """Return one line of CSV as RFC 4180 has it, without anything that a spreadsheet would run."""
    cells = [_cell(value) for value in values]
    quoted = ('"' + cell.replace('"', '""') + '"' if QUOTED.search(cell) else cell for cell in cells)
    return (",".join(quoted) if cells != [""] else '""') + "\r\n"


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            return _plain(str(value))


def _plain(text: str) -> str:
    if NUMBER.match(text):
        return text
    rest = text.lstrip("\t\r\n")
    mark = "'" if FORMULA.match(text) else ""
    return mark + text[: len(text) - len(rest)] + DIVIDED.sub(r"\1'", rest)
