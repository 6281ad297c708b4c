"""Which entry of the log is which message."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers.clocks import MARGIN, RESOLUTION
from libs.common.carriers.log_matching import Candidate, match
from libs.common.carriers.twilio import LogEntry

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
#: How much older than its attempt an entry may seem where the carrier's clock is the same as ours.
SKEW = RESOLUTION + MARGIN
ANNA, BEN = "+13135550001", "+13135550002"


def entry(sid: str, *, to: str = ANNA, body: str = "hello", after: float = 1, dated: bool = True) -> LogEntry:
    at = NOW + timedelta(seconds=after)
    return LogEntry(
        sid=sid, to=to, from_number="+13135550100", body=body, status="sent", error_code=None,
        created_at=at if dated else None, sent_at=None, direction="outbound-api",
    )  # fmt: skip


def message(number: int, *, to: str = ANNA, body: str = "hello", after: float = 0) -> Candidate:
    return Candidate(message_id=number, number=to, body=body, attempt_started_at=NOW + timedelta(seconds=after))


def matched(entries: list[LogEntry], messages: list[Candidate]) -> dict[int, str]:
    return {key: found.sid for key, found in match(entries, messages).items()}


def test_a_message_is_found_by_number_and_body() -> None:
    log = [entry("a"), entry("b", to=BEN), entry("c", body="bye")]
    assert matched(log, [message(1), message(2, to=BEN), message(3, body="bye")]) == {1: "a", 2: "b", 3: "c"}


def test_two_people_with_the_same_message_each_have_their_own_entry() -> None:
    """Fault 29: matching gave every log entry to the newest row."""
    assert matched([entry("b", to=BEN), entry("a")], [message(1), message(2, to=BEN)]) == {1: "a", 2: "b"}


def test_the_same_message_twice_to_one_number_is_two_entries_in_order() -> None:
    """Fault 29: matching by phone only gave every log entry to the newest row."""
    log = [entry("second", after=601), entry("first", after=1)]
    assert matched(log, [message(2, after=600), message(1)]) == {1: "first", 2: "second"}


def test_a_page_with_only_the_later_entry_leaves_the_earlier_message_open() -> None:
    assert matched([entry("second", after=601)], [message(1), message(2, after=600)]) == {2: "second"}


def test_a_page_with_only_the_earlier_entry_leaves_the_later_message_open() -> None:
    assert matched([entry("first", after=1)], [message(1), message(2, after=600)]) == {1: "first"}


def test_two_attempts_moments_apart_keep_their_order() -> None:
    """The first entry could be the second message's, too, but then the second entry would be left to the first."""
    log = [entry("first", after=1), entry("second", after=4)]
    assert matched(log, [message(1), message(2, after=3)]) == {1: "first", 2: "second"}


def test_one_entry_settles_one_message() -> None:
    assert len(match([entry("a", after=30)], [message(1), message(2, after=1)])) == 1


def test_two_entries_do_not_settle_one_message() -> None:
    assert len(match([entry("a"), entry("b", after=2)], [message(1)])) == 1


def test_apostrophes_and_white_space_do_not_keep_a_message_from_its_entry() -> None:
    """Fault 29: matching by exact text failed on apostrophes and white space."""
    assert matched([entry("a", body="It's  on -\nnow ")], [message(1, body="It’s on – now")]) == {1: "a"}


def test_another_message_of_the_same_words_in_other_letters_is_another_message() -> None:
    assert matched([entry("a", body="helo")], [message(1)]) == {}


def test_an_entry_older_than_the_attempt_belongs_to_nobody() -> None:
    """Fault 29: messages that staff typed by hand were taken for broadcast messages."""
    assert matched([entry("a", after=-SKEW.total_seconds() - 0.1)], [message(1)]) == {}


def test_an_entry_that_seems_a_little_older_is_the_messages_own() -> None:
    """The carrier cuts its times to the second, and its clock is not ours."""
    assert matched([entry("a", after=-SKEW.total_seconds())], [message(1)]) == {1: "a"}


def test_an_entry_without_any_date_belongs_to_nobody() -> None:
    assert matched([entry("a", dated=False)], [message(1)]) == {}


def test_an_entry_that_two_pages_show_is_one_entry() -> None:
    """Fault 30: pages that shift while they are read."""
    assert matched([entry("a"), entry("a")], [message(1), message(2)]) == {2: "a"}


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([ANNA, BEN]), st.sampled_from("xy"), st.integers(-20, 900)),
             max_size=12),
    st.lists(st.tuples(st.sampled_from([ANNA, BEN]), st.sampled_from("xy"), st.integers(0, 900)), max_size=12),
)  # fmt: skip
def test_no_entry_and_no_message_is_used_twice_and_none_out_of_time(
    log: list[tuple[int, str, str, int]], messages: list[tuple[str, str, int]]
) -> None:
    """Fault 29."""
    entries = [entry(f"SM{sid}", to=to, body=body, after=after) for sid, to, body, after in log]
    candidates = [message(n, to=to, body=body, after=after) for n, (to, body, after) in enumerate(messages)]
    found = match(entries, candidates)
    assert len({item.sid for item in found.values()}) == len(found)
    for number, item in found.items():
        candidate = candidates[number]
        assert (item.to, item.body) == (candidate.number, candidate.body)
        assert item.created_at is not None
        assert candidate.attempt_started_at <= item.created_at + SKEW


@given(st.lists(st.integers(0, 900), min_size=1, max_size=10, unique=True), st.randoms())
def test_a_whole_log_settles_every_message(attempts: list[int], random: object) -> None:
    entries = [entry(f"SM{n}", after=after + 1) for n, after in enumerate(attempts)]
    random.shuffle(entries)  # type: ignore[attr-defined]
    found = match(entries, [message(n, after=after) for n, after in enumerate(attempts)])
    assert set(found) == set(range(len(attempts)))
