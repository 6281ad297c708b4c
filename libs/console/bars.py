"""How far long work is, for a person who watches: on a terminal alone, by the standard error, and gone at its end."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from libs.console.printing import errors

#: Says how much is done, of how much; None where nobody knows that any more.
Tell = Callable[[float, float | None], None]

PART = 64 * 1024  # bytes that are sent at once


@contextmanager
def bar(words: str, *, as_json: bool) -> Iterator[Tell]:
    """Show a bar for the time of the block, moved by what is yielded; nothing for a program, or in a pipe."""
    shown = is_shown(as_json=as_json)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not shown) as progress:
        task = progress.add_task(words, total=None)

        def tell(done: float, of: float | None) -> None:
            progress.update(task, completed=done, total=of)

        yield tell


def is_shown(*, as_json: bool) -> bool:
    """Whether a person watches."""
    return errors.is_terminal and not as_json


class FileChanged(Exception):
    """Somebody wrote to a file while it was read."""


class Upload:
    """A file that is sent part by part, and tells how much of it is; it may be sent again, from its beginning.

    Its last part is held back until it is certain that the file is the one that was begun with: if it is not, the other
    side never has a whole file, and does nothing with it.
    """

    def __init__(self, file: IO[bytes], tell: Tell) -> None:
        self._file, self._tell = file, tell
        self._begun = self._version()
        self.size = self._begun[0]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts. Raise FileChanged."""
        self._file.seek(0)
        done, part = 0, self._file.read(PART)
        while part:
            following = self._file.read(PART)
            if not following and (self._version() != self._begun or done + len(part) != self.size):
                raise FileChanged
            self._tell(done, self.size)
            yield part
            done, part = done + len(part), following
        if done != self.size:
            raise FileChanged
        self._tell(0, None)  # it has arrived; what becomes of it now takes as long as it takes

    def _version(self) -> tuple[int, int]:
        """Return how long the file is, and when it was written to."""
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns
