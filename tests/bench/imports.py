"""How fast a file of contacts is read, and in how much memory: in a process of its own, as the API has it read."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.table import Table

from services.api.contacts import files
from services.api.contacts.files.__main__ import Read, Task
from services.api.contacts.files.outcome import Summary
from tests.support import workbooks

EVERY = 0.05  # seconds between two looks at the memory
HEADINGS = ("phone_number", "name", "tags", "opted_out", "city")


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading a file took."""

    rows: int
    #: Seconds of processor time.
    processor: float
    #: The most memory that was in use, in MB.
    memory: float


def people(count: int) -> Iterator[tuple[str, ...]]:
    """Yield lines as newsrooms have them: half of the numbers with punctuation, and one in a thousand is none."""
    for n in range(count):
        area, rest = ("313", "248", "734", "586")[n % 4], 2_000_000 + n // 4
        plain = f"{area}{rest}" if n % 1000 else "unknown"
        number = f"({area}) {rest // 10_000}-{rest % 10_000:04}" if n % 2 else plain
        yield number, f"Person Number {n}", "a;b", "" if n % 50 else "yes", "Detroit"


def measure(count: int) -> dict[str, Measured]:
    """Read a file of so many people in each form, and return what that took."""
    with tempfile.TemporaryDirectory() as folder:
        text, book = Path(folder) / "people.csv", Path(folder) / "people.xlsx"
        with text.open("w", encoding="utf-8") as file:
            file.write(",".join(HEADINGS) + "\n")
            file.writelines(",".join(line) + "\n" for line in people(count))
        workbooks.write_long(book, HEADINGS, people(count))
        found = {"CSV": _read(text)}
        utf16 = Path(folder) / "utf-16.csv"
        utf16.write_text(text.read_text(encoding="utf-8"), encoding="utf-16")
        return {**found, "CSV in UTF-16": _read(utf16), ".xlsx": _read(book)}


def table(found: dict[str, Measured]) -> Table:
    """Return the figures as they are printed."""
    shown = Table("a file of people", "rows", "processor time, s", "rows a second", "memory, MB")
    for name, each in found.items():
        shown.add_row(
            name, f"{each.rows:,}", f"{each.processor:.1f}", f"{each.rows / each.processor:,.0f}", f"{each.memory:.0f}"
        )
    return shown


def _read(path: Path) -> Measured:
    with tempfile.TemporaryDirectory() as folder, path.open("rb") as file, tempfile.TemporaryFile() as said:
        task = msgspec.json.encode(Task(read=Read(f"{folder}/people", ["US"]))).decode()
        child = subprocess.Popen([sys.executable, "-m", files.__name__, task], stdin=file, stdout=said)
        memory = 0.0
        # What the system tells of a child at its end begins with the memory of its parent.
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            memory = max(memory, _memory(child.pid))
            time.sleep(EVERY)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        said.seek(0)
        summary = msgspec.json.decode(said.read(), type=Summary)
    return Measured(summary.people + summary.rejected_count, used.ru_utime + used.ru_stime, memory)


def _memory(process: int) -> float:
    """Return the most memory that a process has had, in MB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
