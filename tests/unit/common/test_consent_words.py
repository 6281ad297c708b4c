"""Whether a whole message asks to stop or to start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.consent import START_WORDS, STOP_WORDS, wish


@pytest.mark.parametrize(
    "body",
    [*STOP_WORDS, "stop", " Stop\n", "STOP.", "stop!!!", "“Stop”", "*stop*", "Stop 🙏", "ｓｔｏｐ", "STOP ALL",
     "stop all", "opt out", "Opt-Out", "Optout.", "¡Alto!", "baja", "álto", "stop\u200b"],
)  # fmt: skip
def test_stop_in_any_dress_is_stop(body: str) -> None:
    """Fault 26: STOP was matched untrimmed."""
    assert wish(body) == "stop"


@pytest.mark.parametrize("body", ["START", "start", " Start. ", "UNSTOP", "unstop!"])
def test_start_in_any_dress_is_start(body: str) -> None:
    assert wish(body) == "start"


@pytest.mark.parametrize(
    "body",
    ["", " ", "🎉", "don't stop", "don’t stop", "restart", "non-stop", "Stop by at 5?", "bus stop", "stop it",
     "startup", "Please start", "yes", "no", "YES", "the end", "Stop stop", "cancel my order", "I quit smoking",
     "stopped"],
)  # fmt: skip
def test_a_word_inside_a_sentence_is_no_wish(body: str) -> None:
    """Fault 26: as a substring, "don't stop" unsubscribes and "restart" subscribes again."""
    assert wish(body) is None


@given(
    st.sampled_from(sorted(STOP_WORDS | START_WORDS)),
    st.text(alphabet=" \t\n.!?*\"'“”()-_…", max_size=4),
    st.text(alphabet=" \t\n.!?*\"'“”()-_…", max_size=4),
    st.booleans(),
)
def test_case_white_space_and_punctuation_around_a_word_do_not_count(
    word: str, before: str, after: str, lower: bool
) -> None:
    """Fault 26."""
    said = word.lower() if lower else word
    assert wish(before + said + after) == ("stop" if word in STOP_WORDS else "start")


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(body: str) -> None:
    assert wish(body) in (None, "stop", "start")
