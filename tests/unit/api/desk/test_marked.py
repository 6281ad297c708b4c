"""No text of the desk is outside the catalogue: what a person reads is marked where it stands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import nodes

from services.api.desk import rendering
from tests.support import visible

MARKS = ("_", "n_", "ngettext")
TEMPLATES = sorted(rendering.FOLDER.glob("*.html"))
MODULES = sorted(rendering.FOLDER.parent.glob("*.py"))

#: What nobody reads as words: names of files, attributes that a macro writes into a tag, classes of the body.
NO_WORDS = re.compile(r'\w+\.(json|yaml)|[a-z-]+="[^"]*"')
CLASSES = re.compile(r"{% block body_class %}.*?{% endblock %}")
#: What has a capital first or a space inside is no name of a class, a field or a state.
TEXT = re.compile(r"[A-Z]\w|.*[A-Za-z] [A-Za-z]")


def beside_the_catalogue(source: str) -> list[str]:
    """Return what stands in a template for people and is not marked."""
    environment = rendering.environment()
    tokens = list(environment.lex(CLASSES.sub("", source)))
    outside = "".join({"data": value, "variable_begin": "0"}.get(kind, "") for _line, kind, value in tokens)
    page = [text for text in visible.texts(outside) if re.search("[^\\W\\d_]", NO_WORDS.sub("", text))]
    return page + [text for text in _constants(environment.parse(source)) if TEXT.match(text.strip())]


def _constants(node: nodes.Node) -> Iterator[str]:
    """Return the strings in a template's expressions that no gettext has around it. `kind` is a class of the style."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MARKS:
        for each in node.kwargs:
            yield from _constants(each)
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif not (isinstance(node, nodes.Keyword) and node.key == "kind"):
        for child in node.iter_child_nodes():
            yield from _constants(child)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_what_a_template_says_is_marked(template: Path) -> None:
    assert beside_the_catalogue(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ('<p>{{ _("Hello") }} there</p>', ["0 there"]),
        ('<input placeholder="Hello">', ["Hello"]),
        ('<nav aria-label="{{ "Main" }}"></nav>', ["Main"]),
        ('{{ "Hello" if user else _("Bye") }}', ["Hello"]),
        ('{% for name in (_("Monday"), "Tuesday") %}{{ name }}{% endfor %}', ["Tuesday"]),
        ('{{ _("To %(who)s", who="Everybody there") }}', ["Everybody there"]),
        ('<p class="wide">{{ _("Hello") }} · {{ name }}</p><a href="/x.json">x.json</a>', []),
    ],
)
def test_a_text_that_is_not_marked_is_found(source: str, found: list[str]) -> None:
    assert beside_the_catalogue(source) == found


def unmarked(module: str) -> list[str]:
    """Return the sentences of a module that are not marked: strings with a capital first and a space inside."""
    tree = ast.parse(module)
    passed = {
        id(inner)
        for node in ast.walk(tree)
        if _is_docstring(node)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS)
        for inner in ast.walk(node)
    }
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    found = [str(each.value) for each in strings if id(each) not in passed]
    return [text for text in found if re.match("[A-Z].*[a-z] [a-z]", text)]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_what_a_module_says_is_marked(module: Path) -> None:
    assert unmarked(module.read_text(encoding="utf-8")) == []


def test_a_sentence_that_is_not_marked_is_found() -> None:
    assert unmarked('"""A page."""\nsaid = "Nothing was sent."\nmarked = _("Nothing was done.")') == [
        "Nothing was sent."
    ]
