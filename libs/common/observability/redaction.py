"""How an error is logged: its type and where it was raised, without the data that it was about.

An error's message may hold what somebody wrote: PostgreSQL quotes the row ("Key (phone_number)=(…) already exists"),
a parser the text that it could not read, a client the URL with its query. So an error's message is logged only where
its type is known to hold no such data. Of every other error the type and the frames are logged; frames are lines of our
own code.
"""

import re
import traceback
from pathlib import Path

import asyncpg
from structlog.typing import ExcInfo

from libs.common.errors import BroadsheetError

#: Their messages name things of the program, of the network or of the broker.
PLAIN = (BroadsheetError, OSError, TypeError, AttributeError, NameError, ImportError, NotImplementedError)
#: Classes of SQLSTATE whose messages quote data: https://www.postgresql.org/docs/current/errcodes-appendix.html.
QUOTING = ("22", "23")

#: Where this distribution's own folders are.
ROOT = Path(__file__).parents[3]
OURS = ("libs", "services", "tests")

#: A phone number as we write it, in whatever a library says: E.164, with a plus of its own or of a URL's.
NUMBER = re.compile(r"(?:\+|%2B)[1-9]\d{6,14}", re.IGNORECASE)


def describe(error: BaseException) -> str:
    """Return an error in one line, without anything personal."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, asyncpg.exceptions.PostgresError):
        sqlstate = getattr(error, "sqlstate", None)
        what = [sqlstate, getattr(error, "constraint_name", None)]
        if sqlstate is not None and not sqlstate.startswith(QUOTING):
            what.append(getattr(error, "message", None))
        return ": ".join([name, *filter(None, what)])
    if isinstance(error, BaseExceptionGroup):
        return f"{name}: {', '.join(describe(each) for each in error.exceptions)}"
    return f"{name}: {error}" if isinstance(error, PLAIN) else name


def placed(error: BaseException) -> str:
    """Return an error in one line with the place in our code where it came up, without anything personal."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and (inside := path.relative_to(ROOT)).parts[0] in OURS:
            return f"{describe(error)} at {inside.as_posix()}:{frame.lineno}, in {frame.name}"
    return describe(error)


def format_traceback(exc_info: ExcInfo) -> str:
    """Return an error with its frames, and those that it came from; for structlog's ExceptionRenderer."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.append("".join(traceback.format_tb(error.__traceback__)) + describe(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\ncame from\n\n".join(parts)


def redact_numbers(line: str) -> str:
    """Take the phone numbers out of a line: the last thing before it is written, whoever wrote it."""
    return NUMBER.sub("[number]", line)
