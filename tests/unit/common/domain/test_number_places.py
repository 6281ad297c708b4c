"""Where numbers are, by their first digits."""

import json
from zoneinfo import available_timezones

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType, timezone

from libs.common.domain import number_places, quiet_hours, regional_hours
from libs.common.domain.quiet_hours import Place

MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from(MOBILE), st.data())
def test_a_mobile_number_is_in_every_zone_that_phonenumbers_gives(region: str, kind: int, data: st.DataObject) -> None:
    example = phonenumbers.example_number_for_type(region, kind)
    if example is None:
        return
    whole = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    kept = data.draw(st.integers(3, len(whole)))
    rest = data.draw(st.text("0123456789", min_size=len(whole) - kept, max_size=len(whole) - kept))
    try:
        number = phonenumbers.parse(whole[:kept] + rest)
    except phonenumbers.NumberParseException:  # there is no such country
        return
    if phonenumbers.number_type(number) not in MOBILE:
        return
    found = number_places.place_of(whole[:kept] + rest).zones
    if number.country_code == 1:
        # What shares the 1 is told apart by area code, though most of the Caribbean's is mobile numbers alone.
        assert found == timezone.time_zones_for_geographical_number(number) or not found
    else:
        assert set(found) >= set(timezone.time_zones_for_number(number)) - {timezone.UNKNOWN_TIMEZONE}


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+13135550123", "America/New_York US"),
        ("+18505550123", "America/New_York US-FL"),
        ("+12085551234", "America/Boise,America/Los_Angeles US"),
        ("+16025551234", "America/Phoenix US"),
        ("+17875550123", "America/Puerto_Rico US"),
        ("+14165550123", "America/Toronto"),
        ("+18762101234", "America/Jamaica"),
        ("+18005551234", ""),
        ("+919812345678", "Asia/Calcutta"),
        ("+6857212345", "Pacific/Apia"),
    ],
)
def test_the_first_digits_say_where_a_number_is(number: str, place: str) -> None:
    assert str(number_places.place_of(number)) == place


def test_the_zone_of_a_contact_holds_and_the_region_is_the_number_s() -> None:
    assert number_places.with_zone("+18505550123", "America/Chicago") == Place(("America/Chicago",), "US-FL")
    assert number_places.with_zone("+18505550123", None) == Place(("America/New_York",), "US-FL")


def test_every_zone_is_one_that_there_is_and_every_region_has_a_rule() -> None:
    zones = available_timezones()
    known = json.loads(number_places.as_json())
    assert max(map(len, known)) == number_places.LONGEST
    for prefix, text in known.items():
        place = quiet_hours.parse(text)
        assert set(place.zones) <= zones, prefix
        assert not place.region or place.region in regional_hours.rules(), prefix


def test_area_codes_name_their_source_and_agree_with_phonenumbers() -> None:
    known = regional_hours.area_codes()
    assert known.source.startswith("libphonenumber ")
    assert known.read.year >= 2026
    for code, region in known.region_of.items():
        assert region in regional_hours.rules(), code
        # Florida's are not Georgia's; territories of the United States have its rules.
        number = phonenumbers.parse(f"+1{code}5550123")
        country = phonenumbers.region_code_for_number(number)
        assert country in {"US", "PR", "VI", "GU", "AS", "MP", None}, code
