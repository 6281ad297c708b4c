"""The judge sees each kind of violation, and none where there is none."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from services.planner.phase import PATIENCE
from tests.chaos import judge
from tests.chaos.judge import Attempt, Excuses, Message, Sent

ANN, BEN, OURS = "+13135550001", "+13135550002", "+13135550100"

ANNS = Message(id=1, broadcast_id=1, is_second=False, number=ANN, from_number=OURS, body="first", state="accepted")
ANNS_SECOND = replace(ANNS, id=2, is_second=True, body="second", state="skipped", why="replied")
BENS = replace(ANNS, id=3, number=BEN)
ANN_REPLIED = Excuses(replied=frozenset({(1, ANN)}))


def sent(*messages: Message, at: float = 10.0) -> list[Sent]:
    return [Sent(to=message.number, from_number=message.from_number, body=message.body, at=at) for message in messages]


def skipped(why: str, message: Message = ANNS) -> Message:
    return replace(message, state="skipped", why=why)


def test_one_that_was_kept_and_skipped_later_reached_nobody_and_one_that_left_did() -> None:
    message = skipped("opted_out")
    excuses = Excuses(opted_out=frozenset({message.number}))
    [left] = sent(message)
    assert judge.lost([replace(left, left=False)], [message], excuses) == []
    [found] = judge.lost([left], [message], excuses)
    assert "not on record as accepted, but as ['skipped opted_out']" in found


def test_one_message_each_is_neither_twice_nor_lost() -> None:
    assert judge.twice(sent(ANNS, BENS), [ANNS, ANNS_SECOND, BENS]) == []
    assert judge.lost(sent(ANNS, BENS), [ANNS, ANNS_SECOND, BENS], ANN_REPLIED) == []


def test_a_message_that_the_carrier_took_twice_is_seen() -> None:
    assert len(judge.twice(sent(ANNS, ANNS, BENS), [ANNS, BENS])) == 1


def test_a_message_that_was_taken_twice_tells_when_it_was_tried_and_taken() -> None:
    [first] = sent(ANNS)
    attempts = [
        Attempt(message_id=ANNS.id, started_at=first.at - lag, committed_at=first.at - lag) for lag in (9.0, 1.5)
    ]
    [found] = judge.twice([first, replace(first, at=first.at - 2)], [ANNS], attempts)
    assert found.endswith("(attempts at 0.0, 7.5 s, taken at 7.0, 9.0 s)")


def test_a_message_taken_twice_of_which_nothing_is_on_record_is_seen() -> None:
    assert len(judge.twice(sent(ANNS, ANNS), [replace(ANNS, state="uncertain")])) == 1


def test_two_equal_messages_by_design_are_not_one_twice() -> None:
    equal = replace(ANNS_SECOND, body="first", state="accepted", why=None)
    assert judge.twice(sent(ANNS, equal), [ANNS, equal]) == []


def test_a_third_of_two_equal_messages_is_seen_and_so_is_a_second_for_one_that_was_skipped() -> None:
    equal = replace(ANNS_SECOND, body="first", state="accepted", why=None)
    assert len(judge.twice(sent(ANNS, ANNS, ANNS), [ANNS, equal])) == 1
    assert len(judge.twice(sent(ANNS, ANNS), [ANNS, skipped("replied", equal)])) == 1


def test_a_message_that_was_never_handed_over_reaches_nobody_twice() -> None:
    kept = replace(sent(ANNS)[0], left=False)
    assert judge.twice([kept, *sent(ANNS)], [ANNS]) == []
    assert judge.lost([kept], [ANNS], Excuses()) == [], "the carrier took it, and that is what was promised"


def test_what_is_on_record_as_not_handed_over_reached_nobody() -> None:
    kept = replace(ANNS, state="not_handed_over")
    [left] = sent(ANNS)
    assert judge.lost([replace(left, left=False)], [kept, skipped("not_handed_over", ANNS_SECOND)], Excuses()) == []
    [found] = judge.lost([left], [kept], Excuses())
    assert "was handed over, and is on record as not" in found
    assert len(judge.lost([], [kept], Excuses())) == 1, "the carrier has it, or nobody does"


def test_only_who_was_kept_from_two_messages_waits_for_a_person() -> None:
    [kept] = [replace(item, left=False) for item in sent(ANNS)]
    records = [replace(ANNS, state="not_handed_over"), skipped("held_for_review", replace(ANNS, id=9, body="third"))]
    other = replace(ANNS, id=8, body="other", state="not_handed_over")
    assert len(judge.lost([kept], records, Excuses())) == 1
    assert judge.lost([kept, replace(kept, body="other")], [*records, other], Excuses()) == []


@pytest.mark.parametrize("state", ["pending", "claimed", "started", "uncertain"])
def test_a_message_that_has_not_ended_is_lost(state: str) -> None:
    assert len(judge.lost([], [replace(ANNS, state=state)], Excuses())) == 1


@pytest.mark.parametrize(("shown_until", "findings"), [(9.0, 0), (10.0 + judge.TELLS_WITHIN, 1)])
def test_a_message_may_stay_uncertain_only_where_the_log_had_no_way_to_tell(shown_until: float, findings: int) -> None:
    uncertain = replace(ANNS, state="uncertain")
    excuses = Excuses(begun={1: 10.0}, shown_until=shown_until)
    assert len(judge.lost([], [uncertain], excuses)) == findings
    assert bool(judge.lost(sent(ANNS), [uncertain], excuses)) == bool(findings)
    assert judge.twice(sent(ANNS), [uncertain]) == []


def test_a_message_on_record_as_accepted_that_the_carrier_does_not_have_is_lost() -> None:
    assert len(judge.lost([], [ANNS], Excuses())) == 1


def test_a_message_that_the_carrier_has_and_the_record_denies_is_lost() -> None:
    refused = replace(ANNS, state="refused", why="http_400")
    assert len(judge.lost(sent(ANNS), [refused], Excuses(refused=frozenset({(ANN, "http_400")})))) == 1
    assert len(judge.lost(sent(ANNS), [skipped("opted_out")], Excuses(opted_out=frozenset({ANN})))) == 1


@pytest.mark.parametrize(
    "why",
    [
        "replied",
        "opted_out",
        "first_refused",
        "not_handed_over",
        "number_unreachable",
        "held_for_review",
        "phase_over",
        "cancelled",
        "quiet_hours",
        "",
    ],
)
def test_a_message_that_was_skipped_for_a_reason_that_is_not_so_is_lost(why: str) -> None:
    assert len(judge.lost(sent(ANNS), [ANNS, skipped(why, ANNS_SECOND)], Excuses())) == 1
    assert len(judge.lost([], [skipped(why)], Excuses())) == 1


def test_a_message_that_was_skipped_for_a_reason_that_is_so_is_not_lost() -> None:
    refused = replace(ANNS, state="refused", why="http_400")
    excuses = Excuses(refused=frozenset({(ANN, "http_400")}), opted_out=frozenset({BEN}))
    assert judge.lost([], [refused, skipped("first_refused", ANNS_SECOND)], excuses) == []
    assert judge.lost([], [skipped("opted_out", BENS)], excuses) == []
    dead = Excuses(unreachable=frozenset({ANN}))
    assert judge.lost(sent(ANNS), [ANNS, skipped("number_unreachable", ANNS_SECOND)], dead) == []
    assert len(judge.lost([], [skipped("number_unreachable")], dead)) == 1


def test_a_reply_is_no_reason_to_skip_a_first_message_nor_the_second_of_another_broadcast() -> None:
    assert len(judge.lost([], [skipped("replied")], ANN_REPLIED)) == 1
    assert len(judge.lost([], [replace(ANNS_SECOND, broadcast_id=2)], ANN_REPLIED)) == 1


@pytest.mark.parametrize("code", ["no_answer", "http_408", "http_500", "http_400"])
def test_a_message_that_was_refused_as_the_carrier_never_did_is_lost(code: str) -> None:
    assert len(judge.lost([], [replace(ANNS, state="refused", why=code)], Excuses())) == 1
    others = Excuses(refused=frozenset({(BEN, code)}))
    assert len(judge.lost([], [replace(ANNS, state="refused", why=code)], others)) == 1


@pytest.mark.parametrize(("waited", "findings"), [(PATIENCE.total_seconds(), 0), (PATIENCE.total_seconds() - 1, 1)])
def test_a_phase_may_end_without_a_message_only_after_it_has_waited_for_it(waited: float, findings: int) -> None:
    excuses = Excuses(begun={1: 10.0}, ended={(1, False): 10.0 + waited})
    assert len(judge.lost([], [skipped("phase_over")], excuses)) == findings


@pytest.mark.parametrize(
    ("ledger", "findings"),
    [
        ({"planned": 2, "accepted": 1, "refused": {}, "skipped": {"replied": 1}, "uncertain": 0}, 0),
        ({"planned": 2, "accepted": 1, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
        ({"planned": 2, "accepted": 2, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
        ({"planned": 1, "accepted": 1, "refused": {}, "skipped": {}, "uncertain": 0}, 1),
    ],
)
def test_a_closing_ledger_adds_up_to_what_the_tables_say(ledger: Mapping[str, object], findings: int) -> None:
    assert len(judge.ledger_faults({1: ledger}, [ANNS, ANNS_SECOND])) == findings


def test_a_broadcast_without_a_closing_ledger_is_seen() -> None:
    assert len(judge.ledger_faults({}, [ANNS])) == 1
