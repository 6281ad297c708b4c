"""An export as CSV: a stream of lines (`csv_lines.py`), as a file to save."""

from collections.abc import AsyncIterator

from litestar.response import Stream

from services.api.http.csv_lines import line

__all__ = ["LINES", "answer", "line"]

LINES = 1000  # read and sent at once


def answer(lines: AsyncIterator[str], name: str) -> Stream:
    """Return an answer with these lines, the first of which is the header, as a file to save (RFC 4180, UTF-8)."""
    return Stream(
        lines,
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
