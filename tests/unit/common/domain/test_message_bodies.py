import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import message_bodies
from libs.common.domain.text_normalization import normalise


@pytest.mark.parametrize(
    "text",
    [
        "", " \n\t", "\u200b", "\ufeff", "\u2800", "\ufe0f", "\u3164", "\u0301", "\u0301\u0302", "\u034f", "\u00ad",
        "\u115f\u1160", "\uffa0", "\u180e", "\u2060\u2063", "\U000e0041", "\u00a0\u2003\u3000", "\u20e3", "\ue000",
        "\u200b \u2800\ufe0f\u3164",
    ],
)  # fmt: skip
def test_a_message_of_nothing_visible_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nothing in it that people see"):
        message_bodies.checked(text)


@pytest.mark.parametrize("text", ["a", "👍", "❤️", "?", "…", "বাংলা", "e\u0301", "1️⃣", "\u200b.\u200b"])
def test_a_message_of_one_sign_is_a_message(text: str) -> None:
    assert message_bodies.checked(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi {{first_name}}!", "Hi {{ first_name | default: 'you' }}", "Hi {{}}", "Hi {name}", "Hi { First Name },",
        "Hi ${name}", "Hi #{name}", "Hi ｛name｝", "Hi {first_name|there}", "{% if name %}Hi", "Hi {{first_name}",
        "Hi %name%", "Hi %%FNAME%%", "Hi <first name>", "Hi <<Name>>", "Hi <NAME>", "Hi [NAME]", "Hi [First Name]",
        "Hi [[name]]", "Hola [nombre]", "Hi *|FNAME|*", "Hi [your city]", "Hola {prénom}",
        "Hi {contact.first_name}", "Hi ${ user.name | you }", "Hi {!Contact.FirstName}", "Hi <%= name %>",
        "Hi $first_name", "Hi %FIRST NAME%", "Hi [Insert Name Here]",
        "Hi [recipient's name]", "Hi [contact.first_name]",
    ],
)  # fmt: skip
def test_a_variable_is_not_sent_as_it_stands(text: str) -> None:
    with pytest.raises(ValueError, match="holds a variable"):
        message_bodies.checked(text)


@pytest.mark.parametrize(
    "text", ["Hi {{first_name}}!", "Hi {{ first_name | default: 'you' }}", "50% of {{ name }}, 40%", "{{ message }}"]
)
def test_a_broadcast_may_have_variables(text: str) -> None:
    assert message_bodies.checked_template(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Hi {{ first_name }, hello", "at character 18: one brace is missing"),
        ("Hi ｛｛first_name｝｝", "holds a variable like {{first_name}}"),
        ("Hi {first_name}, {{ name }}", "holds a variable like {first_name}: here it is written {{ first_name }}"),
        ("Hi %name%", "holds a variable like %first_name%"),
        ("{{ name }}\x00", "NUL"),
    ],
)
def test_what_is_no_variable_of_ours_is_refused_with_the_place(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        message_bodies.checked_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "Vote today [/details]", "It's {} %s $$ \\ {", "50% yes, 40% no", "100%free of 5%tax? 2%!", "I <3 you >_<",
        "2 < 3 > 1", "[sic]", "[Outlier] Reply STOP to end", "{1, 2}", "<https://example.org/?a=b>", "name: Ana",
        "call <+1 313 555 0100>", "*bold* |x|", "{settings.api_keys} ${HOME}", "{0}",
        "50% city 40%", "a $50 gift", "50%>40%",
    ],
)  # fmt: skip
def test_what_only_looks_a_little_like_a_variable_is_a_message(text: str) -> None:
    assert message_bodies.checked(text) == text


def test_composed_and_decomposed_are_one_message() -> None:
    assert message_bodies.checked("Cafe\u0301") == message_bodies.checked("Caf\u00e9") == "Caf\u00e9"


def test_a_message_is_measured_as_it_is_kept() -> None:
    assert len(message_bodies.checked("e\u0301" * 1600)) == 1600
    with pytest.raises(ValueError, match="1600 characters"):
        message_bodies.checked("\u0958" * 1600)  # each becomes two


@pytest.mark.parametrize("text", ["a\x00", "a\x1b[2J", "a\x7f", "a\x9b"])
def test_control_characters_do_not_leave(text: str) -> None:
    with pytest.raises(ValueError, match="must not hold"):
        message_bodies.checked(text)


def test_a_message_may_have_lines() -> None:
    assert message_bodies.checked("one\r\ntwo\n\tthree") == "one\r\ntwo\n\tthree"


def test_the_mark_in_front_of_a_file_is_no_part_of_the_message() -> None:
    assert message_bodies.read(b"\xef\xbb\xbfHello") == "Hello"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_kept_is_found_again_by_what_was_typed(text: str) -> None:
    """Settling compares what is kept with what the carrier's log holds: two spellings are one there, and not none."""
    try:
        kept = message_bodies.checked(text)
    except ValueError:
        return
    assert normalise(kept) == normalise(text) == normalise(unicodedata.normalize("NFD", text)) != ""
