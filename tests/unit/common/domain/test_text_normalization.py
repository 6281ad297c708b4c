"""Bodies as they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.text_normalization import normalise


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("It’s “on” – today…", 'It\'s "on" - today...'),
        ("It`s", "It´s"),
        ("one\r\ntwo\n\nthree", "one two three"),
        ("  Hello\u00a0there \u2009", "Hello there"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("cafe\u0301", "café"),
        ("ﬁve", "five"),
        ("👩‍👩‍👧", "👩👩👧"),
        ("❤️", "❤"),
        ("Hello", "Sent from your Twilio trial account - Hello"),
    ],
)
def test_a_text_is_known_again_in_the_carriers_log(sent: str, logged: str) -> None:
    assert normalise(sent) == normalise(logged)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello", "hello"),
        ("Reply 1", "Reply 2"),
        ("a b", "ab"),
        ("100 %", "100"),
        ("don't", "dont"),
        ("{name}", "name"),
        ("👍", "👎"),
    ],
)
def test_texts_that_read_differently_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_a_plain_text_is_left_as_it_is() -> None:
    assert normalise('It\'s "on" - 100 % {sure} \\o/ $5') == 'It\'s "on" - 100 % {sure} \\o/ $5'


@given(body=st.text())
def test_the_form_of_a_form_is_itself(body: str) -> None:
    assert normalise(normalise(body)) == normalise(body)


@given(words=st.lists(st.text(min_size=1)), space=st.sampled_from([" ", "\n", "\t", "\r\n", "\u00a0", "  "]))
def test_how_words_are_set_apart_does_not_matter(words: list[str], space: str) -> None:
    assert normalise(space.join(words)) == normalise(" ".join(words))
