"""How a number sends: what the settings say, unless it has something of its own; when, and how long a day is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from libs.common.domain.sending_numbers import CarrierName, SendingNumber, closed_hours, day_ends

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
