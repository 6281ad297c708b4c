"""What the doctor prints of the calendar: it is to be seen when messages leave, and when not."""

from datetime import UTC, datetime

from libs.console import doctor
from tests.support import world

NOW = datetime(2026, 11, 26, 1, 30, tzinfo=UTC)


def said(**fields: str) -> str:
    return "\n".join(words for _, _, words in doctor.calendar(world.make_settings(**fields), NOW))


def test_quiet_hours_that_are_off_are_seen_to_be_off() -> None:
    assert "quiet hours OFF" in said(quiet_hours="off")
    assert "quiet hours OFF" in said(quiet_hours="")
    assert "nothing is sent from 21:00 to 08:00" in said(quiet_hours="21:00-08:00")


def test_the_time_is_the_organisations() -> None:
    assert "America/Detroit, now Wed 20:30" in said(timezone="America/Detroit")


def test_the_next_five_holidays_are_printed() -> None:
    told = said(holidays="US").splitlines()[1]
    assert told.startswith("US; Thu 26 Nov 2026 (Thanksgiving Day), Fri 25 Dec 2026 (Christmas Day), Fri 01 Jan 2027 (")
    assert told.count("(") == 5
    assert "Election" not in said(holidays="US", timezone="UTC")
    assert "a broadcast goes out on every weekday" in said(holidays="none")
