"""What an error means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers import error_codes
from libs.common.carriers.error_codes import ErrorAction, classify


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("21211", ErrorAction.GIVE_UP),
        ("21214", ErrorAction.GIVE_UP),
        ("21408", ErrorAction.GIVE_UP),
        ("21606", ErrorAction.STOP_BROADCAST),
        ("21608", ErrorAction.GIVE_UP),
        ("21610", ErrorAction.OPT_OUT),
        ("21611", ErrorAction.SLOW_DOWN),
        ("21612", ErrorAction.GIVE_UP),
        ("21614", ErrorAction.GIVE_UP),
        ("21617", ErrorAction.STOP_BROADCAST),
        ("30001", ErrorAction.SLOW_DOWN),
        ("30002", ErrorAction.STOP_BROADCAST),
        ("30003", ErrorAction.RETRY),
        ("30004", ErrorAction.GIVE_UP),
        ("30005", ErrorAction.GIVE_UP),
        ("30006", ErrorAction.GIVE_UP),
        ("30007", ErrorAction.STOP_ABOVE_THRESHOLD),
        ("30008", ErrorAction.RETRY),
        ("30022", ErrorAction.SLOW_DOWN),
        ("30034", ErrorAction.STOP_ABOVE_THRESHOLD),
        ("20003", ErrorAction.STOP_BROADCAST),
        ("20429", ErrorAction.SLOW_DOWN),
        ("63038", ErrorAction.STOP_BROADCAST),
        ("http_400", ErrorAction.GIVE_UP),
        ("http_401", ErrorAction.STOP_BROADCAST),
        ("http_403", ErrorAction.STOP_BROADCAST),
        ("http_429", ErrorAction.SLOW_DOWN),
        ("http_500", ErrorAction.UNCERTAIN),
        ("http_302", ErrorAction.UNCERTAIN),
        ("not_started", ErrorAction.RETRY),
        ("connect_failed", ErrorAction.WAIT),
        ("gateway_400", ErrorAction.WAIT),
        ("gateway_502", ErrorAction.WAIT),
    ],
)
def test_each_code_is_of_its_kind(code: str, kind: ErrorAction) -> None:
    assert classify(code).kind is kind


def test_a_number_is_a_code_as_well() -> None:
    assert classify(21610).kind is ErrorAction.OPT_OUT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorAction.GIVE_UP),
        (401, ErrorAction.STOP_BROADCAST),
        (429, ErrorAction.SLOW_DOWN),
        (500, ErrorAction.UNCERTAIN),
        (None, ErrorAction.GIVE_UP),
    ],
)
def test_a_code_that_is_not_in_the_table_goes_by_its_http_status(status: int | None, kind: ErrorAction) -> None:
    assert classify("99999", http_status=status).kind is kind


def test_a_code_in_the_table_goes_before_its_http_status() -> None:
    assert classify("21408", http_status=403).kind is ErrorAction.GIVE_UP


@pytest.mark.parametrize("code", error_codes.CODES)
def test_each_meaning_is_one_line(code: str) -> None:
    meaning = error_codes.CODES[code].text
    assert meaning == meaning.strip()
    assert "\n" not in meaning


@given(code=st.text() | st.integers(), status=st.none() | st.integers(100, 599))
def test_every_code_has_a_meaning(code: str | int, status: int | None) -> None:
    assert classify(code, http_status=status).text
