"""Which texts left after the point of a restore."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers.twilio import LogEntry
from libs.common.retrace import Planned, retrace

AT = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
US, ANN = "+13135550100", "+13135550001"


def entry(sid: str, at: datetime | None, *, to: str = ANN, body: str = "Hello", from_number: str = US) -> LogEntry:
    return LogEntry(
        sid=sid, to=to, from_number=from_number, body=body, status="delivered", error_code=None,
        created_at=at, sent_at=at, direction="outbound-api",
    )  # fmt: skip


def planned(text: int, not_before: datetime = AT, state: str = "pending", **fields: Any) -> Planned:
    return Planned(
        **{
            "text": text, "broadcast": 1, "is_second": False, "state": state, "from_number": US, "number": ANN,
            "body": "Hello", "not_before": not_before, **fields,
        }
    )  # fmt: skip


def found(entries: list[LogEntry], texts: list[Planned]) -> dict[int, str]:
    return {text: entry.sid for text, entry in retrace(entries, texts).items()}


def test_a_text_that_left_after_the_point_of_the_restore_is_found() -> None:
    assert found([entry("SM1", AT + MINUTE)], [planned(1)]) == {1: "SM1"}


def test_another_number_another_text_and_another_sender_are_not_it() -> None:
    others = [
        entry("SM1", AT + MINUTE, to="+13135550002"),
        entry("SM2", AT + MINUTE, body="Bye"),
        entry("SM3", AT + MINUTE, from_number="+13135550199"),
    ]
    assert found(others, [planned(1)]) == {}


def test_what_left_before_a_text_was_planned_is_not_it() -> None:
    assert found([entry("SM1", AT - MINUTE)], [planned(1)]) == {}


def test_an_entry_without_a_time_counts_as_new() -> None:
    assert found([entry("SM1", None)], [planned(1)]) == {1: "SM1"}


def test_of_equal_first_and_second_texts_one_entry_is_the_first() -> None:
    texts = [planned(2, is_second=True), planned(1)]
    assert found([entry("SM1", AT + MINUTE)], texts) == {1: "SM1"}


def test_the_entry_of_a_second_text_is_not_taken_by_a_first_one_that_left_long_before() -> None:
    texts = [planned(1, AT, "accepted"), planned(2, AT, is_second=True)]
    assert found([entry("SM2", AT + 90 * MINUTE)], texts) == {2: "SM2"}
    assert found([entry("SM1", AT), entry("SM2", AT + 90 * MINUTE)], texts) == {1: "SM1", 2: "SM2"}


def test_an_attempt_on_record_comes_before_a_text_that_nobody_is_known_to_have_tried() -> None:
    texts = [planned(1, AT - 60 * MINUTE), planned(2, AT, "uncertain")]
    assert found([entry("SM1", AT + MINUTE)], texts) == {2: "SM1"}


@given(st.lists(st.integers(0, 6), max_size=6), st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=6))
def test_nobody_gets_more_texts_than_were_planned(times: list[int], plans: list[tuple[int, bool]]) -> None:
    """However entries and equal texts lie: as many entries find a text as can find one at all."""
    entries = [entry(f"SM{n}", AT + minutes * MINUTE) for n, minutes in enumerate(times)]
    texts = [planned(n, AT + minutes * MINUTE, is_second=second) for n, (minutes, second) in enumerate(plans)]
    matched = retrace(entries, texts)
    assert len({item.sid for item in matched.values()}) == len(matched)
    # Greedy from the oldest: what can be matched at all with lower bounds alone (Hall).
    most, waiting = 0, sorted(minutes for minutes, _ in plans)
    for minutes in sorted(times):
        if waiting and waiting[0] <= minutes:
            waiting.pop(0)
            most += 1
    assert len(matched) == most
