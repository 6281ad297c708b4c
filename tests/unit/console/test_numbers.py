"""`broadsheet numbers change`: what is sent, and what is refused before anything is."""

from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import numbers


class Recorder:
    """An API that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        self.asked.append((method, path, options.get("json")))
        return {"id": 2}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (["--carrier", "twilio", "--rate", "2.5"], {"carrier": "twilio", "rate": 2.5}),
        (["--minute-limit", "75", "--daily-cap", "2000"], {"minute_limit": 75, "daily_cap": 2000}),
        (["--carrier", "none", "--daily-cap", "none", "--hours", "none"],
         {"carrier": None, "daily_cap": None, "hours": None}),
        (["--off"], {"enabled": False}),
        (["--on", "--messaging-service", "MG1"], {"enabled": True, "messaging_service_sid": "MG1"}),
    ],
)  # fmt: skip
def test_what_is_said_is_changed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, given: list[str], sent: dict[str, Any]
) -> None:
    api = Recorder()
    monkeypatch.setattr(numbers, "connect", lambda: api)
    ended = CliRunner().invoke(numbers.numbers, ["change", "2", *given])
    assert ended.exit_code == 0, ended.output
    assert api.asked == [("PATCH", "/numbers/2", sent)]


@pytest.mark.parametrize("given", [[], ["--carrier", "pigeon"], ["--rate", "fast"], ["--daily-cap", "2.5"]])
def test_what_cannot_be_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch, given: list[str]) -> None:
    api = Recorder()
    monkeypatch.setattr(numbers, "connect", lambda: api)
    assert CliRunner().invoke(numbers.numbers, ["change", "2", *given]).exit_code == 2
    assert api.asked == []
