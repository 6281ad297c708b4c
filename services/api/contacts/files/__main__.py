"""`python -m services.api.contacts.files ASIDE REGIONS ROLES < FILE`: read a file of contacts in a process of its own.

What came of it goes to the standard output as JSON: a `Summary`, or `{"field", "reason"}` for one that cannot be
read. The process gives way to all others, and ends itself if it takes more than it should.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from services.api.contacts.files import reading
from services.api.contacts.files.headings import Role
from services.api.contacts.files.outcome import UnreadableFile

LESS_URGENT = 10  # of the 19 steps by which a process may give way
PROCESSOR_TIME = 600  # seconds
MEMORY = 1024 * 1024 * 1024  # bytes of addresses, most of which are never used

UNREADABLE = 3  # the exit status


def main(aside: str, regions: str, roles: str) -> int:
    """Read the standard input and return the exit status."""
    os.nice(LESS_URGENT)
    for limit, most in ((resource.RLIMIT_CPU, PROCESSOR_TIME), (resource.RLIMIT_AS, MEMORY)):
        with suppress(ValueError, OSError):  # a lower one holds already, or the system has none
            resource.setrlimit(limit, (most, most))
    try:
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as file:
            summary = reading.read(file, Path(aside), regions.split(","), msgspec.json.decode(roles, type=list[Role]))
    except UnreadableFile as error:
        sys.stdout.buffer.write(msgspec.json.encode({"field": error.field, "reason": error.reason}))
        return UNREADABLE
    sys.stdout.buffer.write(msgspec.json.encode(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
