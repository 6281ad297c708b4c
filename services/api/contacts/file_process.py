"""The process of its own in which a file is read: a long one, and every workbook, whose sheets are read whole.

It is given neither secrets nor connections, and has bounds of time and memory. Where it comes to its end by one of
them, that is an answer about the file.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import IO

import msgspec
import structlog

from libs.common.settings import PREFIX
from libs.common.texts import filled
from services.api.contacts import files
from services.api.contacts.files.__main__ import TOO_MUCH, UNREADABLE, Read, Store, Task
from services.api.contacts.files.outcome import Summary, UnreadableFile
from services.api.http.errors import NotReady

WITHIN = 900.0  # seconds
#: How a process ends that was refused memory by its own bound.
OUT_OF_MEMORY = -signal.SIGABRT

log = structlog.stdlib.get_logger(__name__)


async def read(file: IO[bytes], task: Read) -> Summary:
    """Read a file and put its people aside. Raise UnreadableFile, NotReady."""
    return msgspec.json.decode(await _do(file, Task(read=task)), type=Summary)


async def store(file: IO[bytes], target: Path, most: int) -> None:
    """Write the rows of a workbook where they come in a stream. Raise UnreadableFile, NotReady."""
    await _do(file, Task(store=Store(str(target), most)))


async def _do(file: IO[bytes], task: Task) -> bytes:
    # Nothing is to be read ahead: the other process moves the place in the file, which is one for both.
    file.seek(0, os.SEEK_END)
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", files.__name__, msgspec.json.encode(task).decode(),
        stdin=file, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN):
            said, complained = await process.communicate()
    except TimeoutError:
        raise UnreadableFile(
            "file", filled("could not be read within %(seconds)s seconds: divide it", seconds=format(WITHIN, "g"))
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == UNREADABLE:
        problem = msgspec.json.decode(said, type=dict[str, str])
        raise UnreadableFile(problem["field"], problem["reason"])
    if process.returncode == OUT_OF_MEMORY:
        raise UnreadableFile("file", TOO_MUCH)
    if process.returncode != 0:
        # What it says may hold what is in the file: only the kind of the last fault is told.
        fault = complained.rstrip().rsplit(b"\n", 1)[-1].split(b":", 1)[0].decode("ascii", "replace")[:100]
        log.error("contact_file_process_failed", status=process.returncode, fault=fault)
        raise NotReady("the file could not be read: there was no room or no time for it")
    return said
