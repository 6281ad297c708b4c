from collections import Counter

import pytest

from libs.simulator.config import Plan
from libs.simulator.handsets import REPLIES, STOPS, behaviour, delivery_error, keyword, reply_body, segments

NUMBERS = [f"+1313555{n:04}" for n in range(10_000)]


def test_numbers_behave_in_the_planned_shares() -> None:
    plan = Plan(seed=3, reply=0.2, stop=0.05, unreachable=0.04, invalid=0.03, landline=0.02)
    counts = Counter(behaviour(plan, number) for number in NUMBERS)
    for kind, share in (("reply", 0.2), ("stop", 0.05), ("unreachable", 0.04), ("invalid", 0.03), ("landline", 0.02)):
        assert abs(counts[kind] / len(NUMBERS) - share) < 0.01  # type: ignore[index]


def test_a_number_does_the_same_in_any_order_and_another_under_another_seed() -> None:
    one, other = Plan(seed=1), Plan(seed=2)
    forwards = {number: behaviour(one, number) for number in NUMBERS}
    assert forwards == {number: behaviour(one, number) for number in reversed(NUMBERS)}
    assert forwards != {number: behaviour(other, number) for number in NUMBERS}


def test_a_number_named_in_the_plan_does_as_named() -> None:
    plan = Plan(reply=1.0, stop=0, unreachable=0, invalid=0, numbers={NUMBERS[0]: "unreachable"})
    assert behaviour(plan, NUMBERS[0]) == "unreachable"
    assert delivery_error(plan, NUMBERS[0]) in (30003, 30005, 30006)
    assert reply_body(plan, NUMBERS[0]) is None
    assert delivery_error(plan, NUMBERS[1]) is None
    assert reply_body(plan, NUMBERS[1]) in REPLIES


@pytest.mark.parametrize(
    ("body", "meaning"),
    [("STOP", "stop"), (" stop ", "stop"), ("Quit\n", "stop"), ("unstop", "start"), ("START", "start")]
    + [(body, None) for body in ("don't stop", "restart", "stop it", "Stop.", "", "stop start")],
)
def test_only_a_whole_message_is_a_keyword(body: str, meaning: str | None) -> None:
    assert keyword(body) == meaning


def test_no_reply_is_a_keyword_and_every_stop_but_the_dotted_one_is() -> None:
    assert [body for body in REPLIES if keyword(body)] == []
    assert [body for body in STOPS if keyword(body) != "stop"] == ["Stop."]


@pytest.mark.parametrize(
    ("body", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("ё" * 70, 1), ("ё" * 71, 2), ("😀" * 36, 2)],
)
def test_segments_are_counted_by_the_alphabet(body: str, count: int) -> None:
    assert segments(body) == count
