"""`broadsheet replies`: what it asks the API for, and what it says."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from libs.console import replies

REPLY = {
    "id": 7, "received_at": "2026-03-04T15:00:00Z", "channel": "sms", "phone_number": "+13135550142", "sender": None,
    "broadcast_id": 3, "body": "who is this, [b]take me off[/b]\x1b[2J", "words_cut": False, "likely_opt_out": True,
    "why": "It asks to be taken off a list", "opted_out": False, "read_at": None,
    "kind": "own_words",
}  # fmt: skip


@dataclass
class Api:
    """An API with a page of replies after another, that remembers what it was asked."""

    pages: list[list[dict[str, Any]]] = field(default_factory=lambda: [[REPLY]])
    calls: list[tuple[str, str, Any]] = field(default_factory=list)

    def call(self, method: str, path: str, **options: Any) -> Any:
        self.calls.append((method, path, options.get("params", options.get("json"))))
        if method == "POST":
            return REPLY
        items, *rest = self.pages
        self.pages = rest
        return {"items": items, "next_cursor": "7" if rest else None}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, api: Api | None = None) -> tuple[str, list[Any]]:
    api = api or Api()
    monkeypatch.setattr(replies, "connect", lambda: api)
    result = CliRunner().invoke(replies.replies, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output, api.calls


def test_the_list_says_which_are_likely_opt_outs_and_prints_what_people_wrote_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output, calls = run(monkeypatch)
    assert calls == [("GET", "/replies", {"limit": "50"})]
    assert "LIKELY OPT-OUT" in output.replace("\n", " ")
    assert "\x1b[2J" not in output


def test_filters_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _, [(_, _, asked)] = run(monkeypatch, "--likely", "--unread", "--broadcast", "3", "--most", "5")
    assert asked == {"broadcast": "3", "likely_opt_out": "true", "unread": "true", "limit": "5"}


def test_the_list_goes_on_page_after_page_up_to_the_most_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    _, calls = run(monkeypatch, "--most", "2", "--json", api=Api(pages=[[REPLY], [REPLY], [REPLY]]))
    assert [asked.get("cursor") for _, _, asked in calls] == [None, "7"]


@pytest.mark.parametrize("what", ["opt-out", "no-opt-out", "read"])
def test_a_decision_has_a_name(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    output, calls = run(monkeypatch, what, "7", "--by", "Ana")
    assert calls == [("POST", f"/replies/7/{what}", {"by": "Ana"})]
    assert "Ana" in output
    monkeypatch.setattr("getpass.getuser", lambda: "ben")
    assert run(monkeypatch, what, "7")[1] == [("POST", f"/replies/7/{what}", {"by": "ben"})]


@pytest.mark.parametrize("what", ["opt-out", "opt-in"])
def test_an_opt_out_and_its_end_may_have_a_reason(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    _, calls = run(monkeypatch, what, "7", "--by", "Ana", "--reason", "called us")
    assert calls == [("POST", f"/replies/7/{what}", {"by": "Ana", "reason": "called us"})]
