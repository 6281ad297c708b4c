"""Which messages left after the point of a restore."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.twilio import LogEntry
from libs.common.domain.states import MessageState
from libs.common.operations.restore_matching import Planned, match

AT = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
US, ANN = "+13135550100", "+13135550001"


def entry(sid: str, at: datetime | None, *, to: str = ANN, body: str = "Hello", from_number: str = US) -> LogEntry:
    return LogEntry(
        sid=sid, to=to, from_number=from_number, body=body, status="delivered", error_code=None,
        created_at=at, sent_at=at, direction="outbound-api",
    )  # fmt: skip


def planned(message_id: int, not_before: datetime = AT, state: str = "pending", **fields: Any) -> Planned:
    return Planned(
        **{
            "message_id": message_id, "broadcast": 1, "is_second": False, "state": MessageState(state),
            "from_number": US, "number": ANN, "body": "Hello", "not_before": not_before, **fields,
        }
    )  # fmt: skip


def found(entries: list[LogEntry], messages: list[Planned], offset: Offset = SAME) -> dict[int, str]:
    return {message: entry.sid for message, entry in match(entries, messages, offset).items()}


def ahead(low: float, high: float) -> Offset:
    return Offset(low=timedelta(seconds=low), high=timedelta(seconds=high))


def test_a_message_that_left_after_the_point_of_the_restore_is_found() -> None:
    assert found([entry("SM1", AT + MINUTE)], [planned(1)]) == {1: "SM1"}


def test_another_number_another_message_and_another_sender_are_not_it() -> None:
    others = [
        entry("SM1", AT + MINUTE, to="+13135550002"),
        entry("SM2", AT + MINUTE, body="Bye"),
        entry("SM3", AT + MINUTE, from_number="+13135550199"),
    ]
    assert found(others, [planned(1)]) == {}


def test_what_left_before_a_message_was_planned_is_not_it() -> None:
    assert found([entry("SM1", AT - MINUTE)], [planned(1)]) == {}


@pytest.mark.parametrize(
    ("offset", "seconds", "may_be"),
    [
        (ahead(0, 0), -3, True),  # a second of the log and the margin
        (ahead(0, 0), -4, False),
        (ahead(-22, -20), -25, True),  # its clock is behind
        (ahead(-22, -20), -26, False),
        (ahead(20, 22), 17, True),  # its clock is ahead: this was sent before the message was planned
        (ahead(20, 22), 16, False),
    ],
)
def test_times_are_compared_by_the_carriers_clock_as_it_was_measured(
    offset: Offset, seconds: int, may_be: bool
) -> None:
    """Fault 35: a clock that was off by more than a fixed tolerance had messages sent twice."""
    at = AT + timedelta(seconds=seconds)
    assert found([entry("SM1", at)], [planned(1)], offset) == ({1: "SM1"} if may_be else {})


@pytest.mark.parametrize(("minutes", "may_be"), [(60, True), (61, False)])
def test_what_the_carrier_has_taken_was_handed_over_within_the_hour_by_its_clock(minutes: int, may_be: bool) -> None:
    messages, at = [planned(1, AT, "accepted")], AT + minutes * MINUTE + timedelta(seconds=20)
    assert found([entry("SM1", at)], messages, ahead(20, 20)) == ({1: "SM1"} if may_be else {})


def test_an_entry_without_a_time_counts_as_new_whatever_the_clock() -> None:
    assert found([entry("SM1", None)], [planned(1)], ahead(20, 22)) == {1: "SM1"}
    assert found([entry("SM1", None)], [planned(1, AT, "accepted")], ahead(20, 22)) == {}


def test_an_entry_without_a_time_counts_as_new() -> None:
    assert found([entry("SM1", None)], [planned(1)]) == {1: "SM1"}


def test_of_equal_first_and_second_messages_one_entry_is_the_first() -> None:
    messages = [planned(2, is_second=True), planned(1)]
    assert found([entry("SM1", AT + MINUTE)], messages) == {1: "SM1"}


def test_the_entry_of_a_second_message_is_not_taken_by_a_first_one_that_left_long_before() -> None:
    messages = [planned(1, AT, "accepted"), planned(2, AT, is_second=True)]
    assert found([entry("SM2", AT + 90 * MINUTE)], messages) == {2: "SM2"}
    assert found([entry("SM1", AT), entry("SM2", AT + 90 * MINUTE)], messages) == {1: "SM1", 2: "SM2"}


def test_an_attempt_on_record_comes_before_a_message_that_nobody_is_known_to_have_tried() -> None:
    messages = [planned(1, AT - 60 * MINUTE), planned(2, AT, "uncertain")]
    assert found([entry("SM1", AT + MINUTE)], messages) == {2: "SM1"}


@given(st.lists(st.integers(0, 6), max_size=6), st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=6))
def test_nobody_gets_more_messages_than_were_planned(times: list[int], plans: list[tuple[int, bool]]) -> None:
    """However entries and equal messages lie: as many entries find a text as can find one at all."""
    entries = [entry(f"SM{n}", AT + minutes * MINUTE) for n, minutes in enumerate(times)]
    messages = [planned(n, AT + minutes * MINUTE, is_second=second) for n, (minutes, second) in enumerate(plans)]
    matched = match(entries, messages)
    assert len({item.sid for item in matched.values()}) == len(matched)
    # Greedy from the oldest: what can be matched at all with lower bounds alone (Hall).
    most, waiting = 0, sorted(minutes for minutes, _ in plans)
    for minutes in sorted(times):
        if waiting and waiting[0] <= minutes:
            waiting.pop(0)
            most += 1
    assert len(matched) == most
