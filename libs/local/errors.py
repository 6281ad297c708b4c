"""What can go wrong with a local server; every message says what to do about it.

LocalServerError
├── NotInstalled
├── NotOurs
├── PortTaken
└── StartFailed
"""

from pathlib import Path


class LocalServerError(Exception):
    """A local server could not be used."""


class NotInstalled(LocalServerError):
    """A program that a local server needs is not on this machine."""


class NotOurs(LocalServerError):
    """A server's folder is in the hands of someone else."""


class PortTaken(LocalServerError):
    """A port that was asked for by number is in use by another program."""


class StartFailed(LocalServerError):
    """A server ended, or said nothing, while it was being started."""

    def __init__(self, server: str, reason: str, log: Path) -> None:
        super().__init__(f"{server} did not start: {reason} (its log: {log})")
