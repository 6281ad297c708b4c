"""What people wrote is printed as they wrote it: no markup, and nothing that a terminal obeys or hides."""

import ast
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.testing import CliRunner

from libs.common.messaging.dead_letters import DeadLetter
from libs.console import audience, broadcasts, printing, repair, segments
from libs.console.printing import Printer, one_line, to_json, visible
from libs.console.report import outcomes

CONSOLE = Path(printing.__file__).parent
#: Markup that ends nothing, an emoji's name, a colour, a cleared screen, a title, a turn of direction, half a letter.
WRITTEN = "north [/b] side [bold]x[/bold] :smile: \x1b[31m\x1b[2J\x9b2J\x1b]0;t\x07 \u202egnp.exe \ud83d"
SHOWN = r"north [/b] side [bold]x[/bold] :smile: ␛[31m␛[2J\x9b2J␛]0;t␇ \u202egnp.exe \ud83d"
LEDGER = {
    "planned": 0,
    "accepted": 0,
    "refused": {},
    "skipped": {},
    "uncertain": 0,
    "not_handed_over": 0,
    "undecided": 0,
}
REPORT = {
    "state": WRITTEN, "first": {"ledger": LEDGER, "pace": {"rate": None}},
    "second": {"ledger": LEDGER, "pace": {"rate": None}}, "ledger": LEDGER | {"skipped": {WRITTEN: 2}},
    "undelivered_codes": {WRITTEN: 1}, "replies": 0, "other_replies": {}, "opt_outs": 0, "delivered": 0,
    "undelivered": 0, "unreachable": 0, "allowed_rate": 1,
}  # fmt: skip
DEAD = {"code": "30005", "meaning": "The number is unknown", "since": "2026-03-04T15:00:00Z"}
ITEM = {
    "id": 7, "broadcast_id": 7, "name": WRITTEN, "first_message": WRITTEN, "state": WRITTEN, "filter": {"any": [1]},
    "unreachable": DEAD,
}  # fmt: skip


def outcome(messages: int, kind: str, sentence: str, code: str | None = None, advice: str = "") -> dict[str, Any]:
    return {"messages": messages, "kind": kind, "sentence": sentence, "code": code, "advice": advice}


def phase(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"planned": 9, "delivered": 4, "no_word": 1, "outcomes": found}


class Api:
    """An API that has stored what people wrote."""

    def call(self, _method: str, path: str, **_: Any) -> Any:
        if path.endswith("/report"):
            return REPORT | {"state": "completed"}
        if path.endswith("/outcomes"):
            return {"first": phase([outcome(2, "failed", WRITTEN)]), "second": phase([])}
        if path in ("/contacts/import", "/contacts/import/check"):
            rejected = [{"line": 2, "reason": WRITTEN}]
            return {"imported": 1, "rejected": rejected, "passed_over": [WRITTEN], "name": WRITTEN}
        if path == "/stop":
            upcoming = {"broadcast_id": 9, "run_at": WRITTEN}
            return {"paused": [], "not_stopped": [], "scheduled": [upcoming], "under_way": 0}
        return ITEM

    def all(self, _path: str) -> list[dict[str, Any]]:
        return [ITEM]


CREATE = ["create", "--run-at", "14:30", "--first", "x", "--second", "y", "--segment", "1", "--max-recipients", "1"]
COMMANDS: list[tuple[str, list[str]]] = [
    ("broadcast", CREATE),
    ("broadcast", ["list"]),
    ("broadcast", ["show", "7"]),
    ("broadcast", ["report", "7"]),
    ("broadcast", ["explain", "7"]),
    ("broadcast", ["watch", "7"]),
    ("broadcast", ["pause", "7"]),
    ("broadcast", ["cancel", "7", "--yes"]),
    ("segments", ["create", "x"]),
    ("segments", ["list"]),
    ("contacts", ["import", "-"]),
    ("contacts", ["import", "-", "--dry-run"]),
    ("contacts", ["imports"]),
    ("contacts", ["unreachable"]),
    ("contacts", ["reachable", "7", "--by", "Ann"]),
]


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal so wide that no line is broken."""
    monkeypatch.setenv("COLUMNS", "2000")
    monkeypatch.setattr(broadcasts, "connect", Api)
    monkeypatch.setattr(audience, "connect", Api)
    monkeypatch.setattr(segments, "connect", Api)
    return monkeypatch


@pytest.mark.parametrize(
    ("group", "arguments"), COMMANDS, ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_no_command_dies_of_what_people_wrote_or_sends_it_to_the_terminal(
    wide: pytest.MonkeyPatch, group: str, arguments: list[str]
) -> None:
    app = {"broadcast": broadcasts.broadcasts, "segments": segments.segments, "contacts": audience.contacts}[group]
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False, input="x")
    assert ended.exit_code == 0
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(ended.output)
    if arguments[0] not in ("watch",):
        assert SHOWN in ended.output


def test_a_dead_letter_says_what_it_says(wide: pytest.MonkeyPatch) -> None:
    letter = DeadLetter(service="planner", id=WRITTEN, type=WRITTEN, queue=WRITTEN, reason=WRITTEN, broadcast_id=None)

    async def browse(*_: object, **__: object) -> list[DeadLetter]:
        return [letter]

    wide.setattr("libs.common.messaging.dead_letters.browse", browse)
    wide.setattr("libs.console.local_stack.amqp_url", lambda: "amqp://localhost/")
    ended = CliRunner().invoke(repair.letters, ["list"], catch_exceptions=False)
    assert ended.output.count(SHOWN) == 4


def _cell(text: str) -> Table:
    table = Table("x")
    table.add_row(text)
    return table


@pytest.mark.parametrize("render", [str, lambda text: Table(text, title=text), _cell])
def test_a_string_is_printed_as_it_is_wherever_it_stands(render: Callable[[str], Any]) -> None:
    file = io.StringIO()
    Printer(file=file, width=400, force_terminal=True, color_system="truecolor").print(render(WRITTEN))
    said = file.getvalue()
    assert SHOWN in said
    assert "\x1b[2J" not in said


def test_json_is_the_same_to_a_program_and_harmless_to_a_terminal() -> None:
    written = to_json({"name": WRITTEN, "body": "¿vienes? 🎉"})
    assert json.loads(written) == {"name": WRITTEN, "body": "¿vienes? 🎉"}
    assert "¿vienes? 🎉" in written
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\ud83d"} & set(written)


def test_names_and_emoji_that_are_written_with_joiners_stay_whole() -> None:
    for text in ("👩‍💻 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "क्‍ष نمی‌خواهم", "Café\tà la\nmode"):
        assert visible(text) == text


def test_a_line_stays_one_line() -> None:
    assert one_line("a\r\nb\nc\rd\te") == "a⏎b⏎c␍d⏎e"


def test_nothing_prints_but_by_the_one_way() -> None:
    """A console or a print of its own would bring markup back."""
    for path in CONSOLE.glob("*.py"):
        if path.name == "printing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "Console", "Text", "Text.from_markup", "typer.echo", "typer.secho"), path
                assert "console.Console" not in called, path


FOUND = {
    "first": phase([outcome(5, "failed", "Phone off", "30003", "Wait"), outcome(4, "delivered", "Delivered")]),
    "second": phase([outcome(9, "waiting", "Not sent yet")]),
}


def said(tables: list[Table]) -> list[str]:
    file = io.StringIO()
    for table in tables:
        Printer(file=file, width=200).print(table)
    return [" ".join(line.replace("│", " ").split()) for line in file.getvalue().splitlines()]


def test_what_became_of_messages_is_told_in_words_with_what_to_do() -> None:
    lines = said(outcomes(FOUND))
    for line in (
        "5 Phone off 30003 Wait",
        "4 Delivered",
        "9 Not sent yet",
        "First message",
        "4 of 9 got it; of 1 there is no word",
    ):
        assert line in lines, line


def test_a_report_tells_only_what_went_wrong() -> None:
    lines = said(outcomes(FOUND, only_wrong=True))
    assert "5 Phone off 30003 Wait" in lines
    assert "4 Delivered" not in lines
    assert "Follow-up" not in lines
