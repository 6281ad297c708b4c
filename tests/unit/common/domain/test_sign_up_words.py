"""What a keyword by which people sign up may be, and what is written to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import keyword_phrases, keywords, sign_up_words
from libs.common.domain.keywords import Wish


@pytest.mark.parametrize(
    ("given_word", "kept"), [("NEWS", "news"), (" Vote2026 ", "vote2026"), ("Élections", "elections"), ("agua", "agua")]
)
def test_a_word_is_kept_as_words_are_compared(given_word: str, kept: str) -> None:
    assert sign_up_words.checked_word(given_word) == kept


@pytest.mark.parametrize("word", ["", "a", "two words", "x" * 21, "🎉", "Liked “NEWS”", "news!please"])
def test_what_is_not_one_word_is_none(word: str) -> None:
    with pytest.raises(ValueError, match="one word"):
        sign_up_words.checked_word(word)


TAKEN = (
    "STOP", "stopall", "unsubscribe", "Cancel", "END", "quit", "alto", "baja", "Arrêt", "optout", "start", "UNSTOP",
    "HELP", "info", "ayuda", "aide", "yes", "Sí", "oui", "unsub", "S.T.O.P.", "stooop",
)  # fmt: skip


@pytest.mark.parametrize("word", TAKEN)
def test_a_word_that_means_something_already_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="means something already"):
        sign_up_words.checked_word(word)


@given(st.sampled_from([*keyword_phrases.STOP, *keyword_phrases.START, *keyword_phrases.HELP, *keyword_phrases.YES]))
def test_no_word_of_ours_can_be_a_keyword(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"means something already|one word"):
        sign_up_words.checked_word(phrase)


@given(st.text(max_size=25))
def test_what_is_taken_is_found_again_and_asks_for_nothing_else(text: str) -> None:
    try:
        word = sign_up_words.checked_word(text)
    except ValueError:
        return
    assert keywords.word(text) == keywords.word(word) == keywords.word(word.upper()) == word
    assert keywords.parse(text).wish is Wish.NONE


def test_a_welcome_names_the_way_out_and_a_question_the_yes() -> None:
    assert sign_up_words.checked_welcome("Hi! Reply STOP to end") == "Hi! Reply STOP to end"
    assert sign_up_words.checked_question("¿Quiere noticias? Responda SÍ") == "¿Quiere noticias? Responda SÍ"
    with pytest.raises(ValueError, match="name STOP"):
        sign_up_words.checked_welcome("Hi!")
    with pytest.raises(ValueError, match="name YES"):
        sign_up_words.checked_question("Do you want our texts?")
