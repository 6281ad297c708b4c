"""Times as people say them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.api.desk import times

DETROIT = ZoneInfo("America/Detroit")
#: Thursday, 14:00 in Detroit.
NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (NOW + timedelta(minutes=30), "today 14:30"),
        (NOW + timedelta(hours=12), "tomorrow 02:00"),
        (NOW - timedelta(hours=15), "yesterday 23:00"),
        (NOW + timedelta(days=4, minutes=30), "Mon 30 Nov, 14:30"),
        (NOW + timedelta(days=60), "Mon 25 Jan 2027, 14:00"),
    ],
)
def test_a_moment_is_said_by_its_day_in_the_organisations_zone(moment: datetime, said: str) -> None:
    assert times.short(moment, NOW, DETROIT) == said


def test_the_exact_time_names_its_zone_and_machines_get_its_offset() -> None:
    said = times.spoken(NOW, NOW, DETROIT)
    assert said.exact == "Thursday, 26 November 2026, 14:00:00 Eastern Standard Time"
    assert said.machine == "2026-11-26T14:00:00-05:00"


def test_a_clock_change_does_not_move_a_time_to_another_day() -> None:
    before_the_change = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30, the first of two
    assert times.short(before_the_change, before_the_change, DETROIT) == "today 01:30"
    assert times.short(before_the_change + timedelta(hours=1), before_the_change, DETROIT) == "today 01:30"
