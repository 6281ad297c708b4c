"""How an error is told in the logs: where it was and what it was, without what it was about.

An error's message may hold what somebody wrote: PostgreSQL quotes the row ("Key (phone_number)=(…) already exists"),
a parser the text that it could not read, a client the URL with its query. So a message is told only where its kind is
known to hold no such thing; everything else is told by type, with the frames, which are our own lines.
"""

import re
import traceback

import psycopg
from structlog.typing import ExcInfo

from libs.common.errors import BroadsheetError

#: Their messages name things of the program, of the network or of the broker.
PLAIN = (BroadsheetError, OSError, TypeError, AttributeError, NameError, ImportError, NotImplementedError)
#: Classes of SQLSTATE whose messages quote data: https://www.postgresql.org/docs/current/errcodes-appendix.html.
QUOTING = ("22", "23")

#: A phone number as we write it, in whatever a library says: E.164, with a plus of its own or of a URL's.
NUMBER = re.compile(r"(?:\+|%2B)[1-9]\d{6,14}", re.IGNORECASE)


def told(error: BaseException) -> str:
    """Give an error in one line, without anything personal."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, psycopg.Error):
        what = [error.sqlstate, error.diag.constraint_name]
        if error.sqlstate is not None and not error.sqlstate.startswith(QUOTING):
            what.append(error.diag.message_primary)
        return ": ".join([name, *filter(None, what)])
    if isinstance(error, BaseExceptionGroup):
        return f"{name}: {', '.join(told(each) for each in error.exceptions)}"
    return f"{name}: {error}" if isinstance(error, PLAIN) else name


def frames(exc_info: ExcInfo) -> str:
    """Give an error with its frames, and those that it came from; for structlog's ExceptionRenderer."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.append("".join(traceback.format_tb(error.__traceback__)) + told(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\ncame from\n\n".join(parts)


def without_numbers(line: str) -> str:
    """Take the phone numbers out of a line: the last thing before it is written, whoever wrote it."""
    return NUMBER.sub("[number]", line)
