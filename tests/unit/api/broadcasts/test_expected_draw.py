"""How many a draw gives, held against draws by every lot of small audiences."""

import itertools
import random

import pytest

from libs.common.domain.shares import draw_order
from services.api.broadcasts.expected_draw import Range, expected


def parts(**people: int) -> dict[frozenset[int], int]:
    """People by the segments that they are in, each named by a letter."""
    return {frozenset("abc".index(letter) for letter in letters): count for letters, count in people.items()}


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
def test_a_draw_gives(people: dict[frozenset[int], int], wanted: list[int], found: list[tuple[int, int]]) -> None:
    assert expected(people, wanted, range(len(wanted))) == [Range(*each) for each in found]


def test_every_draw_lies_within_what_is_expected_and_a_single_number_is_exact() -> None:
    lot = random.Random(7)
    kinds = [frozenset(each) for n in (1, 2, 3) for each in itertools.combinations(range(3), n)]
    exact = 0
    for _ in range(200):
        people = {kind: lot.randrange(4) for kind in kinds}
        wanted = [lot.randrange(1, 9) for _ in range(3)]
        ranges = expected(people, wanted, range(3))
        exact += all(each.is_exact for each in ranges)
        for _ in range(10):
            drawn = draw(people, wanted, lot)
            assert all(each.least <= n <= each.most for each, n in zip(ranges, drawn, strict=True)), (people, wanted)
    assert exact > 20


def draw(people: dict[frozenset[int], int], wanted: list[int], lot: random.Random) -> list[int]:
    """Draw as `making.draw` does."""
    crowd = [kind for kind, count in people.items() for _ in range(count)]
    members = [sum(place in kind for kind in crowd) for place in range(3)]
    found = [0, 0, 0]
    for place in draw_order(members, wanted, range(3)):
        chosen = [n for n, kind in enumerate(crowd) if place in kind]
        taken = set(lot.sample(chosen, min(wanted[place], len(chosen))))
        crowd = [kind for n, kind in enumerate(crowd) if n not in taken]
        found[place] = len(taken)
    return found
