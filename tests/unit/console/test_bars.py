"""Bars of long work: for a person at a terminal, and for nobody else."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import audience, bars, contact_files
from libs.console.bars import PART, FileChanged, Upload
from libs.console.printing import Printer
from libs.console.report import going

FILE = b"phone_number\n" + b"+13135550142\n" * 20_000


class Api:
    """An API that reads the file which it is sent."""

    def call(self, method: str, _path: str, **options: Any) -> Any:
        if method == "GET":
            return {"items": []}
        content, headers = options["content"], options["headers"]
        assert options["within"] > 0
        received = b"".join(content)
        assert headers["Content-Length"] == str(len(received))
        assert received == FILE
        return {"imported": 20_000, "rejected": []}


def importing(monkeypatch: pytest.MonkeyPatch, *options: str, terminal: bool) -> str:
    """Return what `broadsheet contacts import` writes to the standard error."""
    written = io.StringIO()
    monkeypatch.setattr(bars, "errors", Printer(file=written, force_terminal=terminal, width=100))
    monkeypatch.setattr(audience, "connect", Api)
    ended = CliRunner().invoke(audience.contacts, ["import", "-", *options], input=FILE, catch_exceptions=False)
    assert ended.exit_code == 0
    return written.getvalue()


def test_a_person_at_a_terminal_sees_how_far_an_import_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said = importing(monkeypatch, terminal=True)
    assert "Importing" in said
    assert "━" in said


@pytest.mark.parametrize(("options", "terminal"), [(["--json"], True), ([], False)])
def test_a_program_sees_no_bar(monkeypatch: pytest.MonkeyPatch, options: list[str], *, terminal: bool) -> None:
    assert importing(monkeypatch, *options, terminal=terminal) == ""


def test_a_file_that_is_sent_again_is_whole_and_says_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    (tmp_path / "people.csv").write_bytes(FILE)
    with (tmp_path / "people.csv").open("rb") as file:
        upload = Upload(file, lambda done, of: told.append((done, of)))
        assert b"".join(upload) == b"".join(upload) == FILE
    assert told[:2] == [(0, len(FILE)), (PART, len(FILE))]
    assert told[-1] == (0, None), "what becomes of it there is not known"


@pytest.mark.parametrize(
    "change",
    [lambda path: path.write_bytes(FILE[:-1]), lambda path: path.write_bytes(FILE + b"x"), os.utime],
    ids=["shorter", "longer", "written"],
)
def test_a_file_that_changes_while_it_is_read_is_never_sent_whole(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(FILE)
    os.utime(path, (0, 0))
    sent: list[bytes] = []
    with path.open("rb") as file:
        parts = iter(Upload(file, lambda _done, _of: None))
        sent.append(next(parts))
        change(path)
        with pytest.raises(FileChanged):
            sent.extend(parts)
    assert sum(map(len, sent)) < len(FILE)


def test_a_person_sees_how_far_the_merge_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, float | None]] = []
    imports = [{"id": 7, "file_name": "a.csv", "state": "done", "done": 1, "people": 1}]
    came = Event()

    def tell(done: float, of: float | None) -> None:
        told.append((done, of))
        came.set()

    class Listing:
        def call(self, _method: str, path: str, **_: Any) -> Any:
            assert path == "/contacts/imports"
            return {"items": list(imports)}

    monkeypatch.setattr(contact_files, "EVERY", 0.01)
    api: Any = Listing()
    with contact_files.followed(api, "a.csv", tell, shown=True):
        imports.append({"id": 9, "file_name": "b.csv", "state": "running", "done": 1, "people": 1})
        imports.append({"id": 8, "file_name": "a.csv", "state": "running", "done": 500, "people": 2000})
        assert came.wait(10)
    assert set(told) == {(500, 2000)}


def test_the_bar_of_a_broadcast_counts_what_has_left_or_never_will() -> None:
    ledger = {"planned": 10, "accepted": 3, "uncertain": 0, "undecided": 6, "refused": {"30003": 1}, "skipped": {}}
    phase = {"ledger": ledger, "pace": {"rate": None}}
    told: dict[str, Any] = dict.fromkeys(("replies", "opt_outs", "delivered", "undelivered", "unreachable"), 0)
    told["other_replies"] = {}
    bar: Any = going(
        {"state": "sending_first", "first": phase, "second": phase, "allowed_rate": 1, **told}
    ).renderables[1]
    assert (bar.completed, bar.total) == (8, 20)
