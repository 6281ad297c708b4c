import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import phone_numbers


@pytest.mark.parametrize(
    "given",
    [
        "(313) 555-0001",
        "313.555.0001",
        "313/555-0001",
        "+1 313 555 0001",
        "(+1) 313 555 0001",
        "1-313-555-0001",
        "313\u00a0555\u20110001",
        "\u202d+1 (313) 555-0001\u202c",  # as it is copied from an address book
        "３１３－５５５－０００１",
        "＋１ ３１３ ５５５ ０００１",
        "٣١٣٥٥٥٠٠٠١",
    ],
)
def test_a_number_is_one_however_it_is_written(given: str) -> None:
    assert phone_numbers.textable(given, ["US"]) == "+13135550001"
    assert phone_numbers.normalise(given) == "+13135550001"


@pytest.mark.parametrize(
    "given", ["", "x", "911", "555-0001", "+1 313 555", "+1 313 555 00011", "22000", "+999 1234567", "-3135550001"]
)
def test_what_cannot_be_called_from_anywhere_is_no_number(given: str) -> None:
    for read in (phone_numbers.normalise, phone_numbers.valid):
        with pytest.raises(ValueError, match="not a phone number"):
            read(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("313-555-XXXX", "letters are not digits"),
        ("313 unknown", "letters are not digits"),
        ("313-555-O1OO", "letters are not digits"),
        ("313-555-ⅹⅹⅹⅹ", "not a phone number"),
        ("313-CALL-NOW", "letters are not digits"),
        ("not a phone +13135550000", "letters are not digits"),
        ("313-555-0100 x5", "letters are not digits"),
        ("313-555-0100 #5", "not a phone number"),
        ("3135550100,,5", "not a phone number"),
        ("3.13555012E9", "scientific notation"),
        ("3,13555012E+09", "scientific notation"),
        ("313555010.0", "not a phone number$"),
        ("3135550100.5", "decimals"),
        ("313555.01", "decimals"),
        ("3.135550E9", "scientific notation"),
        ("3.1355501001E9", "scientific notation"),
        ("3.13555010011E+12", "scientific notation"),
        ("+3135550100", "after a plus comes the country code"),
        ("0000000000", "can exist"),
        ("1313555010", "can exist"),
        ("313-155-0100", "can exist"),
        ("+1 313 055 0100", "can exist"),
        ("\u202e0010-555-313", "not a phone number"),  # shown as 313-555-0100
        ("313-555-0100²", "not a phone number"),
        ("313-555-0100 313-555-0101", "not a phone number"),
        ("+19005550100", "premium"),
        ("11 313 555 0100", "too many digits"),
        ("+1 1 313 555 0100", "too many digits"),
    ],
)
def test_a_cell_that_is_no_number_never_becomes_somebody_elses(given: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        phone_numbers.textable(given, ["US"])


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("3135550100.0", "+13135550100"),
        ("13135550100.00", "+13135550100"),
        ("3135550100,0", "+13135550100"),
        ("+13135550100.0", "+13135550100"),
        ("3.135550101E9", "+13135550101"),
        ("1.3135550101E+10", "+13135550101"),
        ("4.915512345678E12", "+4915512345678"),
        ("+4,915512345678e+12", "+4915512345678"),
    ],
)
def test_a_number_that_is_held_as_a_float_is_one_where_every_digit_is_there(given: str, number: str) -> None:
    assert phone_numbers.textable(given, ["US", "DE"] if number[1] == "1" else ["DE"]) == number


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_digits_of_a_number_are_the_digits_of_the_cell(text: str) -> None:
    for cell in (text, f"313555{text}", f"+1313555{text}"):
        try:
            number = phone_numbers.textable(cell, ["US"])
        except ValueError:
            continue
        digits = "".join(str(unicodedata.decimal(character, "")) for character in phone_numbers.whole(cell.strip()))
        assert number == f"+1{digits.removeprefix('1')}"


def test_a_number_of_another_country_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"Netherlands \(NL\); allowed: US$"):
        phone_numbers.textable("+31612345678", ["US"])
    with pytest.raises(ValueError, match=r"Canada \(CA\); allowed: US$"):
        phone_numbers.textable("+16045550100", ["US"])
    assert phone_numbers.textable("+31612345678", ["US", "NL"]) == "+31612345678"
    assert phone_numbers.textable("06 12345678", ["NL"]) == "+31612345678"


def test_the_territories_of_the_united_states_are_allowed_with_them() -> None:
    assert phone_numbers.textable("787-555-0100", ["US"]) == "+17875550100"


def test_what_a_carrier_says_counts_from_any_country_and_any_number() -> None:
    """A STOP must be heard from a number that we would not text."""
    for number in ("+31612345678", "+13131550100", "+16045550100", "+19005550100"):
        assert phone_numbers.normalise(number) == number


@pytest.mark.parametrize("text", ["", " , ", "XX", "US;CA", "1"])
def test_a_list_of_regions_is_one_of_countries(text: str) -> None:
    with pytest.raises(ValueError, match="country codes"):
        phone_numbers.regions(text)


def test_regions_are_read_in_any_case() -> None:
    assert phone_numbers.regions(" us,CA ,us") == ("US", "CA")
