"""How a number sends: what the settings say, unless it has something of its own; when, and how long a day is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.sending_numbers import CarrierName, SendingNumber, closed_hours, day_ends, quotas

DETROIT = ZoneInfo("America/Detroit")
FROM = "+13135550100"
#: Ten in the morning in Detroit, in winter.
NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def test_a_number_of_which_nothing_is_kept_sends_as_the_settings_say() -> None:
    number = SendingNumber(1, FROM)
    assert number.carrier_or("twilio") is CarrierName.TWILIO
    assert (number.rate_or(3.5), number.pace_or(3.5)) == (3.5, 3.5)
    assert number.closed_until(NOW, DETROIT) is None


def test_what_is_kept_of_a_number_comes_before_the_settings() -> None:
    number = SendingNumber(1, FROM, carrier=CarrierName.MISSIVE, rate=2.0, minute_limit=60)
    assert number.carrier_or("twilio") is CarrierName.MISSIVE
    assert (number.rate_or(3.5), number.pace_or(3.5)) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("hours", "opens"),
    [
        ("09:00-20:00", None),
        ("10:00-20:00", None),
        ("10:01-20:00", timedelta(minutes=1)),
        ("18:00-10:00", timedelta(hours=8)),
        ("18:00-10:01", None),  # over midnight
    ],
)
def test_a_number_sends_in_its_hours_by_the_organisations_clocks(hours: str, opens: timedelta | None) -> None:
    until = SendingNumber(1, FROM, hours=hours).closed_until(NOW, DETROIT)
    assert until == (None if opens is None else NOW + opens)


def test_hours_that_end_where_they_begin_are_refused() -> None:
    with pytest.raises(ValueError, match="the same"):
        closed_hours("09:00-09:00")


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (NOW, datetime(2026, 3, 5, 5, 0, tzinfo=UTC)),
        (datetime(2026, 3, 5, 4, 59, 59, tzinfo=UTC), datetime(2026, 3, 5, 5, 0, tzinfo=UTC)),
        (datetime(2026, 3, 5, 5, 0, tzinfo=UTC), datetime(2026, 3, 6, 5, 0, tzinfo=UTC)),
        # The day on which summer time begins has 23 hours.
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), datetime(2026, 3, 9, 4, 0, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_midnight_of_the_organisations_zone(now: datetime, ends: datetime) -> None:
    assert day_ends(now, DETROIT) == ends


NUMBERS = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=1e6), st.one_of(st.just(float("inf")), st.integers(0, 5000))),
    min_size=1,
    max_size=6,
)


@given(st.integers(0, 20_000), NUMBERS)
def test_all_people_are_dealt_out_and_no_number_beyond_its_room_while_others_have_some(
    count: int, numbers: list[tuple[float, float]]
) -> None:
    weights, room = [each for each, _ in numbers], [each for _, each in numbers]
    dealt = quotas(count, weights, room)
    assert sum(dealt) == count
    assert all(each >= 0 for each in dealt)
    if count <= sum(room):
        assert all(each <= most + 1 for each, most in zip(dealt, room, strict=True))


@given(st.integers(0, 20_000), st.lists(st.floats(min_value=0.01, max_value=100), min_size=1, max_size=6))
def test_where_there_is_room_shares_are_by_weight(count: int, weights: list[float]) -> None:
    dealt = quotas(count, weights, [float("inf")] * len(weights))
    for each, weight in zip(dealt, weights, strict=True):
        assert abs(each - count * weight / sum(weights)) <= 1


def test_what_one_number_has_no_room_for_goes_by_another_and_else_waits_by_weight() -> None:
    assert quotas(300, [1, 1], [100, float("inf")]) == [100, 200]
    assert quotas(300, [2, 1], [100, 50]) == [200, 100]
    assert quotas(3, [1, 1, 1], [0, 0, 5]) == [0, 0, 3]
