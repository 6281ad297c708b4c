"""Checks of a message's body before it is stored: in the API, and in a file on the command line.

A message is kept composed (NFC) and shows something. A broadcast's may hold variables, `{{ first_name }}`
(`templates.py`); an answer to one person has none, and variables as other systems write them would be sent as they
stand: both are refused. What is taken here has a form by which it is found again in the carrier's log
(`text_normalization.py`): two spellings of one body have one form there.
"""

import re
import unicodedata

from libs.common.domain import templates
from libs.common.domain.message_parts import utf16_units
from libs.common.domain.text_normalization import normalise
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

LONGEST = 1600  # units of UTF-16: so the carriers count characters

#: Letters and signs by their category that are shown by nothing.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
_LINES = "\n\r\t"

#: What people call the fields of a person: in brackets of any kind these are variables, other words may be meant.
_FIELD = (
    r"(?:(?:your|contact|user|first|last|full|given|family|middle|nick)?[ _.-]?name|[fl][ _.-]?name|surname"
    r"|(?:your|contact|user)?[ _.-]?(?:e-?mail|phone|mobile|cell)(?:[ _.-]?(?:address|number))?"
    r"|(?:your[ _.-]?)?(?:street[ _.-]?)?address|(?:zip|postal)[ _.-]?(?:code)?|(?:your[ _.-]?)?city"
    r"|(?:primer[ _.-]?)?nombre|apellidos?|(?:pre)?nom|pr[eé]nom)"
)
_WHOSE = "(?:the|contact|recipient|subscriber|customer|member|reader|person|user)(?:['’]s)?"
#: Variables as other systems write them, with an example of each.
VARIABLES = (
    ("{{first_name}}", re.compile(r"\{\{|\}\}|\{%|%\}|<%[=\s]*[^\W\d]|\{!")),
    ("{first_name}", re.compile(r"(?<!\$)\{\s*[^\W\d][^{}.\n]{0,60}\}")),
    # A path, or a name behind a dollar, is also how programs are quoted: only what is called like a field is one.
    ("{first_name}", re.compile(rf"\{{\s*(?:\w+\.)*{_FIELD}\s*(?:\|[^{{}}\n]*)?\}}", re.IGNORECASE)),
    ("%first_name%", re.compile(rf"%[^\W\d]\w{{0,40}}%|(?<!\d)%\s*{_FIELD}\s*%", re.IGNORECASE)),
    ("$first_name", re.compile(rf"\${_FIELD}\b", re.IGNORECASE)),
    ("<first name>", re.compile(rf"<{{1,2}}\s*{_FIELD}\s*>{{1,2}}", re.IGNORECASE)),
    (
        "[first name]",
        re.compile(rf"\[\s*(?:insert\s+)?(?:{_WHOSE}[ _.-])?{_FIELD}(?:\s+here)?\s*\]", re.IGNORECASE),
    ),
    ("*|FNAME|*", re.compile(r"\*\|[^|\n]{1,60}\|\*")),
)


def checked(text: str) -> str:
    """Return a message without variables as it is kept.

    Raise ValueError, with a reason that does not repeat it, if it cannot leave.
    """
    composed = _checked_characters(text)
    for example, pattern in VARIABLES:
        if pattern.search(unicodedata.normalize("NFKC", composed)):
            raise ValueError(
                filled("holds a variable like %(example)s: it would be sent as it stands here", example=example)
            )
    return composed


def checked_template(text: str) -> str:
    """Return the message of a broadcast, which may have variables, as it is kept.

    Raise ValueError, with a reason that does not repeat it and names the place, if it cannot leave.
    """
    composed = _checked_characters(text)
    words = unicodedata.normalize("NFKC", templates.parse(composed).words)
    for example, pattern in VARIABLES:
        if pattern.search(words):
            raise ValueError(
                filled(
                    "holds a variable like %(example)s: here it is written {{ first_name }}, or people get it as it is",
                    example=example,
                )
            )
    return composed


def _checked_characters(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if utf16_units(composed) > LONGEST:
        raise ValueError(filled("must have %(most)s characters at most; an emoji counts as two or more", most=LONGEST))
    if "\x00" in composed:
        raise ValueError(n_("must not hold the character NUL"))
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in _LINES for character in composed):
        raise ValueError(n_("must not hold control characters other than line breaks and tabs"))
    if not is_visible(composed) or not normalise(composed):
        raise ValueError(n_("must show something: there is nothing in it that people see"))
    return composed


def read(raw: bytes) -> str:
    """Return the body in a file, without the mark of UTF-8 that some editors put in front. Raise UnicodeDecodeError."""
    return raw.decode("utf-8-sig")


def is_visible(text: str) -> bool:
    """Whether people see anything of a body; a combining mark alone is nothing."""
    return any(c not in _BLANK and unicodedata.category(c)[0] in "LNPS" for c in text)
