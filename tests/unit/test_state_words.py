"""States, reasons and the like are named by their enums: no word of theirs is written out, in code or in SQL."""

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from libs.common.domain import keywords, states

ROOT = Path(__file__).parents[2]
#: The simulator is left out: it speaks the carriers' words, and shares nothing with the services.
ROOMS = ("libs/common", "libs/console", "services")
#: Where words are defined, and history that stays as it was written.
DEFINED = ("libs/common/domain/states.py", "libs/common/domain/keywords.py", "libs/common/database/migrations/")

ENUMS = [
    each
    for module in (states, keywords)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, StrEnum) and each is not StrEnum
]
WORDS = {str(member) for each in ENUMS for member in each}

#: Words that code uses for other things, too. In a statement they are looked for all the same.
ORDINARY = {
    "answer": "what comes of a request",
    "carrier": "a label of metrics, a field of logs",
    "email": "a field of forms",
    "event": "a heading",
    "excluded": "a field of broadcasts",
    "fallback": "a field of broadcasts",
    "file": "a field of forms",
    "none": "a mode of the pooler, and nothing at all",
    "other": "the rest",
    "read": "a permission",
    "start": "what is done to a process",
    "stop": "what is done to a process",
    "test": "what tests do",
}

#: Words that mean something else in a file, with what they mean there.
HEADING = "a heading of a table for people"
LABEL = "a label of a metric"
POLICY = "a source of Content-Security-Policy"
OTHERWISE: dict[str, dict[str, str]] = {
    "libs/common/broadcasts/explanations.py": dict.fromkeys(
        ("delivered", "refused", "sent", "uncertain", "undelivered", "waiting"), "a key in an address of the desk"
    ),
    "libs/common/broadcasts/reply_record.py": {"skip": "a name in a statement"},
    "libs/common/eventstore/projections.py": dict.fromkeys(("excluded", "fallback"), "a key in an event"),
    "libs/console/audience.py": {"unreachable": "a command"},
    "libs/console/broadcasts.py": {"skip": "a route of the API"},
    "libs/console/demo.py": dict.fromkeys(("accepted", "uncertain"), HEADING),
    "libs/console/history.py": {"replied": HEADING},
    "libs/console/keywords.py": dict.fromkeys(("question", "welcome"), HEADING),
    "libs/console/reconciling.py": {"opted_out": "a figure of what was settled"},
    "libs/console/report.py": dict.fromkeys(("refused", "sent", "skipped", "uncertain"), HEADING),
    "services/api/contacts/queries.py": {"unreachable": "a way to narrow a list down"},
    "services/api/consent/exporting.py": {"opt_out": "a word of the file"},
    "services/api/desk/rendering.py": {"none": POLICY},
    "services/api/desk/sentences.py": {"paused": "a style"},
    "services/api/http/security_headers.py": {"none": POLICY},
    "services/api/webhooks/incoming.py": dict.fromkeys(("facebook", "rcs", "whatsapp"), "a part of Missive's types"),
    "services/api/webhooks/routes.py": dict.fromkeys(("failed", "refused"), LABEL),
}


class Words(ast.NodeVisitor):
    """Collects the words that are strings of their own or literals in a statement, with their lines.

    A key, a column's name in brackets, a message of the log and a docstring are no such words, nor is what another
    enum defines.
    """

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            own = {node.value} & WORDS - set(ORDINARY)
            self.found += [
                (node.lineno, word) for word in sorted(own | set(re.findall(r"'(\w+)'", node.value)) & WORDS)
            ]

    def visit_Dict(self, node: ast.Dict) -> None:
        for each in (*[key for key in node.keys if not isinstance(key, ast.Constant | None)], *node.values):
            self.visit(each)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        if not isinstance(node.slice, ast.Constant):
            self.visit(node.slice)

    def visit_Call(self, node: ast.Call) -> None:
        is_log = (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        )
        for each in (node.func, *(node.args[1:] if is_log else node.args), *node.keywords):
            self.visit(each)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if not any(isinstance(base, ast.Name) and base.id in ("Enum", "StrEnum") for base in node.bases):
            self.generic_visit(node)


def words_in(source: str) -> list[tuple[int, str]]:
    """Return the words that are written out in a module, with their lines."""
    words = Words()
    words.visit(ast.parse(source))
    return words.found


def files() -> Iterator[str]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(DEFINED):
                yield name


@pytest.mark.parametrize("name", list(files()))
def test_no_word_of_an_enum_is_written_out(name: str) -> None:
    otherwise = OTHERWISE.get(name, {})
    found = words_in((ROOT / name).read_text())
    assert [(line, word) for line, word in found if word not in otherwise] == []


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_allowed_is_there(name: str) -> None:
    assert set(OTHERWISE[name]) <= {word for _, word in words_in((ROOT / name).read_text())}


@pytest.mark.parametrize(
    "source",
    [
        'state == "pending"',
        'f(reason="replied")',
        "text(\"SELECT id FROM replies WHERE review = 'waiting'\")",
        "text(f\"UPDATE replies SET channel = 'email' WHERE id = {n}\")",
        'match state:\n    case "skipped":\n        pass',
        'STATES = ("accepted", "refused")',
    ],
)
def test_a_word_that_is_written_out_is_found(source: str) -> None:
    assert words_in(source)


@pytest.mark.parametrize(
    "source",
    [
        'row["accepted"]',
        '{"accepted": n}',
        'log.info("started", n=1)',
        'class Kind(StrEnum):\n    WAITING = "waiting"',
        'def f():\n    """Return \'pending\'."""',
        "f\"state = '{MessageState.PENDING}'\"",
    ],
)
def test_what_is_no_word_of_an_enum_is_passed_over(source: str) -> None:
    assert words_in(source) == []
