"""The rules of a broadcast: a history, one command, the events that follow."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain import events as e
from libs.common.domain.broadcast import (
    EDITABLE,
    Broadcast,
    approve,
    call_back,
    cancel,
    edit,
    finish_phase,
    fold,
    may_make,
    miss,
    needs_successor,
    pause,
    resume,
    start_second_phase,
    stop_repeating,
    successor,
    unchanged,
)
from libs.common.domain.shares import quotas
from libs.common.domain.states import Late
from libs.common.errors import AlreadySent, Conflict, NotApproved

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
CALLED_BACK = e.BroadcastCalledBack(broadcast_id=1)
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
    broadcast = fold((event, NOW) for event in history)
    assert broadcast is not None
    return broadcast


def test_without_a_follow_up_nobody_waits_after_the_first_messages() -> None:
    sending = after([replace(SCHEDULED, second_message=None), MADE])
    [done] = finish_phase(sending, last_started_at=NOW, now=NOW, uncertain=0)
    assert done == replace(FIRST_DONE, second_due_at=None)
    syncing = after([replace(SCHEDULED, second_message=None), MADE, done])
    assert (syncing.state, syncing.sync_started_at, syncing.second_due_at) == ("syncing", NOW, None)
    assert start_second_phase(syncing, NOW + timedelta(days=1)) == []


def test_to_stop_repeating_voids_no_approval_and_is_too_late_once_it_was_made() -> None:
    week = ("10:00", "", "", "", "", "", "")
    history: list[e.Event] = [replace(SCHEDULED, week=week), e.BroadcastApproved(broadcast_id=1, by="user:2")]
    stopped = after([*history, *stop_repeating(after(history))])
    assert (stopped.recurring, stopped.week, stopped.approved_by) == (False, (), "user:2")
    assert stop_repeating(stopped) == []
    with pytest.raises(Conflict):
        stop_repeating(after([*history, MADE]))


def test_the_next_broadcast_of_one_without_a_follow_up_has_none() -> None:
    one = after([replace(SCHEDULED, second_message=None)])
    assert successor(one, broadcast_id=2, run_at=NOW).second_message is None


@pytest.mark.parametrize(("state", "history"), HISTORIES.items())
def test_each_history_leads_to_its_state(state: str, history: list[e.Event]) -> None:
    assert after(history).state == state


NOBODY = {"attempted": 0, "have_it": 0, "planned": 3}


@pytest.mark.parametrize("history", [[SCHEDULED, MADE], [SCHEDULED, MADE, PAUSED]])
def test_what_nobody_has_can_be_called_back_and_is_as_it_was(history: list[e.Event]) -> None:
    ahead = replace(SCHEDULED, run_at=NOW + timedelta(hours=1))
    assert call_back(after(history), **NOBODY) == [CALLED_BACK]
    made = replace(MADE, hold_until=NOW + timedelta(seconds=30))
    as_it_was = replace(after([ahead]), next_broadcast_id=2)  # its successor stays: there is one a working day
    assert after([ahead, made, *history[2:], CALLED_BACK]) == as_it_was


def test_what_is_called_back_after_its_time_did_not_go_out_and_can_be_sent() -> None:
    missed = after([SCHEDULED, MADE, CALLED_BACK])
    assert (missed.state, missed.missed_reason) == ("missed", "called_back")
    may_make(missed, by_hand=True)


def test_what_somebody_has_cannot_be_called_back() -> None:
    with pytest.raises(AlreadySent, match="1 have it, or may have, and 2 do not"):
        call_back(after([SCHEDULED, MADE]), attempted=2, have_it=1, planned=3)


@pytest.mark.parametrize("state", ["waiting", "sending_second", "syncing", "completed", "cancelled"])
def test_what_does_not_send_the_first_message_cannot_be_called_back(state: str) -> None:
    with pytest.raises(Conflict):
        call_back(after(HISTORIES[state]), **NOBODY)


@pytest.mark.parametrize("state", ["scheduled", "missed"])
def test_what_was_called_back_stays_so(state: str) -> None:
    assert call_back(after(HISTORIES[state]), **NOBODY) == []


EDITED = e.BroadcastEdited(
    broadcast_id=1, run_at=NOW, first_message="other", second_message="second", second_delay=600,
    segments=SCHEDULED.segments, max_recipients=100, sending_number_id=3, recurring=True,
)  # fmt: skip
ACTIONS: dict[str, Callable[[Broadcast], list[e.Event]]] = {
    "pause": pause,
    "resume": resume,
    "cancel": lambda broadcast: cancel(broadcast, None),
    "edit": lambda broadcast: edit(broadcast, EDITED),
    "miss": lambda broadcast: miss(broadcast, "day_over", 2),
    "start second": lambda broadcast: start_second_phase(broadcast, NOW + timedelta(seconds=600)),
    "finish": lambda broadcast: finish_phase(broadcast, last_started_at=NOW, now=NOW, uncertain=0),
}
#: What each action does in each state; what is not here is refused.
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


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", HISTORIES)
def test_each_action_does_in_each_state_what_the_table_says_or_is_refused(state: str, action: str) -> None:
    broadcast = after(HISTORIES[state])
    if state in ALLOWED[action]:
        assert ACTIONS[action](broadcast) == ALLOWED[action][state]
    else:
        with pytest.raises(Conflict, match=state):
            ACTIONS[action](broadcast)


@pytest.mark.parametrize("state", ["sending_first", "waiting", "sending_second"])
def test_a_paused_broadcast_goes_on_where_it_stopped(state: str) -> None:
    """Fault 33: pause and resume sent again."""
    assert after([*HISTORIES[state], PAUSED, RESUMED]) == after(HISTORIES[state])


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("state", HISTORIES)
def test_only_a_scheduled_broadcast_is_made_and_a_missed_one_if_a_person_says_so(state: str, by_hand: bool) -> None:
    """Faults 8, 12: make and send-now both ran."""
    if state == "scheduled" or (state == "missed" and by_hand):
        may_make(after(HISTORIES[state]), by_hand=by_hand)
    else:
        with pytest.raises(Conflict):
            may_make(after(HISTORIES[state]), by_hand=by_hand)


def test_a_draft_is_not_made_not_even_by_hand_and_keeps_its_audience() -> None:
    draft = after([replace(SCHEDULED, draft=True)])
    assert (draft.is_draft, draft.segments) == (True, SCHEDULED.segments)
    with pytest.raises(Conflict, match="a draft cannot be made"):
        may_make(draft, by_hand=True)
    [event] = edit(draft, replace(unchanged(draft), draft=False))
    may_make(after([replace(SCHEDULED, draft=True), event]), by_hand=True)


def test_what_a_restore_has_made_a_draft_again_is_none_once_it_is_made() -> None:
    assert not after([replace(SCHEDULED, draft=True), MADE]).draft


def test_an_edit_that_changes_nothing_is_no_event() -> None:
    broadcast = after([SCHEDULED])
    assert edit(broadcast, replace(EDITED, first_message="first")) == []


@pytest.mark.parametrize("name", EDITABLE)
def test_every_field_that_may_be_edited_is(name: str) -> None:
    other = {
        "run_at": NOW + timedelta(days=1), "first_message": "x", "second_message": "x", "second_delay": 1,
        "segments": (), "max_recipients": 1, "sending_number_id": 9, "recurring": False,
        "week": ("10:00", "", "", "", "", "", ""), "draft": True, "excluded": (9,), "fallback": 8, "cap_texts": 3,
        "cap_days": 7, "label": "Schools", "late": Late.SKIP, "pool": (4, 5),
    }[name]  # fmt: skip
    edited = replace(EDITED, **{"first_message": "first", name: other})  # type: ignore[arg-type]
    [event] = edit(after([SCHEDULED]), edited)
    assert getattr(after([SCHEDULED, event]), name) == other


def test_a_missed_broadcast_that_is_sent_after_all_keeps_its_successor() -> None:
    """Fault 9."""
    made = replace(MADE, next_broadcast_id=None)
    assert after([SCHEDULED, MISSED, made]).next_broadcast_id == 2


@pytest.mark.parametrize(
    ("history", "needs"),
    [
        ([SCHEDULED], True),
        ([replace(SCHEDULED, recurring=False)], False),
        ([SCHEDULED, MISSED], False),
        ([replace(SCHEDULED, draft=True)], False),
        ([replace(SCHEDULED, segments=())], False),
    ],
)
def test_a_recurring_broadcast_has_one_successor(history: list[e.Event], needs: bool) -> None:
    """Fault 8."""
    assert needs_successor(after(history)) is needs


def test_a_successor_has_the_same_words_segments_and_settings_at_another_time() -> None:
    """Fault 9: the next broadcast was created without its segments."""
    tomorrow = NOW + timedelta(days=1)
    following = successor(after([SCHEDULED]), broadcast_id=2, run_at=tomorrow)
    assert following == replace(SCHEDULED, broadcast_id=2, run_at=tomorrow, previous_id=1)


def test_follow_ups_are_due_after_the_last_first_message_not_after_the_phase() -> None:
    """Fault 14: the delay of the second message was a constant."""
    [event] = finish_phase(
        after([replace(SCHEDULED, second_delay=77), MADE]),
        last_started_at=NOW, now=NOW + timedelta(minutes=9), uncertain=3,
    )  # fmt: skip
    assert event == replace(FIRST_DONE, second_due_at=NOW + timedelta(seconds=77), uncertain=3)


def test_where_no_first_message_left_follow_ups_are_due_from_now() -> None:
    [event] = finish_phase(after([SCHEDULED, MADE]), last_started_at=None, now=NOW, uncertain=0)
    assert event == FIRST_DONE


@pytest.mark.parametrize(("early", "expected"), [(0.001, []), (0, [SECOND_STARTED]), (-99, [SECOND_STARTED])])
def test_a_step_that_comes_too_early_does_nothing(early: float, expected: list[e.Event]) -> None:
    due = NOW + timedelta(seconds=600)
    assert start_second_phase(after(HISTORIES["waiting"]), due - timedelta(seconds=early)) == expected


def test_a_cancelled_broadcast_stays_cancelled_when_its_report_is_final() -> None:
    assert after([SCHEDULED, MADE, CANCELLED, COMPLETED]).state == "cancelled"


def test_what_happens_to_messages_does_not_change_the_broadcast() -> None:
    history = HISTORIES["sending_first"]
    started = e.MessageRefused(broadcast_id=1, message_id=1, code="21211")
    assert after([*history, started]) == after(history)


def test_there_is_no_broadcast_before_it_was_scheduled() -> None:
    assert fold([]) is None
    assert fold([(MADE, NOW), (PAUSED, NOW)]) is None


ratios = st.lists(st.floats(min_value=0.01, max_value=100), min_size=1, max_size=20).map(
    lambda given: [ratio * min(1.0, 100 / sum(given)) for ratio in given]
)


@given(st.integers(1, 2_000_000), ratios)
def test_quotas_never_exceed_the_most_recipients_and_each_is_within_one_of_exact(
    most: int, shares: list[float]
) -> None:
    """Fault 3: the later segment was short of its share."""
    found = quotas(most, shares)
    assert len(found) == len(shares)
    assert sum(found) <= most
    for quota, ratio in zip(found, shares, strict=True):
        assert quota >= 0
        assert abs(quota - most * ratio / 100) <= 1 + 1e-6


@given(st.integers(1, 100_000), st.integers(1, 20))
def test_equal_shares_of_everything_use_everything(most: int, parts: int) -> None:
    found = quotas(most, [100 / parts] * parts)
    assert sum(found) == most
    assert max(found) - min(found) <= 1


def test_three_thirds_of_a_hundred() -> None:
    assert quotas(100, [100 / 3] * 3) == [33, 34, 33]


AUTHOR, OTHER = "user:1", "user:2"
WRITTEN = replace(SCHEDULED, author=AUTHOR)
APPROVED = e.BroadcastApproved(broadcast_id=1, by=OTHER)


@pytest.mark.parametrize("history", [[WRITTEN], [WRITTEN, MISSED]])
def test_somebody_who_did_not_write_a_broadcast_approves_it(history: list[e.Event]) -> None:
    assert approve(after(history), OTHER) == [APPROVED]
    assert after([*history, APPROVED]).approved_by == OTHER


def test_whoever_wrote_a_broadcast_or_changed_it_last_cannot_approve_it() -> None:
    with pytest.raises(Conflict):
        approve(after([WRITTEN]), AUTHOR)
    changed: list[e.Event] = [WRITTEN, replace(EDITED, author=OTHER)]
    with pytest.raises(Conflict):
        approve(after(changed), OTHER)
    assert approve(after(changed), AUTHOR) == [e.BroadcastApproved(broadcast_id=1, by=AUTHOR)]


def test_approving_twice_does_nothing() -> None:
    assert approve(after([WRITTEN, APPROVED]), "user:3") == []


def test_a_change_takes_the_approval_back() -> None:
    assert after([WRITTEN, APPROVED, replace(EDITED, author=OTHER)]).approved_by is None


def test_without_an_approval_that_is_needed_a_broadcast_is_not_made_not_even_by_hand() -> None:
    for by_hand in (True, False):
        with pytest.raises(NotApproved):
            may_make(after([WRITTEN]), by_hand=by_hand, needs_approval=True)
        may_make(after([WRITTEN, APPROVED]), by_hand=by_hand, needs_approval=True)
        may_make(after([WRITTEN]), by_hand=by_hand, needs_approval=False)


def test_the_next_broadcast_has_the_author_of_the_one_before_and_no_approval() -> None:
    following = successor(after([WRITTEN, APPROVED, MADE]), broadcast_id=2, run_at=NOW)
    assert following.author == AUTHOR
    assert after([following]).approved_by is None


@pytest.mark.parametrize("state", HISTORIES.keys() - {"scheduled", "missed"})
def test_what_has_gone_or_never_will_is_not_approved(state: str) -> None:
    with pytest.raises(Conflict):
        approve(after(HISTORIES[state]), OTHER)
