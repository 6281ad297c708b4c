"""How rates and windows become intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import pace
from services.sender.send import limits
from tests.support.world import settings


@given(st.floats(min_value=0.01, max_value=1000))
def test_a_number_never_exceeds_its_rate_and_uses_more_than_99_percent_of_it(rate: float) -> None:
    """Invariant 4."""
    used = 1 / pace.number_limit(1, rate).interval / rate
    assert 0.99 < used < 1


@given(st.integers(1, 10_000), st.floats(min_value=1, max_value=3600))
def test_a_window_never_holds_more_than_was_published(requests: int, seconds: float) -> None:
    """Invariant 4: slots at most this far apart, counted from any moment."""
    interval = pace.window_limit("missive", requests, seconds).interval
    assert 1 + math.floor(seconds / interval) <= requests + 1
    assert seconds / interval > 0.99 * requests


def test_numbers_have_limits_of_their_own_and_share_those_of_their_provider() -> None:
    one, other = (limits(settings(missive_windows="300/60,900/900"), number) for number in (1, 2))
    assert {limit.key for limit in one} & {limit.key for limit in other} == {
        "missive", "missive:300/60", "missive:900/900"
    }  # fmt: skip
    assert one[0].key != other[0].key


def test_missives_windows_are_missives() -> None:
    keys = [limit.key for limit in limits(settings(carrier="twilio", missive_windows="300/60"), 1)]
    assert keys == ["number:1", "twilio"]


@pytest.mark.parametrize(("rate", "slowest"), [(1.0, 1 / pace.UTILISATION), (50.0, 1 / pace.UTILISATION)])
def test_the_slowest_limit_decides(rate: float, slowest: float) -> None:
    found = limits(settings(send_rate=rate, missive_windows="300/60,900/900"), 1)
    assert max(limit.interval for limit in found) == pytest.approx(slowest)
