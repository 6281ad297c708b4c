"""How far long work is, for a person who watches: on a terminal alone, by the standard error, and gone at its end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from libs.console.printing import errors

#: Says how much is done, of how much; None where nobody knows that any more.
Tell = Callable[[float, float | None], None]

PART = 64 * 1024  # bytes that are sent at once


@contextmanager
def bar(words: str, *, as_json: bool) -> Iterator[Tell]:
    """Show a bar for the time of the block, moved by what is yielded; nothing for a program, or in a pipe."""
    shown = errors.is_terminal and not as_json
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not shown) as progress:
        task = progress.add_task(words, total=None)

        def tell(done: float, of: float | None) -> None:
            progress.update(task, completed=done, total=of)

        yield tell


class Upload:
    """Content that tells how much of it is sent; it may be sent again, from its beginning."""

    def __init__(self, content: bytes, tell: Tell) -> None:
        self._content, self._tell = content, tell

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PART):
            self._tell(start, len(self._content))
            yield self._content[start : start + PART]
        self._tell(0, None)  # it has arrived; what becomes of it now takes as long as it takes
