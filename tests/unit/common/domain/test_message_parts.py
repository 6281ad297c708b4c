"""In how many parts a message leaves, against an independent calculator and by rules of our own."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import message_parts
from libs.common.domain.message_parts import BASIC, EXTENSION, REPLACEMENTS, Encoding, Price, measure, replaced

#: What another calculator said; the file says which, and how it was asked.
GOLDEN = json.loads((Path(__file__).parent / "message_parts_golden.json").read_text(encoding="utf-8"))["rows"]

texts = st.text(max_size=400)
gsm_texts = st.text(alphabet=sorted(BASIC | EXTENSION), max_size=700)


@pytest.mark.parametrize(("text", "encoding", "units", "parts"), GOLDEN)
def test_an_independent_calculator_says_the_same(text: str, encoding: str, units: int, parts: int) -> None:
    found = measure(text)
    assert (found.encoding, found.units, found.parts) == (encoding, units, parts)


@pytest.mark.parametrize(
    ("text", "encoding", "parts", "room"),
    [
        ("a" * 160, Encoding.GSM_7, 1, 0),
        ("a" * 161, Encoding.GSM_7, 2, 145),
        ("á" * 70, Encoding.UCS_2, 1, 0),
        ("á" * 71, Encoding.UCS_2, 2, 63),
        ("", Encoding.GSM_7, 1, 160),
    ],
)
def test_a_part_has_less_room_where_there_are_more(text: str, encoding: Encoding, parts: int, room: int) -> None:
    found = measure(text)
    assert (found.encoding, found.parts, found.room) == (encoding, parts, room)


def test_a_character_of_the_extension_table_is_not_cut_by_the_end_of_a_part() -> None:
    assert measure("a" * 152 + "€" + "b" * 152).parts == 3
    assert measure("a" * 151 + "€" + "b" * 153).parts == 2


def test_an_emoji_that_is_joined_of_several_is_not_cut_by_the_end_of_a_part() -> None:
    family = "👨‍👩‍👧‍👦"
    assert message_parts.utf16_units(family) == 11
    assert measure("a" * 60 + family + "b" * 60).parts == 3


def test_the_characters_that_cost_are_named_with_what_may_replace_them() -> None:
    costly = measure("It’s “free” — ¿vienes? ’🎉").costly
    assert [(each.character, each.times, each.replacement) for each in costly] == [
        ("’", 2, "'"), ("“", 1, '"'), ("”", 1, '"'), ("—", 1, "-"), ("🎉", 1, None),
    ]  # fmt: skip
    assert costly[0].name == "right single quotation mark"


def test_a_letter_that_no_other_says_stays_as_it_is() -> None:
    assert replaced("mañana – más…") == "mañana - más..."


@pytest.mark.parametrize("character", REPLACEMENTS)
def test_a_replacement_is_for_what_is_not_in_gsm_7_and_is_in_it_itself(character: str) -> None:
    assert measure(character).encoding is Encoding.UCS_2
    assert measure(replaced(character)).encoding is Encoding.GSM_7


@given(gsm_texts)
def test_a_text_of_gsm_7_costs_two_units_a_character_of_its_extension_and_one_of_another(text: str) -> None:
    found = measure(text)
    assert found.encoding is Encoding.GSM_7
    assert found.units == sum(2 if character in EXTENSION else 1 for character in text)
    assert found.parts >= (1 if found.units <= 160 else -(-found.units // 153))


@given(texts)
def test_units_fit_into_the_parts_and_no_part_is_empty(text: str) -> None:
    found = measure(text)
    alone, each = message_parts.ROOM[found.encoding]
    assert 0 <= found.room <= alone
    assert found.units <= (alone if found.parts == 1 else found.parts * each)


@given(texts, texts)
def test_more_text_never_costs_less(text: str, more: str) -> None:
    assert measure(text + more).parts >= measure(text).parts


@given(texts)
def test_what_costs_is_what_is_not_in_gsm_7(text: str) -> None:
    found = measure(text)
    outside = {character for character in text if character not in BASIC | EXTENSION}
    assert {each.character for each in found.costly} == outside
    assert (found.encoding is Encoding.UCS_2) == bool(outside)


@given(texts | gsm_texts)
def test_parts_alone_are_those_of_the_whole_measure(text: str) -> None:
    assert message_parts.parts_of(text) == measure(text).parts


@given(texts)
def test_utf_16_counts_as_its_codec_does(text: str) -> None:
    assert message_parts.utf16_units(text) == len(text.encode("utf-16-le")) // 2


def test_a_price_is_an_amount_and_a_currency() -> None:
    price = message_parts.parse_price(" 0.0083 USD ")
    assert price == Price(amount=Decimal("0.0083"), currency="USD")
    assert message_parts.cost(price, 2, 1000) == Decimal("16.6")
    assert message_parts.parse_price("") is None


@pytest.mark.parametrize("text", ["0.0083", "USD", "-1 USD", "1,5 EUR", "1 dollar", "1 usd", "1 U$D", "¹ USD", "."])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give the"):
        message_parts.parse_price(text)
