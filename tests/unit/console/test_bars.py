"""Bars of long work: for a person at a terminal, and for nobody else."""

import io
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import audience, bars
from libs.console.bars import PART, Upload
from libs.console.printing import Printer
from libs.console.report import going

FILE = b"phone_number\n" + b"+13135550142\n" * 20_000


class Api:
    """An API that reads the file which it is sent."""

    def call(self, _method: str, _path: str, *, content: Any, headers: dict[str, str], within: float) -> Any:
        assert within > 0
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


def test_a_file_that_is_sent_again_is_whole_and_says_how_far_it_is() -> None:
    told: list[tuple[float, float | None]] = []
    upload = Upload(FILE, lambda done, of: told.append((done, of)))
    assert b"".join(upload) == b"".join(upload) == FILE
    assert told[:2] == [(0, len(FILE)), (PART, len(FILE))]
    assert told[-1] == (0, None), "what becomes of it there is not known"


def test_the_bar_of_a_broadcast_counts_what_has_left_or_never_will() -> None:
    ledger = {"planned": 10, "accepted": 3, "uncertain": 0, "undecided": 6, "refused": {"30003": 1}, "skipped": {}}
    phase = {"ledger": ledger, "pace": {"rate": None}}
    told = dict.fromkeys(("replies", "opt_outs", "delivered", "undelivered", "unreachable"), 0)
    bar: Any = going(
        {"state": "sending_first", "first": phase, "second": phase, "allowed_rate": 1, **told}
    ).renderables[1]
    assert (bar.completed, bar.total) == (8, 20)
