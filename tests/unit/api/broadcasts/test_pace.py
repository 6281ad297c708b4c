"""The pace of a report is that of the time in which messages might leave."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from libs.common.domain.quiet_hours import Rules
from libs.common.domain.states import Late
from services.api.broadcasts.pace import Course, course, pauses, quiet_spans, rate

NOON = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # in Detroit
DETROIT = ZoneInfo("America/Detroit")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ([], 0.1),
        ([(at(10), at(60))], 0.2),
        # Before, after, over the edges, one in another, two that overlap.
        ([(at(-50), at(-10)), (at(120), at(130))], 0.1),
        ([(at(-50), at(25)), (at(75), at(900))], 0.2),
        ([(at(10), at(60)), (at(20), at(30))], 0.2),
        ([(at(30), at(60)), (at(10), at(40))], 0.2),
        ([(at(-1), at(101))], None),
    ],
)
def test_the_rate_leaves_pauses_out(off: list[tuple[datetime, datetime]], expected: float | None) -> None:
    assert rate(11, NOON, at(100), off) == (None if expected is None else pytest.approx(expected))


def test_one_message_has_no_rate() -> None:
    assert rate(1, NOON, NOON, []) is None
    assert rate(0, None, None, []) is None


def test_pauses_come_from_the_history_and_one_may_go_on() -> None:
    changes = [("BroadcastPaused", at(1)), ("BroadcastResumed", at(2)), ("BroadcastPaused", at(5))]
    first, last = pauses(changes)
    assert first == (at(1), at(2))
    assert last[0] == at(5)
    assert last[1] > at(1e9)
    assert pauses([("BroadcastPaused", at(1)), ("BroadcastCancelled", at(4))]) == [(at(1), at(4))]
    assert pauses([("BroadcastCancelled", at(4))]) == []


def test_a_night_of_quiet_hours_is_no_slow_pace() -> None:
    evening, morning = datetime(2026, 3, 5, 1, 59, 50, tzinfo=UTC), datetime(2026, 3, 5, 13, 0, 10, tzinfo=UTC)
    spans = quiet_spans(evening, morning, (time(21), time(8)), DETROIT)
    assert rate(21, evening, morning, spans) == pytest.approx(1.0)
    assert quiet_spans(evening, morning, None, DETROIT) == []
    midday = quiet_spans(NOON, at(3600), (time(12), time(12, 30)), DETROIT)
    assert rate(1801, NOON, at(3600), midday) == pytest.approx(1.0)


QUIET = (time(21), time(8))
EVENING = datetime(2026, 3, 5, 1, 0, tzinfo=UTC)  # 20:00 in Detroit


def hours(begins: datetime, work: float, quiet: tuple[time, time] | None, made: float = 0) -> tuple[float, bool]:
    """Return after how many hours from `begins` the last leaves, and whether the rest is not sent."""
    rules = Rules(quiet, DETROIT.key)
    made_at = begins - timedelta(hours=made)
    found = course(begins, timedelta(hours=work), {"": 1}, rules, made_at=made_at, late=Late.WAIT)
    return (found.ends - begins) / timedelta(hours=1), found.is_cut_off


def test_what_remains_rests_in_the_night_that_it_runs_into() -> None:
    assert hours(EVENING, 0.5, QUIET) == (0.5, False)
    assert hours(EVENING, 3, QUIET) == (14, False)
    assert hours(EVENING + timedelta(hours=5), 10, QUIET) == (17, False)
    assert hours(EVENING, 3, None) == (3, False)


def test_nothing_is_left_for_a_night_that_ends_more_than_a_day_after_it_was_made() -> None:
    assert hours(EVENING, 14, QUIET) == (25, False)
    assert hours(EVENING, 14.5, QUIET) == (25, True)  # at 21:00; the next morning is 36 hours off
    assert hours(EVENING, 3, QUIET, made=13) == (1, True)  # made at 7:00: the next morning is 25 hours off
    assert hours(EVENING, 3, QUIET, made=12) == (14, False)
    assert hours(EVENING + timedelta(hours=5), 3, QUIET, made=18) == (0, True)  # it is night already


def to(people: dict[str, int], begins: datetime = NOON, late: Late = Late.WAIT) -> Course:
    """Return how an hour for each of so many people at each place goes out, from noon in Detroit on."""
    rules = Rules(QUIET, DETROIT.key)
    return course(begins, timedelta(hours=1), people, rules, made_at=begins, late=late)


def test_who_sleeps_is_sent_to_when_they_wake_and_the_others_meanwhile() -> None:
    # Noon in Detroit is seven in the morning in Honolulu.
    both = to({"Pacific/Honolulu": 2, "America/Detroit": 3})
    assert (both.ends, both.rests) == (NOON + timedelta(hours=5), [])
    alone = to({"Pacific/Honolulu": 2})
    assert (alone.ends, alone.rests) == (NOON + timedelta(hours=3), [(NOON, NOON + timedelta(hours=1))])


def test_where_the_evening_comes_first_they_come_first() -> None:
    # Five in the afternoon in London: four hours are left, and nine in Detroit.
    found = to({"America/Detroit": 5, "Europe/London": 4})
    assert (found.ends, found.is_cut_off) == (NOON + timedelta(hours=9), False)


def test_what_is_skipped_for_being_late_ends_nothing_else() -> None:
    late = NOON + timedelta(hours=5)  # ten in the evening in London
    found = to({"Europe/London": 2, "America/Detroit": 1}, late, Late.SKIP)
    assert (found.ends, found.cut_off_at) == (late + timedelta(hours=1), late)
    waits = to({"Europe/London": 2, "America/Detroit": 1}, late)
    assert waits.ends == datetime(2026, 3, 5, 10, 0, tzinfo=UTC)
    assert waits.cut_off_at is None
