"""Lines of CSV for people who open them in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

LINES = 1000  # read and sent at once

#: What makes a spreadsheet take a cell for a formula; a number with its sign is none.
FORMULA = re.compile(r"^[=+\-@\t\r\n]")
NUMBER = re.compile(r"^[+-]?[0-9]+(\.[0-9]+)?(?![\s\S])")


def line(values: Iterable[Any]) -> str:
    """Give one line of CSV as RFC 4180 has it. A cell that would be a formula gets an apostrophe in front."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            text = str(value)
            return f"'{text}" if FORMULA.match(text) and not NUMBER.match(text) else text
