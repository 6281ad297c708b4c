"""What an error means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers import codes
from libs.common.carriers.codes import Kind, classify


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("21211", Kind.GIVE_UP),
        ("21214", Kind.GIVE_UP),
        ("21408", Kind.GIVE_UP),
        ("21606", Kind.STOP_BROADCAST),
        ("21608", Kind.GIVE_UP),
        ("21610", Kind.OPT_OUT),
        ("21611", Kind.SLOW_DOWN),
        ("21612", Kind.GIVE_UP),
        ("21614", Kind.GIVE_UP),
        ("21617", Kind.STOP_BROADCAST),
        ("30001", Kind.SLOW_DOWN),
        ("30002", Kind.STOP_BROADCAST),
        ("30003", Kind.RETRY),
        ("30004", Kind.GIVE_UP),
        ("30005", Kind.GIVE_UP),
        ("30006", Kind.GIVE_UP),
        ("30007", Kind.STOP_ABOVE_THRESHOLD),
        ("30008", Kind.RETRY),
        ("30022", Kind.SLOW_DOWN),
        ("30034", Kind.STOP_ABOVE_THRESHOLD),
        ("20003", Kind.STOP_BROADCAST),
        ("20429", Kind.SLOW_DOWN),
        ("63038", Kind.STOP_BROADCAST),
        ("http_400", Kind.GIVE_UP),
        ("http_401", Kind.STOP_BROADCAST),
        ("http_403", Kind.STOP_BROADCAST),
        ("http_429", Kind.SLOW_DOWN),
        ("http_500", Kind.UNCERTAIN),
        ("http_302", Kind.UNCERTAIN),
        ("not_started", Kind.RETRY),
        ("connect_failed", Kind.RETRY),
    ],
)
def test_each_code_is_of_its_kind(code: str, kind: Kind) -> None:
    assert classify(code).kind is kind


def test_a_number_is_a_code_as_well() -> None:
    assert classify(21610).kind is Kind.OPT_OUT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.GIVE_UP),
        (401, Kind.STOP_BROADCAST),
        (429, Kind.SLOW_DOWN),
        (500, Kind.UNCERTAIN),
        (None, Kind.GIVE_UP),
    ],
)
def test_a_code_that_is_not_in_the_table_goes_by_its_http_status(status: int | None, kind: Kind) -> None:
    assert classify("99999", http_status=status).kind is kind


def test_a_code_in_the_table_goes_before_its_http_status() -> None:
    assert classify("21408", http_status=403).kind is Kind.GIVE_UP


@pytest.mark.parametrize("code", codes.CODES)
def test_each_meaning_is_one_line(code: str) -> None:
    meaning = codes.CODES[code].text
    assert meaning == meaning.strip()
    assert "\n" not in meaning


@given(code=st.text() | st.integers(), status=st.none() | st.integers(100, 599))
def test_every_code_has_a_meaning(code: str | int, status: int | None) -> None:
    assert classify(code, http_status=status).text
