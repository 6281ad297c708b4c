"""The judge sees what is too fast, in any stretch of time, and how long everything stood still in every phase."""

import pytest

from tests.chaos import pace_checks
from tests.chaos.judge import Step

MADE = Step(broadcast_id=1, type="BroadcastMade", at=0.0)
FIRST_OVER = Step(broadcast_id=1, type="PhaseFinished", at=10.0, due_at=13.0)
SECOND = Step(broadcast_id=1, type="SecondPhaseStarted", at=13.2)
SECOND_OVER = Step(broadcast_id=1, type="PhaseFinished", at=20.0, is_second=True)
LIFE = [MADE, FIRST_OVER, SECOND, SECOND_OVER]


def steady(rate: float, seconds: float) -> list[float]:
    return [place / rate for place in range(int(rate * seconds))]


def passed(at: float, type_: str = "StatusesSynced") -> Step:
    return Step(broadcast_id=1, type=type_, at=at)


def test_messages_at_their_pace_are_not_over_it() -> None:
    assert pace_checks.over_pace({"n": steady(10, 100)}, 10, late=0) == []


@pytest.mark.parametrize("seconds", [2.5, 10, 100])
def test_messages_at_1_3_times_their_pace_are_seen(seconds: float) -> None:
    """The rig's own allowance: 2 batches of 3 senders, each late with the messages of a tenth of a second."""
    assert pace_checks.over_pace({"n": steady(30, seconds)}, 30, late=18) == []
    assert len(pace_checks.over_pace({"n": steady(39, seconds)}, 30, late=18)) == 1


def test_a_rush_in_the_middle_of_a_slow_broadcast_is_seen() -> None:
    slow = [*steady(1, 100), *(100 + at for at in steady(39, 4)), *(104 + at for at in steady(1, 100))]
    assert len(pace_checks.over_pace({"n": slow}, 30, late=18)) == 1


def test_a_burst_is_seen_unless_it_can_be_lateness() -> None:
    burst = {"n": [*(float(i) for i in range(50)), *([50.0] * 20)]}
    assert len(pace_checks.over_pace(burst, 1, late=5)) == 1
    assert pace_checks.over_pace(burst, 1, late=20) == []


def test_each_number_has_a_pace_of_its_own() -> None:
    assert len(pace_checks.over_pace({"fast": steady(39, 10), "right": steady(30, 10)}, 30, late=18)) == 1


def test_recovery_lasts_from_the_fault_to_the_next_message() -> None:
    assert pace_checks.recovery([1.0], [0.5, 3.0], [(0.0, True)]) == [2.0]


def test_time_in_which_nothing_waits_is_no_recovery() -> None:
    assert pace_checks.recovery([1.0], [9.0], [(0.0, True), (2.0, False), (8.0, True)]) == [2.0]
    assert pace_checks.recovery([1.0], [9.0], [(0.0, False), (8.0, True)]) == []


def lateness(*faults: float, steps: list[Step]) -> dict[str, list[float]]:
    found = pace_checks.lateness(faults, steps, interval=1.0)
    return {state: [round(value, 2) for value in values] for state, values in found.items() if values}


def test_a_broadcast_that_waits_is_as_late_as_its_follow_ups() -> None:
    assert lateness(11.0, steps=LIFE) == {"waiting": [0.2]}
    assert lateness(13.1, steps=LIFE) == {"waiting": [0.1]}


def test_a_pass_over_the_log_meanwhile_is_not_what_a_broadcast_waits_for() -> None:
    assert lateness(11.0, steps=[*LIFE, passed(10.5), passed(12.0)]) == {"waiting": [0.2]}


def test_a_pause_of_staff_s_is_no_lateness() -> None:
    paused = [passed(11.0, "BroadcastPaused"), passed(30.0, "BroadcastResumed")]
    assert lateness(10.5, steps=[MADE, FIRST_OVER, *paused]) == {}
    assert lateness(12.0, steps=[MADE, FIRST_OVER, *paused]) == {}
    later = Step(broadcast_id=1, type="SecondPhaseStarted", at=33.0)
    assert lateness(31.0, steps=[MADE, FIRST_OVER, *paused, later]) == {"waiting": [2.0]}


def test_a_broadcast_that_syncs_is_as_late_as_its_next_passes() -> None:
    passes = [passed(21.0), passed(25.0), passed(26.0, "BroadcastCompleted")]
    assert lateness(20.5, steps=[*LIFE, *passes]) == {"syncing": [3.0]}
    assert lateness(21.5, steps=[*LIFE, *passes]) == {"syncing": [2.5]}
    assert lateness(25.5, steps=[*LIFE, *passes]) == {"syncing": [0.0]}


def test_what_is_over_is_not_late() -> None:
    assert lateness(27.0, steps=[*LIFE, passed(26.0, "BroadcastCompleted")]) == {}


def test_it_is_known_in_which_state_a_fault_met_a_broadcast() -> None:
    steps = [*LIFE, passed(14.0, "BroadcastPaused"), passed(15.0, "BroadcastResumed"), passed(26, "BroadcastCompleted")]
    met = pace_checks.struck([-1.0, 5.0, 11.0, 13.5, 14.5, 16.0, 21.0, 27.0], steps)
    assert met == {"sending_first": 1, "waiting": 1, "sending_second": 2, "paused": 1, "syncing": 1}
