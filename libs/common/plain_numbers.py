"""Plain phone numbers, read fast: what nearly every cell of a long file holds.

`phonenumbers` takes some hundred microseconds for a number. Here its own patterns, of the regions that are allowed, are
put together into one for each way of writing. What that takes is what `phonenumbers` takes, to the digit (a test
compares them); what it does not take is no verdict: `phone_numbers.textable` reads it as any other, and says why not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

#: Digits in ASCII, and what people put between them; a part of what `phone_numbers` reads.
_WRITTEN = re.compile(r"\(?\+? ?\(?[0-9][0-9 ()/-]*(?![\s\S])|[0-9]{3}\.[0-9]{3}\.[0-9]{4}(?![\s\S])", re.ASCII)
_BETWEEN = str.maketrans("", "", " ()./-+")

#: The kinds of numbers that a valid one is of; premium-rate numbers are refused.
_KINDS = (
    "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail", "fixed_line", "mobile",
)  # fmt: skip
_NONE = r"(?!)"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the numbers of a country code are told."""

    #: With a plus: all its digits.
    international: re.Pattern[str]
    #: Without one, in the first region: with the digit that one dials before it, or without.
    national: re.Pattern[str] | None
    country_code: str


def read(text: str, regions: Sequence[str]) -> str | None:
    """Return a plain number of one of `regions` in E.164; None for whatever it is not certain of.

    Without a country code it is read as one of the first region.
    """
    if not _WRITTEN.match(text):
        return None
    digits = text.translate(_BETWEEN)
    for plan in _plans(tuple(regions)):
        if "+" in text:
            if plan.international.match(digits):
                return f"+{digits}"
        elif plan.national is not None and (found := plan.national.match(digits)) is not None:
            return f"+{plan.country_code}{found['number']}"
    return None


@cache
def _plans(regions: tuple[str, ...]) -> tuple[_Plan, ...]:
    together: dict[int, list[str]] = {}
    for region in regions:
        together.setdefault(phonenumbers.country_code_for_region(region), []).append(region)
    return tuple(_plan(code, allowed, regions[0]) for code, allowed in together.items())


def _plan(code: int, allowed: Sequence[str], first: str) -> _Plan:
    those = f"(?:{'|'.join(_of(region, code) for region in allowed)})"
    # A number with a leading zero is left to `phonenumbers`, as is one that begins like what is dialled before it.
    main = _metadata(COUNTRY_CODE_TO_REGION_CODE[code][0])
    whole = f"(?!0){_not_before(main)}{_length(main.general_desc)}{those}"
    national = None
    if phonenumbers.country_code_for_region(first) == code:
        national = _national(_metadata(first), code, whole)
    return _Plan(re.compile(rf"{code}{whole}\Z"), national, str(code))


def _national(metadata: PhoneMetadata, code: int, whole: str) -> re.Pattern[str]:
    """Return the pattern of numbers as they are written within a region."""
    rest = f"{_not_before(metadata)}{_is(metadata.general_desc)}{whole}"
    prefix = metadata.national_prefix or ""
    # What is taken away is this prefix where it is the first that is tried.
    tried = metadata.national_prefix_for_parsing or ""
    dialled = f"(?:{prefix})?" if prefix.isdecimal() and f"{tried}|".startswith(f"{prefix}|") else ""
    # Digits that may be the country code already, or those by which one dials abroad, are no plain number.
    code_first = "" if prefix == str(code) else f"(?!{code})"
    not_abroad = f"(?!{metadata.international_prefix or _NONE})"
    return re.compile(rf"{code_first}{not_abroad}{dialled}(?P<number>{code_first}{rest})\Z")


def _of(region: str, code: int) -> str:
    """Return a pattern of the numbers that are of a region and of none that shares its country code before it."""
    before = ""
    for other in COUNTRY_CODE_TO_REGION_CODE[code]:
        if other == region:
            break
        before += f"(?!{_claims(_metadata(other))})"
    metadata = _metadata(region)
    claims = f"(?={metadata.leading_digits})" if metadata.leading_digits else ""
    return f"{before}{claims}{_valid(metadata)}"


def _claims(metadata: PhoneMetadata) -> str:
    """Return a pattern of the numbers that a region claims: by their first digits, or because they are valid in it."""
    if metadata.leading_digits:
        return f"(?:{metadata.leading_digits})"
    return f"(?:{_is(metadata.general_desc)}(?:{_any(metadata)}|{_is(metadata.premium_rate)}))"


def _valid(metadata: PhoneMetadata) -> str:
    return f"(?!{_is(metadata.premium_rate)}){_is(metadata.general_desc)}(?:{_any(metadata)})[0-9]+"


def _any(metadata: PhoneMetadata) -> str:
    return "|".join(_is(getattr(metadata, kind)) for kind in _KINDS)


def _is(kind: PhoneNumberDesc | None) -> str:
    """Return a pattern that looks ahead whether the digits are a number of a kind."""
    if kind is None or not kind.national_number_pattern or kind.possible_length == (-1,):
        return _NONE
    return f"(?:{_length(kind)}(?=(?:{kind.national_number_pattern})" + r"\Z))"


def _length(kind: PhoneNumberDesc | None) -> str:
    lengths = [] if kind is None else [each for each in kind.possible_length or () if each > 0]
    return f"(?={'|'.join(f'[0-9]{{{each}}}' + chr(92) + 'Z' for each in lengths)})" if lengths else ""


def _not_before(metadata: PhoneMetadata) -> str:
    """Return a pattern that looks ahead that nothing would be taken away from the beginning of a number."""
    return f"(?!{metadata.national_prefix_for_parsing})" if metadata.national_prefix_for_parsing else ""


def _metadata(region: str) -> PhoneMetadata:
    found = PhoneMetadata.metadata_for_region(region)
    if found is None:  # not of a region that the settings accept
        raise ValueError(f"no numbers are known of {region}")
    return found
