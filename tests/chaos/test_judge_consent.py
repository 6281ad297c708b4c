"""The judge knows from the carrier's ledger who said no and what they answered, whatever our own tables say."""

from dataclasses import replace

import pytest

from tests.chaos import consent
from tests.chaos.consent import Inbound, No
from tests.chaos.judge import Attempt, Message, Reply, Sent
from tests.chaos.test_judge import ANN, ANNS, ANNS_SECOND, BEN, BENS, OURS

OUR_OTHER = "+13135550101"
GRACE = 4.0
COMMIT = 5.0  # seconds that a stalled database takes for the commit of an attempt

#: A broadcast from each of our numbers to Ann, and a later one from the first number.
OTHERS = replace(ANNS, id=4, broadcast_id=2, from_number=OUR_OTHER, body="other")
LATER = replace(ANNS, id=5, broadcast_id=3, body="later")
MESSAGES = [ANNS, ANNS_SECOND, BENS, OTHERS, LATER]


def reached(message: Message, *, at: float) -> Sent:
    return Sent(to=message.number, from_number=message.from_number, body=message.body, at=at - 1, reached_at=at)


def wrote(body: str = "Hi", *, at: float = 20.0, taken: float | None = 21.0, to: str = OURS) -> Inbound:
    return Inbound(sid=f"in {at}", number=ANN, to=to, body=body, at=at, acknowledged_at=taken)


def started(message_id: int, committed_at: float) -> Attempt:
    return Attempt(message_id=message_id, started_at=committed_at, committed_at=committed_at)


def after_no(*attempts: Attempt, at: float = 10.0, no: No | None = None, replied: float | None = None) -> list[str]:
    held = {} if replied is None else {(1, ANN): replied}
    sent = [Sent(to=ANN, from_number=OURS, body="first", at=at)]
    return consent.after_no(attempts, sent, MESSAGES, [] if no is None else [no], held, grace=GRACE)


def test_an_attempt_committed_after_the_opt_out_is_seen() -> None:
    assert len(after_no(started(1, 10.1), no=No(number=ANN, since=10.0))) == 1


def test_an_attempt_committed_before_the_opt_out_may_still_arrive_in_time() -> None:
    no = No(number=ANN, since=10.0)
    assert after_no(started(1, 9.9), at=10.0 + GRACE, no=no) == []
    assert len(after_no(started(1, 9.9), at=10.1 + GRACE, no=no)) == 1


def test_somebody_else_s_opt_out_does_not_matter() -> None:
    assert after_no(started(1, 10.1), no=No(number=BEN, since=10.0)) == []


def test_who_has_said_start_again_may_be_texted() -> None:
    no = No(number=ANN, since=10.0, until=11.0)
    assert after_no(started(1, 11.1), at=30.0, no=no) == []


def test_a_second_message_started_after_the_reply_is_seen_and_a_first_one_is_not() -> None:
    assert len(after_no(started(2, 20.1), replied=20.0)) == 1
    assert after_no(started(1, 20.1), replied=20.0) == []
    assert after_no(started(4, 20.1), replied=20.0) == []


@pytest.mark.parametrize("body", ["STOP", "stop", " stop ", "Stop.", "STOP\n", "unsubscribe"])
def test_a_stop_counts_from_when_it_was_acknowledged(body: str) -> None:
    assert consent.noes([wrote(body)]) == [No(number=ANN, since=21.0)]
    assert consent.noes([wrote(body, taken=None)]) == []


@pytest.mark.parametrize("body", ["don't stop", "Hi", "please stop by the office", "START", "no"])
def test_what_is_no_stop_is_none(body: str) -> None:
    assert consent.noes([wrote(body)]) == []


def test_a_stop_counts_until_the_next_start_is_written() -> None:
    start = wrote("START", at=25.0, taken=40.0)
    assert consent.noes([wrote("STOP"), start]) == [No(number=ANN, since=21.0, until=25.0)]


def test_a_stop_newer_than_a_start_counts() -> None:
    start = wrote("START", at=10.0, taken=11.0)
    assert consent.noes([start, wrote("STOP")]) == [No(number=ANN, since=21.0)]


def test_a_start_that_was_under_way_together_with_a_stop_leaves_it_open() -> None:
    assert consent.noes([wrote("START", at=19.0, taken=22.0), wrote("STOP")]) == []
    assert consent.noes([wrote("START", at=20.5, taken=None), wrote("STOP")]) == []


def test_an_acknowledged_stop_that_is_not_on_record_is_seen() -> None:
    replies = [Reply(sid="in 20.0", broadcast_id=1, number=ANN, committed_at=20.9)]
    assert len(consent.forgotten([wrote("STOP")], [], replies)) == 1
    assert consent.forgotten([wrote("STOP")], [ANN], replies) == []
    assert consent.forgotten([wrote("Hi")], [], replies) == []


def test_an_acknowledged_reply_that_is_not_on_record_is_seen() -> None:
    assert len(consent.forgotten([wrote()], [], [])) == 1
    assert consent.forgotten([wrote(taken=None)], [], []) == []


def may(message: Inbound, *sent: Sent, begun: dict[int, float] | None = None) -> set[int | None]:
    attempts = [
        Attempt(message_id=message, started_at=at, committed_at=at + COMMIT) for message, at in (begun or {}).items()
    ]
    return consent.answered([message], MESSAGES, sent, attempts)[message.sid]


def test_a_reply_is_to_the_broadcast_from_the_number_that_was_written_to() -> None:
    sent = reached(ANNS, at=10.0), reached(OTHERS, at=15.0)
    assert may(wrote(), *sent) == {1}
    assert may(wrote(to=OUR_OTHER), *sent) == {2}


def test_a_reply_is_to_the_last_broadcast_that_reached_the_person_before_it() -> None:
    assert may(wrote(), reached(ANNS, at=10.0), reached(LATER, at=15.0)) == {3}
    assert may(wrote(), reached(ANNS, at=10.0), reached(LATER, at=20.1)) == {1}


def test_a_broadcast_whose_message_is_on_its_way_meanwhile_may_be_the_one_that_is_meant() -> None:
    assert may(wrote(), reached(ANNS, at=10.0), begun={1: 9.0, 5: 19.0}) == {1, 3}
    assert may(wrote(), reached(ANNS, at=10.0), begun={1: 9.0, 5: 24.0}) == {1, 3}
    assert may(wrote(taken=40.0), reached(ANNS, at=10.0), begun={5: 39.0}) == {1, 3}
    assert may(wrote(), reached(ANNS, at=10.0), begun={5: 26.0}) == {1}
    assert may(wrote(), reached(ANNS, at=10.0), begun={4: 19.0}) == {1}


def test_which_of_two_messages_that_were_on_their_way_together_came_last_is_not_known_to_us() -> None:
    """What began later may be taken earlier: a worker is stopped, a request is slow."""
    sent = reached(LATER, at=10.0), reached(ANNS, at=12.0)
    assert may(wrote(), *sent, begun={1: 9.0, 5: 9.5}) == {1, 3}
    assert may(wrote(), *sent, begun={1: 9.0, 5: 8.5}) == {1}
    assert may(wrote(), reached(ANNS, at=12.0), begun={1: 9.0, 5: 9.5}) == {1, 3}


def test_a_message_to_a_number_that_sent_nothing_may_be_about_anything_that_was_sent() -> None:
    assert may(wrote(to=OUR_OTHER), reached(ANNS, at=10.0)) == {None}
    assert may(wrote(to=OUR_OTHER), reached(ANNS, at=10.0), begun={1: 9.0, 5: 30.0}) == {None, 1}


def test_after_a_follow_up_a_reply_may_be_to_the_broadcast_whose_first_message_came_last() -> None:
    follow_up = replace(ANNS_SECOND, state="accepted")
    sent = reached(ANNS, at=10.0), reached(LATER, at=15.0), reached(follow_up, at=18.0)
    assert may(wrote(), *sent, begun={1: 9.0, 5: 14.5, 2: 17.5}) == {1, 3}
    assert may(wrote(), reached(ANNS, at=10.0), reached(follow_up, at=18.0)) == {1}


def test_a_reply_that_counts_for_another_broadcast_is_seen() -> None:
    reply = Reply(sid="in 20.0", broadcast_id=2, number=ANN, committed_at=20.9)
    assert len(consent.miscredited({"in 20.0": {1}}, [reply])) == 1
    assert len(consent.miscredited({"in 20.0": {1}}, [replace(reply, broadcast_id=None)])) == 1
    assert consent.miscredited({"in 20.0": {1}}, [replace(reply, broadcast_id=1)]) == []


def test_a_reply_that_nobody_wrote_is_seen() -> None:
    reply = Reply(sid="in 20.0", broadcast_id=1, number=ANN, committed_at=20.9)
    assert len(consent.miscredited({}, [reply])) == 1


def test_a_reply_holds_for_the_broadcast_that_it_is_to_even_if_it_counts_for_another() -> None:
    wrong = Reply(sid="in 20.0", broadcast_id=2, number=ANN, committed_at=20.9)
    assert consent.first_replies([wrote()], {"in 20.0": {1}}, [wrong]) == {(1, ANN): 21.0, (2, ANN): 20.9}


def test_a_reply_holds_from_when_it_was_recorded_and_not_acknowledged_if_it_may_be_to_several() -> None:
    reply = Reply(sid="in 20.0", broadcast_id=1, number=ANN, committed_at=20.9)
    assert consent.first_replies([wrote()], {"in 20.0": {1, 3}}, [reply]) == {(1, ANN): 20.9}
    assert consent.first_replies([wrote()], {"in 20.0": {1}}, [reply]) == {(1, ANN): 20.9}
