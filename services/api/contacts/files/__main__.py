"""`python -m services.api.contacts.files TASK < FILE`: read a file of contacts in a process of its own.

The task is JSON: `Read`, or `Store` for the rows of a workbook. What came of it goes to the standard output as JSON: a
`Summary`, nothing, or `{"field", "reason"}` for a file that cannot be read. The process gives way to all others, and
ends itself if it takes more than it should.
"""

import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from libs.common.texts import gettext_noop as n_
from services.api.contacts.files import reading, stored_rows, workbooks
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import Summary, UnreadableFile

LESS_URGENT = 10  # of the 19 steps by which a process may give way
PROCESSOR_TIME = 600  # seconds
MEMORY = 1024 * 1024 * 1024  # bytes of addresses, most of which are never used

UNREADABLE = 3  # the exit status
TOO_MUCH = n_("takes too much memory to be read: remove empty columns and rows, save it as CSV UTF-8, or divide it")


@dataclass(frozen=True, slots=True)
class Read:
    """Read a file and put its people aside."""

    aside: str
    regions: Sequence[str]
    roles: Sequence[Role] = ()
    attributes: bool = False
    messages: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """Write the rows of a workbook where they come in a stream, in at most so many bytes."""

    target: str
    most: int


class Task(msgspec.Struct):
    """What is to be done; one of both."""

    read: Read | None = None
    store: Store | None = None


def main(given: str) -> int:
    """Do a task with the standard input and return the exit status."""
    os.nice(LESS_URGENT)
    with suppress(OSError):  # where memory is short, this one ends, and not who started it
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, most in ((resource.RLIMIT_CPU, PROCESSOR_TIME), (resource.RLIMIT_AS, MEMORY)):
        with suppress(ValueError, OSError):  # a lower one holds already, or the system has none
            resource.setrlimit(limit, (most, most))
    task = msgspec.json.decode(given, type=Task)
    try:
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as file:
            summary = _do(task, file)
    except MemoryError:
        return _unreadable("file", TOO_MUCH)
    except UnreadableFile as error:
        return _unreadable(error.field, error.reason)
    sys.stdout.buffer.write(msgspec.json.encode(summary))
    return 0


def _do(task: Task, file: IO[bytes]) -> Summary | None:
    if task.store is not None:
        with Path(task.store.target).open("wb") as target:
            stored_rows.write(workbooks.read(file), target, task.store.most)
    if task.read is None:
        return None
    wanted = task.read
    return reading.read(
        file,
        Path(wanted.aside),
        wanted.regions,
        wanted.roles,
        attributes=wanted.attributes,
        messages=wanted.messages,
    )


def _unreadable(field: str, reason: str) -> int:
    sys.stdout.buffer.write(msgspec.json.encode({"field": field, "reason": reason}))
    return UNREADABLE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
