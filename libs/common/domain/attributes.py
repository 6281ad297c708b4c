"""What is known of a person beside number, name and tags: free attributes, the time zone, the language.

An attribute has a name and a value: a text, a number, a date or yes/no. In JSON these are a string, a number, a string
of the form 2026-11-27, and true or false. A string of that form is always a date, so one that is on no calendar is
refused.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

Value: TypeAlias = bool | int | float | str

MOST = 50  # attributes of one person
LONGEST_NAME = 40  # characters of a name
LONGEST = 1_000  # characters of a text
BIGGEST = 10**15  # of a number, either way: whole numbers up to it are exact in every JSON parser
LONGEST_ZONE = 64  # characters of a time zone's name
TWO_LETTERS = 2
LONGEST_LANGUAGE = 35  # characters of a language's tag: what RFC 5646 has software provide for

NAME_PATTERN = rf"^[a-z0-9_]{{1,{LONGEST_NAME}}}(?![\s\S])"
#: Whatever has this form is a date.
DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\s\S])"
#: Fields that everybody has: no attribute has their name.
FIELDS = frozenset({"phone_number", "name", "tags", "time_zone", "language"})

BAD_NAME = n_("the name of an attribute is 1 to 40 letters a-z, digits and _")
BAD_ZONE = n_("is no time zone such as America/Detroit")
BAD_LANGUAGE = n_("is no language such as en, es or pt-BR")

#: The languages that have two letters: ISO 639-1, https://www.loc.gov/standards/iso639-2/php/code_list.php.
_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es
et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki
kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no
nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te
tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
LANGUAGES = frozenset(_ISO_639_1.split())

_NAME = re.compile(NAME_PATTERN)
#: A language, a script, a region and variants: the parts of RFC 5646, 2.1, that people have use for.
_LANGUAGE = re.compile(
    r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?((?:[-_](?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*)"
)
_DATE = re.compile(DATE_PATTERN)


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes/no"


def kind_of(value: Value) -> Kind:
    """Return what a value is."""
    if isinstance(value, bool):
        return Kind.YES_NO
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.DATE if _DATE.match(value) else Kind.TEXT


def checked_name(name: str) -> str:
    """Return the name of an attribute. Raise ValueError with the reason."""
    if not _NAME.match(name):
        raise ValueError(BAD_NAME)
    if name in FIELDS:
        raise ValueError(filled("%(name)s is a field of its own, and no attribute", name=name))
    return name


def checked_value(value: Value) -> Value:
    """Return a value as it is kept: a text composed (NFC), a whole number without a fraction. Raise ValueError."""
    match kind_of(value):
        case Kind.NUMBER:
            return _number(value)
        case Kind.DATE:
            return _date(str(value))
        case Kind.TEXT:
            return _text(str(value))
    return value


def checked(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return attributes as they are kept. Raise ValueError with the first reason."""
    found = {checked_name(name): checked_value(value) for name, value in given.items()}
    if len(found) > MOST:
        raise ValueError(filled("more than %(most)s attributes", most=MOST))
    return found


def changed(before: Mapping[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    """Return attributes after some changes, in the order of their names; None removes one. Raise ValueError."""
    after = {**before, **changes}
    kept = {name: value for name, value in sorted(after.items()) if value is not None}
    if len(kept) > max(MOST, len(before)):
        raise ValueError(filled("more than %(most)s attributes", most=MOST))
    return kept


@lru_cache(maxsize=1024)
def checked_zone(name: str) -> str:
    """Return the name of a time zone in the IANA database. Raise ValueError with the reason."""
    if len(name) > LONGEST_ZONE or name not in available_timezones():
        raise ValueError(BAD_ZONE)
    return ZoneInfo(name).key


@lru_cache(maxsize=1024)
def checked_language(tag: str) -> str:
    """Return a language as BCP 47 (RFC 5646) writes it: `es`, `pt-BR`, `zh-Hant`. Raise ValueError with the reason.

    Two letters have to be a language: "SP" is none.
    """
    match = _LANGUAGE.fullmatch(tag)
    if len(tag) > LONGEST_LANGUAGE or match is None:
        raise ValueError(BAD_LANGUAGE)
    language, script, region, variants = match.groups()
    if len(language) == TWO_LETTERS and language.lower() not in LANGUAGES:
        raise ValueError(BAD_LANGUAGE)
    parts = (language.lower(), (script or "").title(), (region or "").upper(), variants[1:].replace("_", "-").lower())
    return "-".join(part for part in parts if part)


def _number(value: Value) -> int | float:
    if isinstance(value, str) or not -BIGGEST <= value <= BIGGEST:  # NaN is nowhere between
        raise ValueError(n_("a number is beyond a thousand million million"))
    return int(value) if float(value).is_integer() else value


def _date(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(n_("a date is on no calendar")) from None


def _text(value: str) -> str:
    text = unicodedata.normalize("NFC", value.strip())
    if not text:
        raise ValueError(n_("an attribute is empty"))
    if len(text) > LONGEST:
        raise ValueError(filled("a text of an attribute has more than %(most)s characters", most=LONGEST))
    if any(unicodedata.category(each) in ("Cc", "Cs") and each != "\n" for each in text):
        raise ValueError(n_("a text of an attribute holds a control character"))
    return text
