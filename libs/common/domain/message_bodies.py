"""Checks of a message's body before it is stored: in the API, and in a file on the command line.

A message is kept composed (NFC), shows something, and holds no variable: Broadsheet fills none in yet, and everybody
would get `{{first_name}}` as it stands. What is taken here has a form by which it is found again in the carrier's log
(`text_normalization.py`): two spellings of one body have one form there.
"""

import re
import unicodedata

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
    """Return a message as it is kept. Raise ValueError, with a reason that does not repeat it, if it cannot leave."""
    composed = unicodedata.normalize("NFC", text)
    if utf16_units(composed) > LONGEST:
        raise ValueError(filled("must have %(most)s characters at most; an emoji counts as two or more", most=LONGEST))
    if "\x00" in composed:
        raise ValueError(n_("must not hold the character NUL"))
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in _LINES for character in composed):
        raise ValueError(n_("must not hold control characters other than line breaks and tabs"))
    if not is_visible(composed) or not normalise(composed):
        raise ValueError(n_("must show something: there is nothing in it that people see"))
    plain = unicodedata.normalize("NFKC", composed)
    for example, pattern in VARIABLES:
        if pattern.search(plain):
            raise ValueError(
                filled(
                    "holds a variable like %(example)s: there are no variables yet, people would get it as it is",
                    example=example,
                )
            )
    return composed


def read(raw: bytes) -> str:
    """Return the body in a file, without the mark of UTF-8 that some editors put in front. Raise UnicodeDecodeError."""
    return raw.decode("utf-8-sig")


def is_visible(text: str) -> bool:
    """Whether people see anything of a body; a combining mark alone is nothing."""
    return any(c not in _BLANK and unicodedata.category(c)[0] in "LNPS" for c in text)
