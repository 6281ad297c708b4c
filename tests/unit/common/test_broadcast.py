"""The rules of a broadcast: a history, one command, the events that follow."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import broadcast as rules
from libs.common import events as e
from libs.common.broadcast import Broadcast
from libs.common.errors import Conflict

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
SCHEDULED = e.BroadcastScheduled(
    broadcast_id=1, run_at=NOW, first_message="first", second_message="second", second_delay=600,
    segments=(e.Segment(segment_id=7, ratio=60), e.Segment(segment_id=8, ratio=40)), max_recipients=100,
    sending_number_id=3, recurring=True,
)  # fmt: skip
MADE = e.BroadcastMade(broadcast_id=1, recipients=2, seed=5, draws=(), next_broadcast_id=2)
FIRST_DONE = e.PhaseFinished(broadcast_id=1, is_second=False, second_due_at=NOW + timedelta(seconds=600), uncertain=0)
SECOND_STARTED = e.SecondPhaseStarted(broadcast_id=1)
SECOND_DONE = e.PhaseFinished(broadcast_id=1, is_second=True, second_due_at=None, uncertain=0)
LEDGER = e.Ledger(planned=0, accepted=0)
COMPLETED = e.BroadcastCompleted(broadcast_id=1, ledger=LEDGER, unsettled=0)
PAUSED = e.BroadcastPaused(broadcast_id=1)
RESUMED = e.BroadcastResumed(broadcast_id=1)
CANCELLED = e.BroadcastCancelled(broadcast_id=1, next_broadcast_id=None)
MISSED = e.BroadcastMissed(broadcast_id=1, reason="day_over", next_broadcast_id=2)

HISTORIES: dict[str, list[e.Event]] = {
    "scheduled": [SCHEDULED],
    "sending_first": [SCHEDULED, MADE],
    "waiting": [SCHEDULED, MADE, FIRST_DONE],
    "sending_second": [SCHEDULED, MADE, FIRST_DONE, SECOND_STARTED],
    "syncing": [SCHEDULED, MADE, FIRST_DONE, SECOND_STARTED, SECOND_DONE],
    "completed": [SCHEDULED, MADE, FIRST_DONE, SECOND_STARTED, SECOND_DONE, COMPLETED],
    "paused": [SCHEDULED, MADE, PAUSED],
    "cancelled": [SCHEDULED, MADE, CANCELLED],
    "missed": [SCHEDULED, MISSED],
}


def after(history: list[e.Event]) -> Broadcast:
    broadcast = rules.fold(history)
    assert broadcast is not None
    return broadcast


@pytest.mark.parametrize(("state", "history"), HISTORIES.items())
def test_each_history_leads_to_its_state(state: str, history: list[e.Event]) -> None:
    assert after(history).state == state


EDITED = e.BroadcastEdited(
    broadcast_id=1, run_at=NOW, first_message="other", second_message="second", second_delay=600,
    segments=SCHEDULED.segments, max_recipients=100, sending_number_id=3, recurring=True,
)  # fmt: skip
LEVERS: dict[str, Callable[[Broadcast], list[e.Event]]] = {
    "pause": rules.pause,
    "resume": rules.resume,
    "cancel": lambda broadcast: rules.cancel(broadcast, None),
    "edit": lambda broadcast: rules.edit(broadcast, EDITED),
    "miss": lambda broadcast: rules.miss(broadcast, "day_over", 2),
    "start second": lambda broadcast: rules.start_second_phase(broadcast, NOW + timedelta(seconds=600)),
    "finish": lambda broadcast: rules.finish_phase(broadcast, last_started_at=NOW, now=NOW, uncertain=0),
}
#: What each lever does in each state; what is not here is refused.
ALLOWED: dict[str, dict[str, list[e.Event]]] = {
    "pause": {"paused": [], "sending_first": [PAUSED], "waiting": [PAUSED], "sending_second": [PAUSED]},
    "resume": {"paused": [RESUMED], "sending_first": [], "waiting": [], "sending_second": [], "syncing": []},
    "cancel": {
        "cancelled": [],
        **{
            state: [CANCELLED]
            for state in ("scheduled", "missed", "paused", "sending_first", "waiting", "sending_second")
        },
    },
    "edit": {"scheduled": [EDITED]},
    "miss": {"scheduled": [MISSED]},
    "start second": {**{state: [] for state in HISTORIES}, "waiting": [SECOND_STARTED]},
    "finish": {"sending_first": [FIRST_DONE], "sending_second": [SECOND_DONE]},
}


@pytest.mark.parametrize("lever", LEVERS)
@pytest.mark.parametrize("state", HISTORIES)
def test_each_lever_does_in_each_state_what_the_table_says_or_is_refused(state: str, lever: str) -> None:
    broadcast = after(HISTORIES[state])
    if state in ALLOWED[lever]:
        assert LEVERS[lever](broadcast) == ALLOWED[lever][state]
    else:
        with pytest.raises(Conflict, match=state):
            LEVERS[lever](broadcast)


@pytest.mark.parametrize("state", ["sending_first", "waiting", "sending_second"])
def test_a_paused_broadcast_goes_on_where_it_stopped(state: str) -> None:
    """Fault 33: pause and resume sent again."""
    assert after([*HISTORIES[state], PAUSED, RESUMED]) == after(HISTORIES[state])


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("state", HISTORIES)
def test_only_a_scheduled_broadcast_is_made_and_a_missed_one_if_a_person_says_so(state: str, by_hand: bool) -> None:
    """Faults 8, 12: make and send-now both ran."""
    if state == "scheduled" or (state == "missed" and by_hand):
        rules.may_make(after(HISTORIES[state]), by_hand=by_hand)
    else:
        with pytest.raises(Conflict):
            rules.may_make(after(HISTORIES[state]), by_hand=by_hand)


def test_an_edit_that_changes_nothing_is_no_event() -> None:
    broadcast = after([SCHEDULED])
    assert rules.edit(broadcast, replace(EDITED, first_message="first")) == []


@pytest.mark.parametrize("name", rules.EDITABLE)
def test_every_field_that_may_be_edited_is(name: str) -> None:
    other = {
        "run_at": NOW + timedelta(days=1), "first_message": "x", "second_message": "x", "second_delay": 1,
        "segments": (), "max_recipients": 1, "sending_number_id": 9, "recurring": False,
    }[name]  # fmt: skip
    edited = replace(EDITED, **{"first_message": "first", name: other})  # type: ignore[arg-type]
    [event] = rules.edit(after([SCHEDULED]), edited)
    assert getattr(after([SCHEDULED, event]), name) == other


def test_a_missed_broadcast_that_is_sent_after_all_keeps_its_successor() -> None:
    """Fault 9."""
    made = replace(MADE, next_broadcast_id=None)
    assert after([SCHEDULED, MISSED, made]).next_broadcast_id == 2


@pytest.mark.parametrize(
    ("history", "needs"),
    [([SCHEDULED], True), ([replace(SCHEDULED, recurring=False)], False), ([SCHEDULED, MISSED], False)],
)
def test_a_recurring_broadcast_has_one_successor(history: list[e.Event], needs: bool) -> None:
    """Fault 8."""
    assert rules.needs_successor(after(history)) is needs


def test_a_successor_has_the_same_words_segments_and_settings_at_another_time() -> None:
    """Fault 9: the next broadcast was created without its segments."""
    tomorrow = NOW + timedelta(days=1)
    following = rules.successor(after([SCHEDULED]), broadcast_id=2, run_at=tomorrow)
    assert following == replace(SCHEDULED, broadcast_id=2, run_at=tomorrow, previous_id=1)


def test_follow_ups_are_due_after_the_last_first_message_not_after_the_phase() -> None:
    """Fault 14: the delay of the second message was a constant."""
    [event] = rules.finish_phase(
        after([replace(SCHEDULED, second_delay=77), MADE]),
        last_started_at=NOW, now=NOW + timedelta(minutes=9), uncertain=3,
    )  # fmt: skip
    assert event == replace(FIRST_DONE, second_due_at=NOW + timedelta(seconds=77), uncertain=3)


def test_where_no_first_message_left_follow_ups_are_due_from_now() -> None:
    [event] = rules.finish_phase(after([SCHEDULED, MADE]), last_started_at=None, now=NOW, uncertain=0)
    assert event == FIRST_DONE


@pytest.mark.parametrize(("early", "expected"), [(0.001, []), (0, [SECOND_STARTED]), (-99, [SECOND_STARTED])])
def test_a_step_that_comes_too_early_does_nothing(early: float, expected: list[e.Event]) -> None:
    due = NOW + timedelta(seconds=600)
    assert rules.start_second_phase(after(HISTORIES["waiting"]), due - timedelta(seconds=early)) == expected


def test_a_cancelled_broadcast_stays_cancelled_when_its_report_is_final() -> None:
    assert after([SCHEDULED, MADE, CANCELLED, COMPLETED]).state == "cancelled"


def test_what_happens_to_texts_does_not_change_the_broadcast() -> None:
    history = HISTORIES["sending_first"]
    started = e.TextRefused(broadcast_id=1, text=1, code="21211")
    assert after([*history, started]) == after(history)


def test_there_is_no_broadcast_before_it_was_scheduled() -> None:
    assert rules.fold([]) is None
    assert rules.fold([MADE, PAUSED]) is None


ratios = st.lists(st.floats(min_value=0.01, max_value=100), min_size=1, max_size=20).map(
    lambda given: [ratio * min(1.0, 100 / sum(given)) for ratio in given]
)


@given(st.integers(1, 2_000_000), ratios)
def test_quotas_never_exceed_the_most_recipients_and_each_is_within_one_of_exact(
    most: int, shares: list[float]
) -> None:
    """Fault 3: the later segment was short of its share."""
    quotas = rules.quotas(most, shares)
    assert len(quotas) == len(shares)
    assert sum(quotas) <= most
    for quota, ratio in zip(quotas, shares, strict=True):
        assert quota >= 0
        assert abs(quota - most * ratio / 100) <= 1 + 1e-6


@given(st.integers(1, 100_000), st.integers(1, 20))
def test_equal_shares_of_everything_use_everything(most: int, parts: int) -> None:
    quotas = rules.quotas(most, [100 / parts] * parts)
    assert sum(quotas) == most
    assert max(quotas) - min(quotas) <= 1


def test_three_thirds_of_a_hundred() -> None:
    assert rules.quotas(100, [100 / 3] * 3) == [33, 34, 33]
