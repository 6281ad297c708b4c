"""`broadsheet keywords`: what it asks the API for."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import keywords

NEWS = {"id": 7, "word": "news", "tag": "news", "welcome": "Welcome. STOP ends it", "question": None}


@dataclass
class Api:
    """An API that remembers what it was asked."""

    calls: list[tuple[str, str, Any]] = field(default_factory=list)

    def call(self, method: str, path: str, **options: Any) -> Any:
        self.calls.append((method, path, options.get("json")))
        return NEWS

    def all(self, path: str) -> list[dict[str, Any]]:
        self.calls.append(("GET", path, None))
        return [NEWS]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, exit_code: int = 0) -> tuple[str, list[Any]]:
    api = Api()
    monkeypatch.setattr(keywords, "connect", lambda: api)
    result = CliRunner().invoke(keywords.keywords, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == exit_code, result.output
    return result.output, api.calls


def test_a_keyword_is_made_with_a_question_or_without(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("create", "NEWS", "--tag", "news", "--welcome", "STOP ends it")
    body = {"word": "NEWS", "tag": "news", "welcome": "STOP ends it", "question": None}
    assert run(monkeypatch, *given)[1] == [("POST", "/keywords", body)]
    assert run(monkeypatch, *given, "--question", "YES?")[1] == [("POST", "/keywords", body | {"question": "YES?"})]


def test_only_what_is_given_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "change", "7", "--tag", "other")[1] == [("PATCH", "/keywords/7", {"tag": "other"})]
    assert run(monkeypatch, "change", "7", "--no-question")[1] == [("PATCH", "/keywords/7", {"question": None})]
    assert run(monkeypatch, "change", "7", exit_code=2)[1] == []
    assert run(monkeypatch, "change", "7", "--question", "YES?", "--no-question", exit_code=2)[1] == []


def test_they_are_listed_shown_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    said, calls = run(monkeypatch, "list")
    assert calls == [("GET", "/keywords", None)]
    assert "Welcome. STOP ends it" in said
    assert run(monkeypatch, "show", "7")[1] == [("GET", "/keywords/7", None)]
    assert run(monkeypatch, "delete", "7", "--yes")[1] == [("DELETE", "/keywords/7", None)]
