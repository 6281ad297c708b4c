"""How many a draw gives, held against draws by every lot of small audiences."""

import itertools
import random
from collections.abc import Sequence

import pytest

from libs.common.domain.events import Segment
from libs.common.domain.shares import Plan, plan
from services.api.broadcasts.expected_draw import Range, expected

People = dict[frozenset[int], int]


def parts(**people: int) -> People:
    """People by the segments that they are in, each named by a letter."""
    return {frozenset("abc".index(letter) for letter in letters): count for letters, count in people.items()}


def asked(people: People, wanted: Sequence[int]) -> Plan:
    """So many people of each segment, by number."""
    segments = [Segment(segment_id=place, count=number) for place, number in enumerate(wanted)]
    return plan(segments, sum(wanted), people)


@pytest.mark.parametrize(
    ("people", "wanted", "found"),
    [
        (parts(a=10), [4], [(4, 4)]),
        (parts(a=3), [4], [(3, 3)]),
        (parts(a=10, b=10), [4, 20], [(4, 4), (10, 10)]),
        # Both take everybody: who is in both is drawn for the one that has less to spare.
        (parts(a=1, ab=5, b=4), [50, 50], [(6, 6), (4, 4)]),
        # Enough to spare: the overlap does not matter.
        (parts(a=10, ab=5, b=10), [3, 3], [(3, 3), (3, 3)]),
        # The one with nothing to spare draws first, and leaves enough to the other.
        (parts(a=5, ab=5, b=1), [5, 6], [(5, 5), (6, 6)]),
        # The lot decides how many of both the first takes away from the second.
        (parts(a=5, ab=5, b=20), [9, 24], [(9, 9), (20, 21)]),
        # The one within the other: who can spare nobody draws first.
        (parts(ab=10, b=5), [4, 50], [(0, 0), (15, 15)]),
        ({}, [4], [(0, 0)]),
    ],
)
def test_a_draw_gives(people: People, wanted: list[int], found: list[tuple[int, int]]) -> None:
    assert expected(people, asked(people, wanted)).gets_it == [Range(*each) for each in found]


@pytest.mark.parametrize(
    ("people", "wanted", "short", "filled", "total"),
    [
        (parts(a=10, b=10), [4], (0, 0), (0, 0), (4, 4)),
        (parts(a=3, b=10), [4], (1, 1), (1, 1), (4, 4)),
        (parts(a=3, b=2), [9], (6, 6), (2, 2), (5, 5)),
        # Who was drawn for the segment fills nothing up.
        (parts(ab=3, b=2), [9], (6, 6), (2, 2), (5, 5)),
        ({}, [9], (9, 9), (0, 0), (0, 0)),
    ],
)
def test_what_is_missing_is_filled_up_as_far_as_the_fallback_goes(
    people: People, wanted: list[int], short: tuple[int, int], filled: tuple[int, int], total: tuple[int, int]
) -> None:
    found = expected(people, asked(people, wanted))
    assert (found.short, found.filled, found.total) == (Range(*short), Range(*filled), Range(*total))


def test_every_draw_lies_within_what_is_expected_and_a_single_number_is_exact() -> None:
    lot = random.Random(7)
    kinds = [frozenset(each) for n in (1, 2, 3, 4) for each in itertools.combinations(range(4), n)]
    exact = 0
    for _ in range(300):
        people = {kind: lot.randrange(4) for kind in kinds}
        segments = [share(place, lot) for place in range(3)]
        wished = plan(segments, lot.randrange(1, 25), people)
        coming = expected(people, wished)
        exact += all(each.is_exact for each in (*coming.gets_it, coming.filled))
        for _ in range(10):
            drawn, filled = draw(people, wished, lot)
            found = [*zip(coming.gets_it, drawn, strict=True), (coming.filled, filled)]
            assert all(each.least <= n <= each.most for each, n in found), (people, segments)
            assert coming.total.least <= sum(drawn) + filled <= coming.total.most
            assert coming.short.least <= wished.total - sum(drawn) <= coming.short.most
    assert exact > 20


def share(place: int, lot: random.Random) -> Segment:
    """A share of any kind."""
    kind = lot.randrange(4)
    if kind == 0:
        return Segment(segment_id=place)
    if kind == 1:
        return Segment(segment_id=place, ratio=30)
    return Segment(segment_id=place, count=lot.randrange(1, 9))


def draw(people: People, wished: Plan, lot: random.Random) -> tuple[list[int], int]:
    """Draw as `drawing.draw` does; the last place is the fallback's."""
    crowd = [kind for kind, count in people.items() for _ in range(count)]

    def take(place: int, most: int) -> int:
        nonlocal crowd
        chosen = [n for n, kind in enumerate(crowd) if place in kind]
        taken = set(lot.sample(chosen, min(most, len(chosen))))
        crowd = [kind for n, kind in enumerate(crowd) if n not in taken]
        return len(taken)

    found = [0] * len(wished.wanted)
    for place in wished.order:
        found[place] = take(place, wished.wanted[place])
    return found, take(len(found), wished.total - sum(found))
