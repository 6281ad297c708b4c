"""What a phase needs next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.states import SkipReason
from libs.common.settings import BATCHES_IN_FLIGHT
from services.planner.phase import (
    PATIENCE,
    FinishPhase,
    PhaseFacts,
    PlanBatches,
    SkipForQuietHours,
    SkipHeldBack,
    Wait,
    next_step,
)

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)
MUCH_LATER = NOW + timedelta(minutes=9)
NOTHING = PhaseFacts(
    batch_size=50,
    claimable=0,
    first_not_before=None,
    in_flight=False,
    held_back=False,
    uncertain=0,
    newest_uncertain=None,
    batches_due=(),
    has_batches=False,
    opens_at=None,
    too_late=(),
    given_up=(),
    held_until=None,
)
SOME = replace(NOTHING, claimable=3)


def step(facts: PhaseFacts) -> object:
    return next_step(facts, NOW)


@pytest.mark.parametrize(
    ("claimable", "batches"),
    [(1, 1), (50, 1), (51, BATCHES_IN_FLIGHT), (100, BATCHES_IN_FLIGHT), (1000, BATCHES_IN_FLIGHT)],
)
def test_as_many_batches_are_under_way_as_there_are_messages_for_up_to_the_most(claimable: int, batches: int) -> None:
    assert step(replace(NOTHING, claimable=claimable)) == PlanBatches(batches=batches, due=NOW)


def test_a_batch_for_messages_that_have_to_wait_is_due_when_the_first_may_go() -> None:
    assert step(replace(NOTHING, first_not_before=LATER)) == PlanBatches(batches=1, due=LATER)


def test_messages_that_may_go_do_not_wait_for_those_that_have_to() -> None:
    assert step(replace(SOME, first_not_before=LATER)) == PlanBatches(batches=1, due=NOW)


def test_nothing_leaves_before_the_quiet_hours_end() -> None:
    assert step(replace(NOTHING, opens_at=LATER)) == PlanBatches(batches=1, due=LATER)


def test_where_it_is_day_nobody_waits_for_those_who_sleep() -> None:
    assert step(replace(SOME, opens_at=LATER)) == PlanBatches(batches=1, due=NOW)
    both = replace(NOTHING, first_not_before=LATER, opens_at=MUCH_LATER)
    assert step(both) == PlanBatches(batches=1, due=LATER)


def test_a_batch_for_the_morning_does_not_stand_in_for_one_that_may_go_now() -> None:
    now = PlanBatches(batches=2, due=NOW)
    assert now.missing([]) == 2
    assert now.missing([NOW + timedelta(hours=9)]) == 2
    assert now.missing([NOW - timedelta(seconds=9), NOW + timedelta(hours=9)]) == 1
    assert PlanBatches(batches=1, due=NOW).missing([NOW + timedelta(milliseconds=3)]) == 0


def test_nothing_leaves_before_the_carrier_wants_more() -> None:
    assert step(replace(SOME, held_until=LATER)) == PlanBatches(batches=1, due=LATER)


@pytest.mark.parametrize(("opens", "held"), [(LATER, MUCH_LATER), (MUCH_LATER, LATER)])
def test_the_longest_wait_decides(opens: datetime, held: datetime) -> None:
    assert step(replace(NOTHING, opens_at=opens, held_until=held)) == PlanBatches(batches=1, due=MUCH_LATER)


def test_what_nobody_waits_for_is_skipped_where_it_is_too_late_and_nowhere_else() -> None:
    late = replace(SOME, too_late=("Europe/London",), given_up=("America/Detroit US",))
    assert step(late) == SkipForQuietHours(places=("Europe/London",), reason=SkipReason.TOO_LATE)
    past = replace(late, too_late=())
    assert step(past) == SkipForQuietHours(places=("America/Detroit US",), reason=SkipReason.QUIET_HOURS)


def test_a_phase_ends_when_nothing_is_left() -> None:
    assert step(NOTHING) == FinishPhase(uncertain=0)


@pytest.mark.parametrize("under_way", [{"in_flight": True}, {"has_batches": True}])
def test_a_phase_does_not_end_while_a_batch_is_under_way(under_way: dict[str, object]) -> None:
    """Fault 16: the phase "finished" without the rows that a crash left claimed."""
    assert step(replace(NOTHING, **under_way)) == Wait()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("since", "expected"), [(PATIENCE - timedelta(seconds=1), Wait()), (PATIENCE, FinishPhase(uncertain=2))]
)
def test_a_phase_waits_for_uncertain_messages_but_not_for_ever(since: timedelta, expected: object) -> None:
    """Fault 18: a phase never ended."""
    assert step(replace(NOTHING, uncertain=2, newest_uncertain=NOW - since)) == expected


def test_what_waits_for_a_person_is_skipped_before_the_phase_ends_and_not_while_others_go() -> None:
    held = replace(NOTHING, held_back=True)
    assert step(held) == SkipHeldBack()
    assert step(replace(held, claimable=1)) == PlanBatches(batches=1, due=NOW)
    assert step(replace(held, has_batches=True)) == Wait()


def test_uncertain_messages_do_not_hold_up_the_others() -> None:
    assert step(replace(SOME, uncertain=1, newest_uncertain=NOW)) == PlanBatches(batches=1, due=NOW)


times = st.none() | st.integers(-90, 90).map(lambda hours: NOW + timedelta(hours=hours))


@given(
    st.builds(
        PhaseFacts,
        batch_size=st.just(50),
        claimable=st.integers(0, 100),
        first_not_before=times,
        in_flight=st.booleans(),
        held_back=st.booleans(),
        uncertain=st.just(0),
        newest_uncertain=times,
        batches_due=st.lists(times.filter(lambda at: at is not None), max_size=3),
        has_batches=st.booleans(),
        opens_at=times,
        too_late=st.just(()),
        given_up=st.just(()),
        held_until=times,
    )
)
def test_no_batch_is_ever_due_in_the_past_and_no_phase_ends_with_messages_to_send(facts: PhaseFacts) -> None:
    match step(facts):
        case PlanBatches() as planned:
            assert planned.due >= NOW
            assert 1 <= planned.batches <= BATCHES_IN_FLIGHT
        case FinishPhase() | Wait():
            assert facts.claimable == 0
            assert facts.first_not_before is None
            assert facts.opens_at is None
        case _:
            pass
