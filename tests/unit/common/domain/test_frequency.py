"""The frequency cap as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.frequency import MOST_DAYS, MOST_TEXTS, Cap, parse_cap


@given(st.integers(1, MOST_TEXTS), st.integers(1, MOST_DAYS))
def test_a_cap_is_read_as_it_is_written(texts: int, days: int) -> None:
    cap = Cap(texts=texts, days=days)
    assert parse_cap(str(cap)) == cap == parse_cap(f" {texts} / {days} ")


@pytest.mark.parametrize(
    "text", ["", "3", "3/", "/7", "0/7", "3/0", "-3/7", "3/7/1", "1001/7", "3/367", "three/7", "3/²"]
)
def test_what_is_no_cap_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TEXTS/DAYS"):
        parse_cap(text)
