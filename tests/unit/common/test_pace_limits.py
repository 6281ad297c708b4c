"""How rates and windows become intervals."""

from bisect import bisect_left
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.rate_windows import MISSIVE_WINDOWS, Window
from libs.common.domain.sending_numbers import CarrierName, SendingNumber
from libs.common.rate_limits.rate import (
    BLOCK_SECONDS,
    LATENESS,
    TRANSIT,
    UTILISATION,
    limits,
    number_limit,
    window_limit,
)
from tests.support import world
from tests.support.world import FROM

OURS = SendingNumber(1, FROM)


@given(st.floats(min_value=0.01, max_value=1000))
def test_a_number_never_exceeds_its_rate_and_uses_more_than_99_percent_of_it(rate: float) -> None:
    """Invariant 4."""
    used = 1 / number_limit(1, rate).interval / rate
    assert 0.99 < used < 1


@settings(max_examples=200)
@given(st.integers(1, 400), st.floats(min_value=1, max_value=900), st.integers(0, 2**32))
def test_no_window_holds_more_than_was_published_however_late_each_request_is(
    requests: int, seconds: float, seed: int
) -> None:
    """Fault: 96 requests in a window of 95 per 10 s. The slots were only as far apart as if nobody came late."""
    limit = window_limit("missive", requests, seconds)
    longest = LATENESS + BLOCK_SECONDS + TRANSIT
    # The worst comes when a window begins with requests that are as late as can be and ends with punctual ones.
    random = Random(seed)
    turn = random.randrange(2 * requests)
    late = [
        longest if slot < turn else random.choice([0.0, random.uniform(0, longest)]) for slot in range(3 * requests)
    ]
    arrivals = sorted(slot * limit.interval + late[slot] for slot in range(3 * requests))
    for first, begins in enumerate(arrivals):
        # A window that ends with the next one's very beginning holds it no more, give or take a rounding.
        assert bisect_left(arrivals, begins + seconds - 1e-6) - first <= requests


@pytest.mark.parametrize("window", MISSIVE_WINDOWS, ids=str)
def test_at_least_99_percent_of_missives_windows_are_used(window: Window) -> None:
    limit = window_limit("missive", window.requests, window.seconds)
    assert window.seconds / limit.interval >= 0.99 * window.requests


@given(st.integers(1, 10_000), st.floats(min_value=1, max_value=3600))
def test_a_message_uses_its_share_of_a_window(requests: int, seconds: float) -> None:
    limit = window_limit("missive", requests, seconds)
    assert limit.share == seconds / requests <= limit.interval


def test_numbers_have_limits_of_their_own_and_share_those_of_their_provider() -> None:
    one, other = (
        limits(world.make_settings(missive_windows="300/60,900/900"), SendingNumber(number, FROM)) for number in (1, 2)
    )
    assert {limit.key for limit in one} & {limit.key for limit in other} == {
        "missive", "missive:300/60", "missive:900/900"
    }  # fmt: skip
    assert one[0].key != other[0].key


def test_missives_windows_are_missives() -> None:
    keys = [limit.key for limit in limits(world.make_settings(carrier="twilio", missive_windows="300/60"), OURS)]
    assert keys == ["number:1", "twilio"]


@pytest.mark.parametrize(("rate", "slowest"), [(1.0, 1 / UTILISATION), (50.0, 1 / UTILISATION)])
def test_the_slowest_limit_decides(rate: float, slowest: float) -> None:
    found = limits(world.make_settings(send_rate=rate, missive_windows="300/60,900/900"), OURS)
    assert max(limit.interval for limit in found) == pytest.approx(slowest)


def test_a_number_of_its_own_carrier_keeps_that_ones_windows_and_not_the_settings_carriers() -> None:
    settings = world.make_settings(carrier="twilio", missive_windows="300/60")
    found = limits(settings, SendingNumber(1, FROM, carrier=CarrierName.MISSIVE))
    assert [limit.key for limit in found] == ["number:1", "missive", "missive:300/60"]


@given(st.integers(1, 1000), st.floats(min_value=0.1, max_value=100))
def test_a_number_starts_no_more_in_a_minute_than_its_campaign_may(a_minute: int, rate: float) -> None:
    found = limits(world.make_settings(carrier="twilio"), SendingNumber(1, FROM, rate=rate, minute_limit=a_minute))
    slowest = max(limit.interval for limit in found)
    assert 60 / slowest <= min(a_minute, rate * 60)
    assert 60 / slowest >= min(a_minute, rate * 60) * 0.99 * 60 / 60.55
