"""Where a number is, as far as its first digits tell: every time zone that it may be in, and a region that has rules.

The zones are those that `phonenumbers` gives for the beginning of a number. A number whose country lets no place be
read off it, as most let none off a mobile number, may be in every zone of its country.
"""

import json
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.tzdata import TIMEZONE_DATA

from libs.common.domain import quiet_hours, regional_hours
from libs.common.domain.quiet_hours import Place

#: Calling codes whose mobile numbers have a place, by libphonenumber: the North American one, and those of Mexico,
#: Argentina, Brazil, Indonesia and China.
WITH_PLACES = ("1", "52", "54", "55", "62", "86")
#: Of 25 countries and territories, from Guam to Newfoundland: that a number begins so says nothing.
NORTH_AMERICA = "1"
LONGEST = 9  # characters of a beginning that tells something, with its plus


def place_of(number: str) -> Place:
    """Return where a number in E.164 may be; a place without zones where it says nothing."""
    known = _by_prefix()
    found = next((known[number[:end]] for end in range(LONGEST, 1, -1) if number[:end] in known), "")
    return quiet_hours.parse(found)


def with_zone(number: str, zone: str | None) -> Place:
    """Return where somebody is who has a number, and whose time zone may be known: then that holds, in its region."""
    place = place_of(number)
    return Place((zone,), place.region) if zone else place


@cache
def as_json() -> str:
    """Return the places by the beginnings of numbers, as text, for a statement."""
    return json.dumps(_by_prefix())


@cache
def _by_prefix() -> dict[str, str]:
    codes = regional_hours.area_codes().region_of
    zones = {prefix: found for prefix, found in TIMEZONE_DATA.items() if _tells(prefix)}
    prefixes = {*zones, *(f"{NORTH_AMERICA}{code}" for code in codes)}
    return {
        f"+{prefix}": str(Place(zones.get(prefix, ()), codes.get(prefix[1:4], "") if prefix[0] == "1" else ""))
        for prefix in sorted(prefixes)
    }


def _tells(prefix: str) -> bool:
    """Whether the beginning of a number says where it is: a whole calling code, or what follows one that has places."""
    if prefix == NORTH_AMERICA:
        return False
    return prefix.startswith(WITH_PLACES) or prefix in _calling_codes()


@cache
def _calling_codes() -> frozenset[str]:
    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))
