"""What a keyword by which people sign up may be, and what is written to them. Pure.

A keyword is one word. It means one thing: none that stops texts, starts them again, asks for help, or says yes to a
question of ours can be one.
"""

from libs.common.domain import keyword_phrases, keywords, message_bodies
from libs.common.domain.keywords import Wish
from libs.common.texts import gettext_noop as n_

SHORTEST, LONGEST = 2, 20  # characters of a keyword

ONE_WORD = n_("must be one word of 2 to 20 letters and digits")
HAS_A_MEANING = n_("means something already: it stops texts, starts them again, asks for help, or says yes")
NAMES_NO_STOP = n_("does not say how to get out: it must name STOP, as in “Reply STOP to end”")
NAMES_NO_YES = n_("does not say how to agree: it must name YES, as in “Reply YES to get our texts”")


def checked_word(given: str) -> str:
    """Return a keyword as it is compared: small letters without accents. Raise ValueError with the reason."""
    found = keywords.word(given)
    if found is None or keywords.words_of(keywords.plain(given)) != [found] or not SHORTEST <= len(found) <= LONGEST:
        raise ValueError(ONE_WORD)
    if found in keyword_phrases.HELP + keyword_phrases.YES or keywords.parse(given).wish is not Wish.NONE:
        raise ValueError(HAS_A_MEANING)
    return found


def checked_welcome(body: str) -> str:
    """Return a welcome as it is kept. Raise ValueError where it cannot leave, or does not name the way out."""
    checked = message_bodies.checked(body)
    if not keywords.names_stop(checked):
        raise ValueError(NAMES_NO_STOP)
    return checked


def checked_question(body: str) -> str:
    """Return a question as it is kept. Raise ValueError where it cannot leave, or does not name a word to agree by."""
    checked = message_bodies.checked(body)
    if not any(len(word) > 1 and word in keyword_phrases.YES for word in keywords.words_of(keywords.plain(checked))):
        raise ValueError(NAMES_NO_YES)
    return checked
