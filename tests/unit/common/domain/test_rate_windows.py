"""The providers' limits and their headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import rate_windows
from libs.common.domain.rate_windows import RateLimit, Window
from libs.common.settings import CarrierSettings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def test_the_default_setting_is_what_missive_publishes() -> None:
    assert (
        rate_windows.parse_windows(CarrierSettings.model_fields["missive_windows"].default)
        == rate_windows.MISSIVE_WINDOWS
    )


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", ()),
        ("  ", ()),
        ("300/60", (Window(300, 60),)),
        (" 300/60 , 900/900 ", (Window(300, 60), Window(900, 900))),
        ("1/0.5", (Window(1, 0.5),)),
    ],
)
def test_windows_are_read(text: str, windows: tuple[Window, ...]) -> None:
    assert rate_windows.parse_windows(text) == windows


@pytest.mark.parametrize(
    "text", ["300", "300/", "/60", "0/60", "300/0", "-1/60", "1/-1", "1/inf", "1/nan", "a/b", "1/1,"]
)
def test_windows_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not requests/seconds"):
        rate_windows.parse_windows(text)


WINDOW = st.builds(Window, st.integers(1, 10**9), st.floats(0.001, 1e9) | st.integers(1, 10**6).map(float))


@given(windows=st.lists(WINDOW).map(tuple))
def test_windows_are_written_as_they_are_read(windows: tuple[Window, ...]) -> None:
    assert rate_windows.parse_windows(rate_windows.format_windows(windows)) == windows


def test_whole_seconds_are_written_without_a_fraction() -> None:
    assert rate_windows.format_windows(rate_windows.MISSIVE_WINDOWS) == "300/60,900/900"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("120", 120),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("0", rate_windows.SHORTEST_WAIT),
        ("-5", rate_windows.SHORTEST_WAIT),
        ("999999", rate_windows.LONGEST_WAIT),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Mon, 02 Mar 2026 12:01:30 -0000", 90),
        ("Mon, 02 Mar 2026 08:01:30 -0400", 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), rate_windows.SHORTEST_WAIT),
        ("Mon, 99 Mar 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(value: str | None, seconds: float | None) -> None:
    assert rate_windows.parse_retry_after(value, now=NOW) == seconds


@given(value=st.text())
def test_no_retry_after_can_do_harm(value: str) -> None:
    seconds = rate_windows.parse_retry_after(value, now=NOW)
    assert seconds is None or rate_windows.SHORTEST_WAIT <= seconds <= rate_windows.LONGEST_WAIT


@pytest.mark.parametrize(
    ("headers", "rate_limit"),
    [
        ({}, None),
        (
            {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH)},
            RateLimit(limit=300, remaining=0, resets_at=NOW),
        ),
        ({"X-RateLimit-Remaining": "7"}, RateLimit(remaining=7)),
        ({"X-RateLimit-Limit": "many", "X-RateLimit-Reset": "9" * 18}, RateLimit()),
    ],
)
def test_rate_limit_headers_are_read(headers: dict[str, str], rate_limit: RateLimit | None) -> None:
    assert rate_windows.parse_rate_limit(headers) == rate_limit


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30", "X-RateLimit-Reset": str(EPOCH + 60)}, 30),
        ({"X-RateLimit-Reset": str(EPOCH + 60)}, 60),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH + 60)}, 60),
        ({"X-RateLimit-Remaining": "4", "X-RateLimit-Reset": str(EPOCH + 60)}, None),
        ({"X-RateLimit-Remaining": "0"}, None),
    ],
)
def test_the_end_of_a_spent_window_stands_in_for_a_missing_retry_after(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert rate_windows.wait_asked_for(headers, now=NOW) == seconds


def test_the_last_request_of_a_window_says_when_the_next_begins() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(now.timestamp()) + 30)}
    assert rate_windows.wait_for_window(spent, now=now) == 30.0
    assert rate_windows.wait_for_window(spent | {"X-RateLimit-Remaining": "1"}, now=now) is None
    assert rate_windows.wait_for_window({}, now=now) is None
