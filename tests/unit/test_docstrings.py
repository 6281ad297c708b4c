"""How docstrings begin: with Return, Raise, Whether or Yield, or with what the function does, as an imperative."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Words that begin no order. "Give" and "Tell" hide whether something is returned or sent.
NO_ORDER = re.compile(
    "give|tell|the|an?|this|that|these|those|its?|they|there|what|how|where|when|which|who|whom|whose|why|all|each|every"
    "|some|any|one|two|nothing|nobody|everything|as|at|by|for|from|in|of|on|to|with|if|so|is|are|was"
)
#: Told of somebody else, not ordered: "Returns", "Reading".
TOLD = re.compile(r"[a-z]+[^s]s|[a-z]{3,}ing")


def begins_well(docstring: str) -> bool:
    """Whether a docstring begins as it should."""
    first = re.split(r"\W", docstring.lstrip(), maxsplit=1)[0].lower()
    return NO_ORDER.fullmatch(first) is None and TOLD.fullmatch(first) is None


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public functions that return something; a property reads as an attribute, and is none."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
            continue
        if node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn"):
            yield node


@pytest.mark.parametrize("folder", ["libs", "services"])
def test_a_docstring_begins_with_what_is_returned_or_done(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{function.lineno}: {docstring.splitlines()[0]}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if (docstring := ast.get_docstring(function)) is not None and not begins_well(docstring)
    ]
    assert found == []


@pytest.mark.parametrize("docstring", ["Return the next.", "Whether it is due.", "Raise Conflict.", "Bring it back."])
def test_an_order_is_taken(docstring: str) -> None:
    assert begins_well(docstring)


@pytest.mark.parametrize(
    "docstring", ["Give the next.", "Returns the next.", "The next.", "Reading a file.", "Its id."]
)
def test_what_is_no_order_is_seen(docstring: str) -> None:
    assert not begins_well(docstring)
