"""`broadsheet history`: what it says of what the API counted."""

from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import history
from libs.console.main import app

RATE = {"delivered": 1250, "replied": 250, "share": 0.2, "low": 0.179, "high": 0.223}
NOBODY = {"delivered": 0, "replied": 0, "share": 0.0, "low": 0.0, "high": 1.0}
BROADCAST = {"broadcast_id": 7, "began_at": "2026-03-04T15:00:00Z", "first_message": "Vote\x1b[2J", "recipients": 1300}


def said(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], *arguments: str) -> str:
    """Return what the command prints of an answer."""

    class Api:
        def call(self, method: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
            assert (method, path, params) == ("GET", "/responses", {"limit": 5, "cursor": 9})
            return found

    monkeypatch.setattr(history, "connect", Api)
    monkeypatch.setenv("BROADSHEET_TIMEZONE", "America/Detroit")
    ended = CliRunner().invoke(
        app, ["history", "--limit", "5", "--before", "9", *arguments], env={"COLUMNS": "200"}, catch_exceptions=False
    )
    assert ended.exit_code == 0
    return " ".join(ended.output.replace("│", " ").split())


def test_history_says_how_many_of_a_hundred_replied_and_how_sure_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "total": RATE,
        "items": [{**BROADCAST, "rate": RATE}, {**BROADCAST, "broadcast_id": 3, "rate": None}],
        "segments": [{"name": "north", "rate": RATE}],
        "hours": [{"hour": 9, "rate": NOBODY}],
        "next_cursor": None,
    }
    shown = said(monkeypatch, found)
    assert "7 2026-03-04 10:00 Vote␛[2J 1,250 250 20 between 18 and 22" in shown
    assert "too many people to count here" in shown
    assert "all 1,250 250 20" in shown
    assert "north 1,250 250 20" in shown
    assert "09:00 0 0 0" in shown


def test_before_a_broadcast_is_over_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: dict[str, Any] = {"total": NOBODY, "items": [], "segments": [], "hours": [], "next_cursor": None}
    assert said(monkeypatch, empty) == "No broadcast is over yet."
