"""The judge sees each kind of violation, and none where there is none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos import judge
from tests.chaos.judge import Attempt, Reply, Sent, Text

ANN, BEN = "+13135550001", "+13135550002"
GRACE = 4.0

ANNS = Text(id=1, broadcast_id=1, is_second=False, number=ANN, body="first", state="accepted")
ANNS_SECOND = replace(ANNS, id=2, is_second=True, body="second", state="skipped", why="replied")
BENS = replace(ANNS, id=3, number=BEN)
REPLY = Reply(broadcast_id=1, number=ANN, committed_at=20.0)


def sent(*texts: Text, at: float = 10.0) -> list[Sent]:
    return [Sent(to=text.number, body=text.body, at=at) for text in texts]


def lost(
    sent_: Sequence[Sent], *texts: Text, opted_out: Sequence[str] = (), replies: Sequence[Reply] = (REPLY,)
) -> Any:
    return judge.lost(sent_, texts, opted_out, replies)


def test_one_text_each_is_neither_twice_nor_lost() -> None:
    assert judge.twice(sent(ANNS, BENS), [ANNS, ANNS_SECOND, BENS]) == []
    assert lost(sent(ANNS, BENS), ANNS, ANNS_SECOND, BENS) == []


def test_a_text_that_the_carrier_took_twice_is_seen() -> None:
    assert len(judge.twice(sent(ANNS, ANNS, BENS), [ANNS, BENS])) == 1


def test_a_text_taken_twice_of_which_nothing_is_on_record_is_seen() -> None:
    assert len(judge.twice(sent(ANNS, ANNS), [replace(ANNS, state="uncertain")])) == 1


def test_two_equal_texts_by_design_are_not_one_twice() -> None:
    equal = replace(ANNS_SECOND, body="first", state="accepted", why=None)
    assert judge.twice(sent(ANNS, equal), [ANNS, equal]) == []


def test_a_third_of_two_equal_texts_is_seen_and_so_is_a_second_for_one_that_was_skipped() -> None:
    equal = replace(ANNS_SECOND, body="first", state="accepted", why=None)
    assert len(judge.twice(sent(ANNS, ANNS, ANNS), [ANNS, equal])) == 1
    assert len(judge.twice(sent(ANNS, ANNS), [ANNS, replace(equal, state="skipped", why="replied")])) == 1


def test_a_text_that_was_never_handed_over_reaches_nobody_twice() -> None:
    kept = replace(sent(ANNS)[0], left=False)
    assert judge.twice([kept, *sent(ANNS)], [ANNS]) == []


@pytest.mark.parametrize("state", ["pending", "claimed", "started", "uncertain"])
def test_a_text_that_has_not_ended_is_lost(state: str) -> None:
    assert len(lost([], replace(ANNS, state=state))) == 1


def test_a_text_on_record_as_accepted_that_the_carrier_does_not_have_is_lost() -> None:
    assert len(lost([], ANNS)) == 1


@pytest.mark.parametrize("state", ["refused", "skipped"])
def test_a_text_that_the_carrier_has_and_the_record_denies_is_lost(state: str) -> None:
    assert len(lost(sent(ANNS), replace(ANNS, state=state, why="phase_over"))) == 1


@pytest.mark.parametrize("why", ["replied", "opted_out", "first_refused"])
def test_a_text_that_was_skipped_for_a_reason_that_is_not_so_is_lost(why: str) -> None:
    assert len(lost(sent(ANNS), ANNS, replace(ANNS_SECOND, why=why), replies=())) == 1


def test_a_text_that_was_skipped_for_a_reason_that_is_so_is_not_lost() -> None:
    refused = replace(ANNS, state="refused", why="http_400")
    assert lost([], refused, replace(ANNS_SECOND, why="first_refused")) == []
    assert lost(sent(ANNS), ANNS, replace(ANNS_SECOND, why="opted_out"), opted_out=[ANN]) == []


def after_stop(*attempts: Attempt, at: float = 10.0, replies: Sequence[Reply] = (), **opt_outs: float) -> list[str]:
    numbers = {"ann": ANN, "ben": BEN}
    return judge.after_stop(
        attempts,
        sent(ANNS, at=at),
        [ANNS, ANNS_SECOND, BENS],
        {numbers[name]: when for name, when in opt_outs.items()},
        replies,
        grace=GRACE,
    )


def test_an_attempt_committed_after_the_opt_out_is_seen() -> None:
    assert len(after_stop(Attempt(text=1, committed_at=10.1), ann=10.0)) == 1


def test_an_attempt_committed_before_the_opt_out_may_still_arrive_in_time() -> None:
    assert after_stop(Attempt(text=1, committed_at=9.9), at=10.0 + GRACE, ann=10.0) == []
    assert len(after_stop(Attempt(text=1, committed_at=9.9), at=10.1 + GRACE, ann=10.0)) == 1


def test_somebody_else_s_opt_out_does_not_matter() -> None:
    assert after_stop(Attempt(text=1, committed_at=10.1), ben=10.0) == []


def test_a_second_text_started_after_the_reply_is_seen_and_a_first_one_is_not() -> None:
    assert len(after_stop(Attempt(text=2, committed_at=20.1), replies=[REPLY])) == 1
    assert after_stop(Attempt(text=1, committed_at=20.1), replies=[REPLY]) == []
    assert after_stop(Attempt(text=2, committed_at=20.1), replies=[replace(REPLY, broadcast_id=2)]) == []


def test_texts_at_their_pace_are_not_over_it() -> None:
    assert judge.over_pace({"n": [i / 10 for i in range(1000)]}, 10, jitter=0) == []


def test_texts_faster_than_their_pace_are_seen() -> None:
    assert len(judge.over_pace({"n": [i / 20 for i in range(1000)]}, 10, jitter=2)) == 3


def test_a_burst_is_seen_unless_it_can_be_lateness() -> None:
    burst = {"n": [*(float(i) for i in range(50)), *([50.0] * 20)]}
    assert len(judge.over_pace(burst, 1, jitter=5)) == 3
    assert judge.over_pace(burst, 1, jitter=20) == []


@pytest.mark.parametrize(
    ("ledger", "findings"),
    [
        ({"planned": 2, "accepted": 1, "refused": {}, "skipped": {"replied": 1}, "uncertain": 0}, 0),
        ({"planned": 2, "accepted": 1, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
        ({"planned": 2, "accepted": 2, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
        ({"planned": 1, "accepted": 1, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
    ],
)
def test_a_closing_ledger_adds_up_to_what_the_tables_say(ledger: dict[str, object], findings: int) -> None:
    assert len(judge.ledger_faults({1: ledger}, [ANNS, ANNS_SECOND])) == findings


def test_a_broadcast_without_a_closing_ledger_is_seen() -> None:
    assert len(judge.ledger_faults({}, [ANNS])) == 1


def test_recovery_lasts_from_the_fault_to_the_next_text() -> None:
    assert judge.recovery([1.0], [0.5, 3.0], [(0.0, True)]) == [2.0]


def test_time_in_which_nothing_waits_is_no_recovery() -> None:
    assert judge.recovery([1.0], [9.0], [(0.0, True), (2.0, False), (8.0, True)]) == [2.0]
    assert judge.recovery([1.0], [9.0], [(0.0, False), (8.0, True)]) == []
