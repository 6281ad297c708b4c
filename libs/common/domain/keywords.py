"""What somebody who writes back wants: to stop, to start again, perhaps to stop, or nothing of the kind. Pure.

47 CFR 64.1200(a)(10) counts any reasonable means of saying no. So there are two degrees. **Firm**: the whole
message is a keyword, whatever its case, white space, punctuation, accents or repetition, with courtesy words around it
or a signature below it; it opts out at once. **Likely**: something in the message sounds like a no. A person
decides about it; until then nothing more is sent. What a message only
quotes (a tapback), denies ("don't stop") or names (a bus stop) is neither.

The work is linear: a message is cut to its two ends before anything else is done with it, and no pattern here can go
over a piece of it more than once.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from libs.common.domain import keyword_phrases
from libs.common.texts import gettext_noop as n_


class Wish(StrEnum):
    """What a message asks for."""

    STOP = "stop"
    START = "start"
    #: A person has to look.
    LIKELY_STOP = "likely_stop"
    NONE = "none"


#: What is clear enough to be on record.
WISHES = (Wish.STOP, Wish.START)


class Reason(StrEnum):
    """Why somebody is likely to want no more messages."""

    STOP_IN_A_SENTENCE = "stop_in_a_sentence"
    WRONG_NUMBER = "wrong_number"
    TAKE_ME_OFF = "take_me_off"
    NO_MORE = "no_more"
    ALMOST_A_KEYWORD = "almost_a_keyword"
    STOP_WITHOUT_NUMBER = "stop_without_number"
    NOT_HANDED_OVER = "not_handed_over"  # Missive took several messages, and Twilio never got them


#: The reasons in words, for people.
REASONS: dict[Reason, str] = {
    Reason.STOP_IN_A_SENTENCE: n_("It says stop inside a sentence"),
    Reason.WRONG_NUMBER: n_("It says that this is the wrong number"),
    Reason.TAKE_ME_OFF: n_("It asks to be taken off a list"),
    Reason.NO_MORE: n_("It asks for no more messages, or to be left alone"),
    Reason.ALMOST_A_KEYWORD: n_("It is almost the word STOP"),
    Reason.STOP_WITHOUT_NUMBER: n_("It asks for a stop, and names no phone number"),
    Reason.NOT_HANDED_OVER: n_("Several messages in a row were not handed over to the network, as after a STOP"),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a message asks for, and why that is not certain, where it is not."""

    wish: Wish
    reason: Reason | None = None


NOTHING = Parsed(Wish.NONE)
STOP = Parsed(Wish.STOP)
START = Parsed(Wish.START)

#: How much of a message is read, in characters: an SMS has at most 1,600. Of a longer one both ends are.
HEAD, TAIL = 1800, 400
#: The longest STOP above a signature, in words.
MOST_WORDS = 12
#: The longest signature, in lines, and in words a line.
SIGNATURE_LINES, SIGNATURE_WORDS = 4, 6

STOP_PHRASES = frozenset(tuple(phrase.split()) for phrase in keyword_phrases.STOP)
COURTESIES = frozenset(tuple(phrase.split()) for phrase in keyword_phrases.COURTESIES)
_LONGEST_PHRASE = max(map(len, STOP_PHRASES | COURTESIES))
#: What sounds like a no inside a sentence, in this order.
_LIKELY = (
    (Reason.WRONG_NUMBER, keyword_phrases.WRONG_NUMBER),
    (Reason.TAKE_ME_OFF, keyword_phrases.TAKE_ME_OFF),
    (Reason.NO_MORE, keyword_phrases.NO_MORE),
    (Reason.STOP_IN_A_SENTENCE, keyword_phrases.STOP_IN_A_SENTENCE),
)


def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    # Over words with one space between them and one at each end: what is found are whole words.
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(" (?:" + "|".join(map(re.escape, longest_first)) + ")(?= )")


_HARMLESS_PATTERN = _any_of(keyword_phrases.HARMLESS)
_LIKELY_PATTERNS = tuple((reason, _any_of(phrases)) for reason, phrases in _LIKELY)
#: A message that has none of these words has none of those phrases: most have not.
_TELLING = frozenset(max(phrase.split(), key=len) for _, phrases in _LIKELY for phrase in phrases)
_BEGINNINGS = frozenset(phrase[0] for phrase in STOP_PHRASES | COURTESIES)

_WORDS = re.compile(r"[^\W_]+")
#: A letter three times or more: a finger that stayed on its key.
_HELD_KEY = re.compile(r"([^\W\d_])\1{2,}")
_OPENING = "\"“”„«»‹‘'‟「"  # of a quotation
_CLOSING = "\"”“»›’'」….:"  # of one, or where a phone has cut it

_REACTION = re.compile("|".join(keyword_phrases.REACTIONS))
_MEDIA_REACTION = re.compile(f"(?:{_REACTION.pattern}) (?:{keyword_phrases.REACTED_TO})")
#: The longest way to put a reaction into words, in characters.
_LONGEST_REACTION = 60
#: The longest name of a phone.
_LONGEST_PHONE = 40


def is_reaction(message: str) -> bool:
    """Whether a message is a phone's way of saying that somebody reacted to one of ours."""
    return _is_reaction(plain(message))


def parse(message: str) -> Parsed:
    """Return what a message asks for."""
    text = plain(message)
    words = words_of(text)
    if not words or _is_reaction(text):
        return NOTHING
    if len(words) == 1 and _one(words[0]) in keyword_phrases.START:
        return START
    if _is_stop(words) or _is_signed_stop(text) or _is_stop_from_a_phone(text):
        return STOP
    if len(words) == 1 and words[0] in keyword_phrases.ALMOST:
        return Parsed(Wish.LIKELY_STOP, Reason.ALMOST_A_KEYWORD)
    return _likely(words)


def names_stop(body: str) -> bool:
    """Whether a message of ours names STOP, the way out that every carrier knows."""
    return "stop" in words_of(plain(body))


def word(message: str) -> str | None:
    """Return the one word that a message consists of, as words are compared; courtesies do not count.

    None where it says more, or is a reaction.
    """
    text = plain(message)
    said = tuple(words_of(text))
    if not said or len(said) > MOST_WORDS or _is_reaction(text):
        return None
    while len(said) > 1:
        for length in range(min(_LONGEST_PHRASE, len(said) - 1), 0, -1):
            if said[:length] in COURTESIES:
                said = said[length:]
                break
            if said[-length:] in COURTESIES:
                said = said[:-length]
                break
        else:
            return None
    return said[0]


def plain(message: str) -> str:
    """Return both ends of a message without what nobody sees, letters as the keyboard has them; lines stay lines."""
    if len(message) > HEAD + TAIL:
        message = f"{message[:HEAD]} … {message[-TAIL:]}"
    if message.isascii():
        return message.replace("\r\n", "\n").replace("\r", "\n")
    # One character may become eighteen: cut again.
    seen = "".join(map(_seen, unicodedata.normalize("NFKC", message)[: HEAD + TAIL]))
    letters = unicodedata.normalize("NFKD", seen)
    return "".join(c for c in letters if not unicodedata.combining(c)).replace("\r\n", "\n").replace("\r", "\n")


def _seen(character: str) -> str:
    if character in "\u2028\u2029\u0085\u000b\u000c":
        return "\n"
    if character.isspace() or character in "\u2800\u3164\u115f\u1160\uffa0":
        return character if character in "\n\r" else " "
    return "" if unicodedata.category(character) in ("Cf", "Cc", "Cs", "Co", "Cn") or _joins(character) else character


def _joins(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or character in "\u034f\u20e3"


def words_of(text: str) -> list[str]:
    """Return the words of a message that is plain, in small letters."""
    words = _WORDS.findall(text.casefold())
    # S.T.O.P. and S T O P
    if 3 <= len(words) <= 20 and all(len(word) == 1 for word in words):
        return ["".join(words)]
    return words


def _one(word: str) -> str:
    """Return a word without what a finger that stayed on its key has added, or said several times without a space."""
    word = _HELD_KEY.sub(r"\1", word)
    for keyword in ("stop", "start"):
        if len(word) > len(keyword) and word == keyword * (len(word) // len(keyword)):
            return keyword
    return word


def _is_stop(words: list[str]) -> bool:
    """Whether words are keywords and courtesies, and nothing else."""
    if _one(words[0]) not in _BEGINNINGS:
        return False
    said = tuple(_one(word) for word in words)
    at, found = 0, False
    while at < len(said):
        for length in range(min(_LONGEST_PHRASE, len(said) - at), 0, -1):
            phrase = said[at : at + length]
            if phrase in STOP_PHRASES or phrase in COURTESIES:
                found = found or phrase in STOP_PHRASES
                at += length
                break
        else:
            return False
    return found


def _is_signed_stop(text: str) -> bool:
    """Whether a message is a STOP in its first lines, with a signature below it."""
    lines = [line.strip() for line in text.strip().split("\n")[:40]]
    for at in range(1, len(lines)):
        first = words_of(" ".join(lines[:at]))
        if not first or len(first) > MOST_WORDS:
            return False
        if _is_stop(first) and _is_signature(lines[at:]):
            return True
    return False


def _is_stop_from_a_phone(text: str) -> bool:
    """Whether a message is a STOP and what a phone has put behind it, on one line."""
    head, found, tail = text.casefold().partition(" sent from my ")
    return bool(found) and len(tail) < _LONGEST_PHONE and _is_stop(words_of(head) or [""])


_SENT_FROM = ("sent from", "sent via", "get outlook", "enviado desde", "envoye de", "envoye depuis")


def _is_signature(lines: list[str]) -> bool:
    """Whether lines are what somebody puts below a message: a rule or a dash, a phone's own words, a name."""
    said = [line for line in lines if line]
    if not said or len(said) > SIGNATURE_LINES:
        return False
    if said[0].casefold().startswith(_SENT_FROM):
        return True
    counted = [_WORDS.findall(line) for line in said]
    if any(len(words) > SIGNATURE_WORDS for words in counted):
        return False
    if said[0][0] in "-—–_~*=":
        return True
    # A name: below an empty line, in capitals, and it says nothing.
    return not lines[0] and bool(counted[0]) and all(word[0].isupper() for word in counted[0])


def _is_reaction(text: str) -> bool:
    """Whether a message is a phone's way of saying that somebody reacted to one of ours, which it quotes."""
    if len(text) <= 2 * _LONGEST_REACTION and _MEDIA_REACTION.fullmatch(" ".join(_WORDS.findall(text.casefold()))):
        return True
    place = next((at for at, c in enumerate(text[: _LONGEST_REACTION + 1]) if c in _OPENING and _opens(text, at)), None)
    if place is None or text.rstrip()[-1] not in _CLOSING:
        return False
    before = " ".join(_WORDS.findall(text[:place].casefold()))
    if before in keyword_phrases.AFTER_AN_EMOJI:
        return not text[:place].lstrip()[:1].isalnum()
    if before:
        return _REACTION.fullmatch(before) is not None
    # A quotation alone is what somebody says; with an emoji before it, it is a reaction.
    return any(unicodedata.category(c) == "So" for c in text[:place])


def _opens(text: str, at: int) -> bool:
    """Whether a quotation mark at a place opens something, and is no apostrophe."""
    return at == 0 or not text[at - 1].isalnum()


def _likely(words: list[str]) -> Parsed:
    if _TELLING.isdisjoint(words) or (words[-1].isdigit() and all(word == "stop" or word.isdigit() for word in words)):
        return NOTHING  # the latter is a bus stop, say, by its number
    said = _HARMLESS_PATTERN.sub(" ", f" {' '.join(words)} ")
    for reason, pattern in _LIKELY_PATTERNS:
        if pattern.search(said):
            return Parsed(Wish.LIKELY_STOP, reason)
    return NOTHING
