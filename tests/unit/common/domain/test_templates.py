"""What stands between braces: read, or refused with the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import templates
from libs.common.domain.templates import TemplateError, Variable, parse


@pytest.mark.parametrize(
    ("text", "name", "default"),
    [
        ("Hi {{ first_name }}!", "first_name", None),
        ("Hi {{first_name}}!", "first_name", None),
        ("Hi {{\n First Name \t}}!", "first_name", None),
        ("Hi {{ FIRST-NAME }}!", "first_name", None),
        ('Hi {{ first_name | default: "neighbor" }}!', "first_name", "neighbor"),
        ("Hi {{first_name|default:'neighbor'}}!", "first_name", "neighbor"),
        ("Hi {{ first_name | default: “neighbor” }}!", "first_name", "neighbor"),
        ("Hi {{ first_name | Default : ‘neighbor’ }}!", "first_name", "neighbor"),
        ('Hi {{ first_name | default: "" }}!', "first_name", ""),
        ('Hi {{ ward | default: "it\'s {one}" }}!', "ward", "it's {one}"),
        ("Hi {{ prénom }}!", "prénom", None),
        ("Hi {{ ward 7 }}!", "ward_7", None),
    ],
)
def test_a_variable_is_read(text: str, name: str, default: str | None) -> None:
    assert parse(text).pieces == ("Hi ", Variable(name=name, default=default, at=3), "!")


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("Hi {{ first_name }, how", 17, "one brace is missing"),
        ("Hi { first_name }}, how", 16, "no {{ begins one"),
        ("Hi {{ first_name", 3, "does not end"),
        ("Hi {{ first_name and so on", 3, "does not end"),
        ("Hi {{ first_name | default: 'x' } and {{ name }}", 32, "one brace is missing"),
        ("Hi {{}}", 5, "no name"),
        ("Hi {{ }}", 6, "no name"),
        ("Hi {{", 5, "behind {{ comes a name"),
        ("Hi {{{ name }}}", 5, "behind {{ comes a name"),
        ("Hi {{#if name}}", 5, "no logic"),
        ("Hi {{ 7 }}", 6, "behind {{ comes a name"),
        ("Hi {{ name | upper }}", 13, "behind | comes default"),
        ("Hi {{ name | }}", 13, "behind | comes default"),
        ("Hi {{ name | default: neighbor }}", 22, "quotation marks"),
        ('Hi {{ name | default: "neighbor }}', 22, "not closed"),
        ('Hi {{ name | default: "{{ tag }}" }}', 22, "no variable"),
        ("Hi {{ name == 1 }}", 11, "no logic"),
        ("Hi {{ a.b }}", 7, "no logic"),
        ("Hi {{ " + "n" * 65 + " }}", 6, "more than 64"),
        ("Hi {{ name }}}}", 13, "no {{ begins one"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, at: int, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason.replace("{", r"\{").replace("|", r"\|")) as caught:
        parse(text)
    assert caught.value.at == at
    assert f"at character {at + 1}" in str(caught.value)


@pytest.mark.parametrize("text", ["", "Hello", "{ name }", "a } b { c", "100% {x}"])
def test_what_has_no_double_brace_has_no_variable(text: str) -> None:
    assert not parse(text).is_personal
    assert parse(text).words == text


def test_names_come_once_and_in_order() -> None:
    found = [parse("{{ b }} {{ a }} {{ B }}"), parse("{{ c }}")]
    assert templates.names(found) == ["b", "a", "c"]


def test_the_example_shows_defaults_and_names() -> None:
    assert parse('Hi {{ first_name | default: "neighbor" }} of {{ ward }}').example == "Hi neighbor of WARD"


@pytest.mark.parametrize(
    ("text", "body", "may_be"),
    [
        ("Hi {{ name }}, yes?", "Hi Ana, yes?", True),
        ("Hi {{ name }}, yes?", "Hi Ana Diaz ,  yes?", True),
        ("Hi {{ name }}, yes?", "Hi , yes?", True),
        ("Hi {{ name }}, yes?", "Hi Ana, no?", False),
        ("Hi {{ name }}, yes?", "Oh, Hi Ana, yes?", False),
        ("Hi {{ name }}, yes?", "Hi Ana, yes? Or no", False),
        ("Hi {{ name }}", "Hi Ana", True),
        ("{{ name }}: hi", "Ana: hi: hi", True),
        ("{{ name }}: hi", "Ana: hi: ho", False),
        ("Hi {{ name }} of {{ ward }}.", "Hi Ana of 7.", True),
        ("Hi {{ name }} of {{ ward }}.", "Hi Ana from 7.", False),
        ("Hi {{ name }}’s", "Hi Ana's", True),
        ("{{ message }}", "anything", False),
        ("Hi", "Hi", True),
        ("Hi", "Hi you", False),
    ],
)
def test_a_body_is_told_from_others(text: str, body: str, *, may_be: bool) -> None:
    assert parse(text).may_be(body) is may_be


@given(st.text("{}| abdeflut:\"'“”#.\n", max_size=60))
def test_any_text_is_read_or_refused_at_a_place_within_it(text: str) -> None:
    try:
        found, at = parse(text), 0
    except TemplateError as error:
        found, at = parse(""), error.at
    assert 0 <= at <= len(text)
    assert all(variable.name for variable in found.variables)
    assert "{{" not in found.words
