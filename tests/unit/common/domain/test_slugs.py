"""What stands in addresses for broadcasts and segments."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import message_parts, slugs

names = st.dictionaries(st.integers(1, 10**6), st.text(max_size=80), max_size=8)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Eastside renters", "eastside-renters"),
        ("  Café & Bar: “Ñandú”!  ", "cafe-bar-nandu"),
        ("age ≥ 18", "age-18"),
        ("日本", ""),
        ("---", ""),
        ("x" * 100, "x" * slugs.LONGEST),
        ("a/b?c=d&e#f", "a-b-c-d-e-f"),
    ],
)
def test_a_slug_is_the_name_in_small_letters_digits_and_hyphens(name: str, slug: str) -> None:
    assert slugs.slug(name) == slug


@given(names)
def test_slugs_stand_in_an_address_as_they_are_all_differ_and_fit_any_encoding(given: dict[int, str]) -> None:
    found = slugs.of_segments(given)
    assert found.keys() == given.keys()
    assert len(set(found.values())) == len(found)
    for each in found.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each)
        assert quote(each, safe="") == each
        assert parse_qs(urlsplit(f"https://example.org/x?utm_content={each}").query) == {"utm_content": [each]}
        assert message_parts.measure(each).units == len(each)


def test_two_of_one_slug_have_the_ids_of_their_segments() -> None:
    assert slugs.of_segments({3: "East side", 4: "East-Side", 5: "West", 6: "日本"}) == {
        3: "east-side-3", 4: "east-side-4", 5: "west", 6: "segment-6",
    }  # fmt: skip
    assert len(set(slugs.of_segments({3: "a", 4: "A", 5: "a 3"}).values())) == 3


def test_a_broadcast_is_called_by_its_day_where_the_organisation_is_and_its_id() -> None:
    at = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
    assert slugs.of_broadcast(7, at, ZoneInfo("America/Detroit")) == "2026-11-27-7"
