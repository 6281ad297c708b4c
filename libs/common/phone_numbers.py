"""Phone numbers: what somebody wrote, in E.164, or refused. Nothing is repaired by guess.

What is to be texted must be a number that can exist, in a region that is allowed (`textable`). What a carrier tells,
or what somebody looks up, is only brought to one form (`normalise`): a STOP counts whatever number it comes from.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import phonenumbers

from libs.common import plain_numbers
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_

#: Regions by the ISO code that stands for them: these share the plan, the prices and the rules of the United States.
_TOGETHER = {"US": frozenset({"US", "AS", "GU", "MP", "PR", "VI"})}

E164 = re.compile(r"\+[1-9][0-9]{6,14}(?![\s\S])")

#: Digits, and what people put between them.
_WRITTEN = re.compile(r"\(?\+? ?\(?[0-9][0-9 ()./-]*(?![\s\S])")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+(?![\s\S])")
#: A whole number as a spreadsheet or a program writes one that it holds as a float: no digit of it is lost.
_WHOLE = re.compile(r"(\+?[0-9]{7,})[.,]0{1,2}(?![\s\S])")
_WHOLE_SCIENTIFIC = re.compile(r"(\+?[1-9])[.,]([0-9]{6,})[eE]\+?([0-9]{1,2})(?![\s\S])")
#: Any other number with decimals is none.
_DECIMAL = re.compile(r"[+-]?([0-9]{5,}\.[0-9]{1,2}|[0-9]{7,}\.[0-9]+)(?![\s\S])")

NORTH_AMERICA = 1
#: The 1 once, or after the digits by which one dials abroad: the parser passes over a second one.
_BEFORE_ITS_NUMBERS = re.compile(r"(?:0[0-9]{1,3})?1(?![\s\S])|(?![\s\S])")

#: What stands for a character of a number in other typefaces and scripts, and what is pasted along and shown by
#: nothing. (A mark that turns the order round is not among them: it shows another number than it holds.)
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d\u00b7", "-"),
        **dict.fromkeys("\uff08\ufe59", "("),
        **dict.fromkeys("\uff09\ufe5a", ")"),
        **dict.fromkeys("\uff0b\ufe62", "+"),
        **dict.fromkeys("\uff0e", "."),
        **dict.fromkeys("\u200b\u200e\u200f\u202a\u202c\u202d\u2060\u2066\u2068\u2069\ufeff\u00ad", ""),
    }
)

NO_NUMBER = n_("not a phone number")
SCIENTIFIC = n_(
    "not a phone number: in scientific notation digits are lost; format the column as text in the spreadsheet, "
    "and save it again"
)
DECIMALS = n_(
    "not a phone number: a number with decimals; format the column as text in the spreadsheet, and save it again"
)


def normalise(text: str, region: str = "US") -> str:
    """Return a number in E.164; one without a country code is read as one of `region`. Raise ValueError.

    It may be a number that nobody can have: for what carriers say, and for looking up what is stored.
    """
    if E164.match(text):
        return text
    parsed = _parse(text, region)
    # A local number without an area code is "possible", too, but nobody can be reached by one from elsewhere.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(NO_NUMBER)
    return _e164(parsed)


def valid(text: str, region: str = "US") -> str:
    """Return a number that can exist, of any region, in E.164. Raise ValueError with the reason."""
    return _e164(_valid(text, region))


def textable(text: str, regions: Sequence[str]) -> str:
    """Return a number that can exist in one of `regions` in E.164. Raise ValueError with the reason.

    One without a country code is read as one of the first region.
    """
    if (plain := plain_numbers.read(text, _with_territories(tuple(regions)))) is not None:
        return plain
    parsed = _valid(text, regions[0])
    found = phonenumbers.region_code_for_number(parsed) or "001"
    if not any(found in _TOGETHER.get(region, {region}) for region in regions):
        allowed = ", ".join(regions)
        raise ValueError(
            filled(
                "a number of another country: %(country)s; allowed: %(allowed)s", country=_name(found), allowed=allowed
            )
        )
    return _e164(parsed)


def regions(text: str) -> tuple[str, ...]:
    """Return the regions that a comma-separated list of ISO codes names. Raise ValueError."""
    codes = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    if not codes or not set(codes) <= phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("not a list of ISO country codes, such as US or US,CA")
    return codes


def _parse(text: str, region: str) -> phonenumbers.PhoneNumber:
    """Read digits and what people put between them. Raise ValueError for anything else: letters are never digits."""
    plain = "".join(map(_ascii, text.translate(_SAME))).strip()
    if _SCIENTIFIC.match(plain):
        raise ValueError(SCIENTIFIC)
    if _DECIMAL.match(plain):
        raise ValueError(DECIMALS)
    if any(unicodedata.category(character)[0] == "L" for character in plain):
        raise ValueError(n_("not a phone number: letters are not digits"))
    if not _WRITTEN.match(plain):
        raise ValueError(NO_NUMBER)
    try:
        return phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(NO_NUMBER) from error


def _ascii(character: str) -> str:
    """Return a digit of any script as the digit that it is, white space as a space, and the rest unchanged."""
    if character.isspace():
        return " "
    return str(unicodedata.decimal(character, character))


@cache
def _with_territories(regions: tuple[str, ...]) -> tuple[str, ...]:
    """Return regions with those that stand for the same, the first of them first."""
    rest = (each for region in regions for each in sorted(_TOGETHER.get(region, ())))
    return tuple(dict.fromkeys((*regions, *rest)))


def whole(text: str) -> str:
    """Return the digits of a number that is written as a float, where all of them are there; else what is given.

    `15550100.0` and `4.915512345678E12` are whole. `4.91551E+12` is not: digits were rounded away, or were zeros.
    """
    if (found := _WHOLE.match(text)) is not None:
        return found[1]
    found = _WHOLE_SCIENTIFIC.match(text)
    if found is not None and len(found[2]) == int(found[3]):
        return found[1] + found[2]
    return text


def _meant(text: str, region: str) -> phonenumbers.PhoneNumber:
    """Parse a number. One without a plus may begin with the region's country code, or be one of its numbers as it is.

    A spreadsheet takes the plus away. Where both readings are numbers, and one alone is of a mobile, that one is meant.
    """
    parsed = _parse(text, region)
    digits = str(parsed.national_number)
    if "+" in text or not digits.startswith(str(parsed.country_code)) or len(digits) != _count_digits(text):
        return parsed
    try:
        other = _parse(f"+{digits}", region)
    except ValueError:
        return parsed
    return other if _is_mobile(other) and not _is_mobile(parsed) else parsed


def _count_digits(text: str) -> int:
    return sum(character.isdecimal() for character in text)


def _is_mobile(parsed: phonenumbers.PhoneNumber) -> bool:
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.number_type(parsed) in mobile


def _valid(text: str, region: str) -> phonenumbers.PhoneNumber:
    text = whole(text.strip())
    parsed = _meant(text, region)
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(NO_NUMBER)
    kind = phonenumbers.number_type(parsed)  # known of valid numbers alone
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        if "+" in text.translate(_SAME):
            raise ValueError(n_("not a phone number that can exist: after a plus comes the country code, such as +1"))
        raise ValueError(n_("not a phone number that can exist"))
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        raise ValueError(n_("a premium-rate number"))
    if parsed.country_code == NORTH_AMERICA and not _BEFORE_ITS_NUMBERS.match(_before(text, parsed)):
        raise ValueError(n_("not a phone number: it has too many digits"))
    return parsed


def _before(text: str, parsed: phonenumbers.PhoneNumber) -> str:
    """Return the digits that stand before the national number."""
    digits = "".join(character for character in map(_ascii, text) if character.isdecimal())
    return digits.removesuffix(str(parsed.national_number))


def _e164(parsed: phonenumbers.PhoneNumber) -> str:
    plain = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if not E164.match(plain):
        raise ValueError(NO_NUMBER)
    return plain


@cache
def _names() -> dict[str, str]:
    """Return the English names of the world's regions; those that come with phonenumbers take a hundred megabytes."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return dict(line.split("\t", 1) for line in table.splitlines() if not line.startswith("#"))


def _name(region: str) -> str:
    """Return a region's name with its code."""
    return f"{_names()[region]} ({region})" if region in _names() else "none (an international service)"
