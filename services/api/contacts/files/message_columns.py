"""Columns with the words that each person is to get: what may stand in a cell, and whose line was the first.

Nothing is repaired: what would not go out as somebody meant it is a reason to reject its line.
"""

import re

from libs.common.domain import message_bodies
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

#: What a spreadsheet shows where a formula has gone wrong.
_ERROR = re.compile(r"#(REF!|NAME\?|N/A|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|CALC!)(?![\s\S])")


def checked(cell: str) -> str:
    """Return the words of a cell as they are kept. Raise ValueError with a reason that does not repeat them."""
    words = cell.replace("\r\n", "\n")
    if not words:
        raise ValueError(n_("is empty"))
    if words.startswith("="):
        raise ValueError(n_("begins with = as a formula does: people would get it as it stands"))
    if _ERROR.match(words):
        raise ValueError(n_("is an error of the spreadsheet: the formula of the cell has no result"))
    return message_bodies.checked(words)


class FirstLines:
    """In which line each number stands first: everybody gets one message."""

    def __init__(self) -> None:
        self._lines: dict[int, int] = {}

    def fault(self, phone_number: str, line: int) -> str:
        """Return why a line cannot be taken; nothing where it is the first with its number."""
        first = self._lines.setdefault(int(phone_number), line)
        return "" if first == line else filled("the number has its message in line %(line)s already", line=first)
