"""Variables in messages: `Hello {{ first_name | default: "neighbor" }}`. No logic, and nothing else. Pure.

A message with variables is a template. It is read once, when it is written, and filled in for each person when the
broadcast is made. Small and capital letters are the same in a name, and a space or a hyphen is `_`. Quotation marks may
be typographic, as phones and word processors make them.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from libs.common.domain.text_normalization import normalise
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

LONGEST_NAME = 64  # characters
#: The names that come from the name of a contact.
NAME, FIRST_NAME, LAST_NAME = "name", "first_name", "last_name"
OF_THE_NAME = (NAME, FIRST_NAME, LAST_NAME)
#: What links are counted by: the broadcast, and the segment for which somebody was drawn.
BROADCAST, SEGMENT = "broadcast", "segment"
OF_THE_BROADCAST = (BROADCAST, SEGMENT)
#: Where a broadcast goes to a file in which each person has their own words: those.
MESSAGE, FOLLOW_UP = "message", "follow_up"
OF_THE_FILE = (MESSAGE, FOLLOW_UP)
#: The messages of such a broadcast that are nothing but those words.
MESSAGE_ALONE, FOLLOW_UP_ALONE = "{{ message }}", "{{ follow_up }}"
#: Stands for a variable where the rest of a message is looked at: it is shown by nothing that people write.
STAND_IN = "\ufffc"

_BRACES = re.compile(r"\{\{|\}\}")
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“", "‘": "’", "’": "’", "«": "»", "‚": "‘"}
_NAME = re.compile(r"[^\W\d_][\w -]*")
_DEFAULT = re.compile(r"default\s*:\s*", re.IGNORECASE)


class TemplateError(ValueError):
    """A message cannot be read as a template; the reason names the place and does not repeat the message."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(filled("is wrong at character %(at)s: %(reason)s", at=at + 1, reason=reason))
        #: The place of the mistake, from 0 on.
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A place in a message that is filled in for each person."""

    #: As it is looked up: `first_name`.
    name: str
    #: What stands there for somebody who has no value; None if such a person cannot get the message.
    default: str | None
    #: Where it begins in the message.
    at: int


Piece = str | Variable


@dataclass(frozen=True, slots=True)
class Template:
    """A message in pieces: words as they stand, and variables."""

    pieces: tuple[Piece, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, in the order of the message."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Variable))

    @property
    def is_personal(self) -> bool:
        """Whether people get different words."""
        return any(isinstance(piece, Variable) for piece in self.pieces)

    @property
    def words(self) -> str:
        """The message with `STAND_IN` for each variable."""
        return "".join(piece if isinstance(piece, str) else STAND_IN for piece in self.pieces)

    @property
    def example(self) -> str:
        """The message with each default in its place, and FIRST_NAME where there is none."""
        return "".join(_example(piece) for piece in self.pieces)

    def may_be(self, body: str) -> bool:
        """Whether a body may be this message as somebody gets it; both are compared as `normalise` has them.

        A message of variables alone may be anything, and this says of nothing that it is one.
        """
        words = [normalise(piece) for piece in self.pieces if isinstance(piece, str)]
        if not any(words):
            return False
        rest, last = normalise(body), len(self.pieces) - 1
        for place, piece in enumerate(self.pieces):
            part = normalise(piece) if isinstance(piece, str) else ""
            found = rest.rfind(part) if place == last else rest.find(part)
            if found < 0 or (place == 0 and part and found) or (place == last and part and not rest.endswith(part)):
                return False
            rest = rest[found + len(part) :]
        return not self.pieces or isinstance(self.pieces[last], Variable) or not rest


@lru_cache(maxsize=512)
def parse(text: str) -> Template:
    """Return a message in pieces. Raise TemplateError with the place of the first mistake."""
    return Template(tuple(_pieces(text)))


def key(name: str) -> str:
    """Return a name as it is looked up: `First Name` and `first-name` are `first_name`."""
    return re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFKC", name).casefold()).strip("_")


def names(templates: Iterable[Template]) -> list[str]:
    """Return the names of all variables of some messages, each once."""
    return list(dict.fromkeys(variable.name for variable in chain.from_iterable(t.variables for t in templates)))


def _example(piece: Piece) -> str:
    if isinstance(piece, str):
        return piece
    if piece.name in OF_THE_BROADCAST:
        return piece.name
    return piece.name.upper() if piece.default is None else piece.default


def _pieces(text: str) -> Iterator[Piece]:
    place = 0
    while found := _BRACES.search(text, place):
        if found[0] == "}}":
            raise TemplateError(found.start(), n_("}} ends a variable, and no {{ begins one"))
        if found.start() > place:
            yield text[place : found.start()]
        variable, place = _variable(text, found.start())
        yield variable
    if place < len(text):
        yield text[place:]


def _variable(text: str, begin: int) -> tuple[Variable, int]:
    """Return the variable that begins at a place, and where it ends. Raise TemplateError."""
    place = _past_space(text, begin + 2)
    found = _NAME.match(text, place)
    if found is None:
        if text.startswith("}", place):
            raise TemplateError(place, n_("no name stands between {{ and }}"))
        raise TemplateError(place, n_("behind {{ comes a name, such as {{ first_name }}; there is no logic"))
    name = found[0].strip(" -")
    if len(name) > LONGEST_NAME:
        raise TemplateError(place, filled("the name has more than %(most)s characters", most=LONGEST_NAME))
    place, default = _past_space(text, found.end()), None
    if text.startswith("|", place):
        default, place = _default(text, _past_space(text, place + 1))
    if not text.startswith("}}", place):
        raise TemplateError(*_unclosed(text, begin, place))
    return Variable(name=key(name), default=default, at=begin), place + 2


def _unclosed(text: str, begin: int, place: int) -> tuple[int, str]:
    """Return where a variable is not as it should be, and why."""
    if text.startswith("}", place):
        return place, n_("one brace is missing: a variable ends with }}")
    if place >= len(text) or "}" not in text[place:]:
        return begin, n_("{{ begins a variable that does not end: write }} behind it")
    return place, n_('a variable is {{ name }} or {{ name | default: "words" }}; there is no logic')


def _default(text: str, place: int) -> tuple[str, int]:
    """Return the words of a default, and the place behind them. Raise TemplateError."""
    found = _DEFAULT.match(text, place)
    if found is None:
        raise TemplateError(place, n_('behind | comes default: "words"; there is no logic'))
    place = found.end()
    closing = _QUOTES.get(text[place : place + 1])
    if closing is None:
        raise TemplateError(place, n_('put the words of the default into quotation marks: default: "neighbor"'))
    end = text.find(closing, place + 1)
    if end < 0:
        raise TemplateError(place, n_("the quotation mark of the default is not closed"))
    words = text[place + 1 : end]
    if "{{" in words or "}}" in words:
        raise TemplateError(place, n_("a default holds words alone, and no variable"))
    return words, _past_space(text, end + 1)


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
