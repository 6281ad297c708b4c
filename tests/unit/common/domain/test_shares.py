"""How many people each segment of a broadcast is asked for, whatever kinds of shares there are."""

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import Segment
from libs.common.domain.shares import plan, quotas

MOST = 4  # segments


def _segments(kinds: list[tuple[str, int]]) -> list[Segment]:
    ratios = sum(number for kind, number in kinds if kind == "ratio")
    scale = min(1.0, 100 / ratios) if ratios else 1.0
    return [
        Segment(
            segment_id=place + 1,
            ratio=number * scale if kind == "ratio" else None,
            count=number if kind == "count" else None,
        )
        for place, (kind, number) in enumerate(kinds)
    ]


segments = st.lists(st.tuples(st.sampled_from(["ratio", "count", "all"]), st.integers(1, 100)), max_size=MOST).map(
    _segments
)
people = st.dictionaries(st.frozensets(st.integers(0, MOST - 1), min_size=1), st.integers(0, 50))
most = st.integers(1, 300)


@given(segments, most, people)
def test_no_plan_asks_for_more_than_may_get_it(
    asked: list[Segment], most: int, people: dict[frozenset[int], int]
) -> None:
    found = plan(asked, most, people)
    assert all(number >= 0 for number in found.wanted)
    assert found.total <= most
    assert sorted(found.order) == list(range(len(asked)))


@given(segments, most, people)
def test_whole_segments_come_first_then_numbers_then_shares_of_what_is_left(
    asked: list[Segment], most: int, people: dict[frozenset[int], int]
) -> None:
    found = plan(asked, most, people)
    whole = {place for place, each in enumerate(asked) if each.gives_all}
    everybody = sum(number for those, number in people.items() if those & whole)
    left = most - sum(found.wanted[place] for place in whole)
    assert left == max(0, most - everybody), "everybody who is in a whole segment, each once"
    for place, each in enumerate(asked):
        if each.count is not None:
            assert found.wanted[place] == min(each.count, left)
            left -= found.wanted[place]
    ratios = [each.ratio for each in asked if each.ratio is not None]
    assert [found.wanted[place] for place, each in enumerate(asked) if each.ratio is not None] == quotas(left, ratios)
    assert set(found.order[: len(whole)]) == whole


@given(st.lists(st.integers(1, 30), min_size=1, max_size=MOST), most, people)
def test_percents_alone_are_what_they_were_before_there_were_other_kinds(
    ratios: list[int], most: int, people: dict[frozenset[int], int]
) -> None:
    given = [100 / sum(ratios) * each for each in ratios]
    asked = [Segment(segment_id=place, ratio=each) for place, each in enumerate(given)]
    assert plan(asked, most, people).wanted == quotas(most, given)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=MOST), people)
def test_of_numbers_the_one_with_the_fewest_to_spare_draws_first(
    counts: list[int], people: dict[frozenset[int], int]
) -> None:
    asked = [Segment(segment_id=place, count=each) for place, each in enumerate(counts)]
    found = plan(asked, sum(counts), people)
    members = [sum(number for those, number in people.items() if place in those) for place in range(len(asked))]
    spare = [members[place] - found.wanted[place] for place in found.order]
    assert spare == sorted(spare)


def test_everybody_a_number_and_a_percent_in_one_broadcast() -> None:
    asked = [Segment(segment_id=1, ratio=50), Segment(segment_id=2, count=300), Segment(segment_id=3)]
    found = plan(asked, 1000, {frozenset({2}): 200, frozenset({0}): 900, frozenset({1}): 400})
    assert found.wanted == [250, 300, 200]
    assert found.order[0] == 2
