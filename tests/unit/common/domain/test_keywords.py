"""What a message asks for."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import keyword_phrases, keywords
from libs.common.domain.keywords import REASONS, Reason, Wish, parse

FIRM = (
    # Case, white space, punctuation, accents, repetition.
    "STOP", "stop", " Stop\n", "STOP.", "stop!!!", "“Stop”", "*stop*", "(stop)", "Stop  all", "STOP-ALL", "stopall",
    "opt\nout", "Opt-Out", "Optout.", "STOP STOP", "stop, stop, STOP!", "STOPSTOP", "stooop", "S.T.O.P.", "s t o p",
    "UNSUBSCRIBE", "end", "quit", "Cancel", "revoke",
    # What nobody sees, and other letters for the same.
    "stop\u200b", "st\u200bop", "\u202eSTOP", "STOP\u2800", "\ufeffSTOP", "S\u00adTOP", "ｓｔｏｐ", "ＳＴＯＰ　ＡＬＬ",
    "🛑 STOP 🛑", "Stop 🙏", "STOP\u0301", "stop\r\n",
    # With courtesy, or signed.
    "Stop. Thank you", "stop please", "please stop", "Pls stop", "Ok stop", "Stop now", "unsubscribe me", "Remove me",
    "cancel please", "Opt me out, thanks", "STOP\n--\nJohn Smith", "STOP\n- Ana", "Stop.\n\nJohn Smith",
    "STOP\n\nSent from my iPhone", "STOP Sent from my iPhone", "Stop please\n—\nAna\n313-555-0100",
    # Spanish and French.
    "¡Alto!", "baja", "Parar", "Por favor, baja", "Dar de baja", "Darme de baja por favor", "ARRET", "ARRÊT", "Arrêt",
    "Arrêtez svp", "STOP s’il vous plaît", "Désabonnez-moi", "désinscription merci",
)  # fmt: skip

LIKELY = (
    ("stop it", Reason.STOP_IN_A_SENTENCE),
    ("Stop at once", Reason.STOP_IN_A_SENTENCE),
    ("please stop texting me", Reason.STOP_IN_A_SENTENCE),
    ('I said "STOP"', Reason.STOP_IN_A_SENTENCE),
    ("STOP - John", Reason.STOP_IN_A_SENTENCE),
    ("Why don't you stop", Reason.STOP_IN_A_SENTENCE),
    ("you didn't stop when I asked", Reason.STOP_IN_A_SENTENCE),
    ("I asked you to stop. This is the 5th time", Reason.STOP_IN_A_SENTENCE),
    ("wrong number", Reason.WRONG_NUMBER),
    ("Sorry, you have the wrong person", Reason.WRONG_NUMBER),
    ("Número equivocado", Reason.WRONG_NUMBER),
    ("C'est un mauvais numéro", Reason.WRONG_NUMBER),
    ("who is this, take me off", Reason.TAKE_ME_OFF),
    ("Who is this? Take me off your list.", Reason.TAKE_ME_OFF),
    ("Please remove my number", Reason.TAKE_ME_OFF),
    ("unsubscribe from all of this", Reason.TAKE_ME_OFF),
    ("Quiero darme de baja de esto", Reason.TAKE_ME_OFF),
    ("leave me alone", Reason.NO_MORE),
    ("No more texts, ok?", Reason.NO_MORE),
    ("don’t text me again", Reason.NO_MORE),
    ("this is SPAM", Reason.NO_MORE),
    ("No me escriban más", Reason.NO_MORE),
    ("Ne m’écrivez plus", Reason.NO_MORE),
    ("St0p", Reason.ALMOST_A_KEYWORD),
    ("unsuscribe", Reason.ALMOST_A_KEYWORD),
    ("unsub", Reason.ALMOST_A_KEYWORD),
    ("STTOP!", Reason.ALMOST_A_KEYWORD),
)

#: What phones send when somebody reacts to a message of ours, which it quotes.
REACTIONS = (
    "Liked “Reply STOP to hear no more”", 'Liked "STOP"', "Loved “… STOP …”", "Disliked “STOP”", "Emphasized “STOP”",
    "Laughed at “Reply STOP…”", "Questioned “STOP”", "Reacted 👍 to “STOP”", "Removed a heart from “STOP”",
    "Removed an exclamation from “STOP”", "👍 to “Reply STOP to end ”", "\u200a\u200b👍\u200b to “\u200aSTOP\u200a”",
    "Removed 👍 from “STOP”", "👍 “STOP”",
    "Le gustó “Responda STOP”", "Le encantó «STOP»", "No le gustó “STOP”", "A Ana le gustó “STOP”", "Se rió de “STOP”",
    "Enfatizó “STOP”", "Preguntó por “STOP”", "Reaccionó con 👍 a “STOP”", "👍 a “STOP”",
    "Eliminó un me gusta de “STOP”",
    "A aimé « STOP »", "A adoré « STOP »", "N’a pas aimé « STOP »", "A ri de « STOP »", "A mis en évidence « STOP »",
    "A réagi avec 👍 à « STOP »", "👍 à « STOP »", "A supprimé un cœur de « STOP »", "J’aime « STOP »",
)  # fmt: skip

NOTHING = (
    "", " ", "🎉", "👍🏽", "yes", "YES", "no", "help", "don't stop", "don’t stop", "DONT STOP",
    "please do not STOP now",
    "Don't stop, I love these 😀", "never stop", "no pares", "STOP 12345", "stop 7", "restart", "nonstop", "non-stop",
    "bus stop", "Stop by at 5?", "please stop by the office, I'm there till 5", "stopped", "the end", "I quit smoking",
    "cancel my order", "startup", "Please start", "Can you restart my subscription to the paper?", "Who is this?",
    "stoop", 'My landlord said "move out by Friday" — what can I do?', "Sí, necesito ayuda con la renta",
    "It's O'Brien; cost me $$$ \\ 100%", "¿Hablan español?",
)  # fmt: skip


@pytest.mark.parametrize("message", FIRM)
def test_a_stop_in_any_clothes_opts_out_at_once(message: str) -> None:
    assert parse(message).wish is Wish.STOP


@pytest.mark.parametrize(("message", "reason"), LIKELY)
def test_what_sounds_like_a_no_is_for_a_person_to_look_at(message: str, reason: Reason) -> None:
    found = parse(message)
    assert (found.wish, found.reason) == (Wish.LIKELY_STOP, reason)
    assert reason in REASONS


@pytest.mark.parametrize("message", REACTIONS)
def test_a_reaction_that_quotes_our_text_is_no_stop(message: str) -> None:
    assert parse(message).wish is Wish.NONE


@pytest.mark.parametrize("message", NOTHING)
def test_what_only_looks_like_a_stop_is_none(message: str) -> None:
    """Fault 26: as a substring, "don't stop" unsubscribes and "restart" subscribes again."""
    assert parse(message).wish is Wish.NONE


@pytest.mark.parametrize(
    "message", ["START", "start", " Start. ", "UNSTOP", "unstop!", "ｓｔａｒｔ", "START START START"[:5]]
)
def test_start_stands_alone(message: str) -> None:
    assert parse(message).wish is Wish.START


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("NEWS", "news"), (" news! ", "news"), ("“News”", "news"), ("N.E.W.S", "news"), ("News please", "news"),
        ("Hi, news, thank you", "news"), ("NEWS\n", "news"), ("Noticias por favor", "noticias"), ("Sí", "si"),
        ("good news", None), ("the news", None), ("", None), ("🎉", None), ("👍 to “NEWS”", None),
        ("Liked “NEWS”", None), ("news " * 20, None), ("hi hello", "hello"),
    ],
)  # fmt: skip
def test_a_word_alone_is_told_from_a_sentence(message: str, word: str | None) -> None:
    assert keywords.word(message) == word


@pytest.mark.parametrize(
    ("body", "does"), [("Reply STOP to end", True), ("Responda stop.", True), ("Hello", False), ("unstoppable", False)]
)
def test_a_message_names_the_way_out_or_does_not(body: str, does: bool) -> None:
    assert keywords.names_stop(body) is does


MARKS = st.text(alphabet=' \t\n.!?*"“”()-_…🙏\u200b\u00ad', max_size=4)
#: Not an emoji before a quotation, which is a reaction to what it quotes.
BEFORE = MARKS.filter(lambda marks: not ("🙏" in marks and {*marks} & {*'"“”'}))


@given(st.sampled_from(keyword_phrases.STOP), BEFORE, MARKS, MARKS, st.booleans())
def test_case_white_space_and_punctuation_do_not_count(
    phrase: str, before: str, between: str, after: str, upper: bool
) -> None:
    said = f" {between}".join(phrase.split())
    said = said.upper() if upper else said
    assert parse(f"{before}{said}{after}").wish is Wish.STOP


@given(st.sampled_from(keyword_phrases.STOP), st.integers(1, 40), st.sampled_from(keyword_phrases.COURTESIES))
def test_repetition_and_courtesy_do_not_count(phrase: str, times: int, courtesy: str) -> None:
    assert parse(" ".join([phrase] * times + [courtesy])).wish is Wish.STOP
    assert parse(" ".join([courtesy] + [phrase] * times)).wish is Wish.STOP


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(message: str) -> None:
    assert parse(message).wish in Wish


LARGEST = 1024 * 1024  # what a webhook may hold
FAMILIES = (
    "\u2057", "a", "stop ", "'", "“", " ", "\n", "\u0301", "a\u0301\u0323", "\ufdfa", "Liked “", "a b ", "stop\n",
    "-\n", "STOP", "s.", "removed a ", "no me ", "\u200b", "\ud800", "don t ", "\u0f71\u0f72\u0f74", "0 stop\n\n-",
    "to “", "_", "ﬃ",
)  # fmt: skip


def cost(message: str) -> float:
    """Return the seconds that a message takes, on a machine that may be busy with something else."""
    tries = []
    for _ in range(5):
        began = time.thread_time()
        parse(message)
        tries.append(time.thread_time() - began)
    return min(tries)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_of_a_megabyte_holds_up_the_loop(family: str) -> None:
    """1,600 characters took half a second of the event loop, 40,000 of them 164."""
    message = family * (LARGEST // len(family))
    assert cost(message) < 0.05
    assert cost("x" + message) < 0.05
    assert cost(message + " stop") < 0.05


@given(st.lists(st.sampled_from([*FAMILIES, "stop", "please", "don't"]), min_size=1, max_size=6))
def test_no_mixture_of_them_does_either(parts: list[str]) -> None:
    unit = "".join(parts)
    assert cost(unit * (LARGEST // 4 // len(unit))) < 0.05


def test_both_ends_of_a_long_message_are_read() -> None:
    long = "I have written to you many times about my house and its roof. " * 100
    assert parse(f"{long} Now stop texting me.").wish is Wish.LIKELY_STOP
    assert parse(f"Stop texting me. {long}").wish is Wish.LIKELY_STOP
