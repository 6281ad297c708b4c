"""docs/security.md: each threat has a test, and the tests are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from litestar.handlers import HTTPRouteHandler

from services.api.app import HANDLERS

ROOT = Path(__file__).parents[2]
THREATS = (ROOT / "docs" / "security.md").read_text().partition("## Threat by threat")[2].partition("\n## ")[0]
ROWS = [line for line in THREATS.splitlines() if line.startswith("| ")][2:]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", THREATS)))


@cache
def defined_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_a_threat_names_is_there(path: str, name: str) -> None:
    assert name in defined_in(path)


def test_every_threat_names_what_keeps_it_out_and_a_test() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        threat, protection, tests = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert threat
        assert protection
        assert re.fullmatch(r"(`tests/[\w/]+\.py::test_\w+` ?)+", tests), threat


def test_only_webhooks_health_metrics_and_documentation_are_open() -> None:
    opened = set()
    for handler in HANDLERS:
        if handler.opt.get("public") if isinstance(handler, HTTPRouteHandler) else handler.opt:
            paths = handler.paths if isinstance(handler, HTTPRouteHandler) else {str(handler.path)}
            opened |= set(paths)
    assert opened == {
        "/health/live", "/health/ready", "/metrics",
        "/webhooks/missive", "/webhooks/twilio/sms", "/webhooks/twilio/status",
    }  # fmt: skip
