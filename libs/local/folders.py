"""Folders of the local servers, and the locks that tell who uses them.

The locks are the kernel's: they end with the process that holds them, however it ends, so none can be stale.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libs.local.errors import NotOurs


def identity(folder: Path) -> str:
    """Return a short name that only this folder has on this machine."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Let one process at a time through; the next one waits."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Lease:
    """A share in the use of a server: the last one to give it back knows that they are the last.

    Only to be used under `exclusively`, since finding out means to let go for a moment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this is a share of ours."""
        return self._descriptor is not None

    def take(self) -> None:
        """Take a share."""
        self._descriptor = _open(self._path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def take_whole(self) -> bool:
        """Take all of it, if nobody has a share."""
        self._descriptor = _open(self._path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.give_back()
            return False
        return True

    def alone(self) -> bool:
        """Return whether nobody else has a share."""
        assert self._descriptor is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        return True

    def give_back(self) -> None:
        """Release the share; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError as error:
        raise NotOurs(
            f"{path.parent} was made by another user (with sudo?): run as that user, or remove it as them."
        ) from error
