"""How many a draw will give, before it is drawn: by lot who is in two segments is drawn for one of them. Pure.

The segments draw one after the other, as in `making.draw`. Mostly that gives an exact number: where each takes all
who is left, or all have enough to spare. Where the lot decides, the number lies between two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.common.domain.shares import draw_order


@dataclass(frozen=True, slots=True)
class Range:
    """A number that lies between two; mostly they are the same."""

    least: int
    most: int

    @property
    def is_exact(self) -> bool:
        """Whether the lot decides nothing."""
        return self.least == self.most

    def __add__(self, other: "Range") -> "Range":
        return Range(self.least + other.least, self.most + other.most)


@dataclass(slots=True)
class _Part:
    """People who are in the same segments: how many are left, at least and at most."""

    least: int
    most: int


def expected(people: Mapping[frozenset[int], int], wanted: Sequence[int], ids: Sequence[int]) -> list[Range]:
    """Return how many each segment will give.

    `people` are those who can be drawn, by the places of all segments that they are in.
    """
    places = range(len(ids))
    members = [sum(count for those, count in people.items() if place in those) for place in places]
    left = {those: _Part(count, count) for those, count in people.items()}
    found = [Range(0, 0)] * len(ids)
    for place in draw_order(members, wanted, ids):
        found[place] = _draw([part for those, part in left.items() if place in those], wanted[place])
    return found


def _draw(parts: Sequence[_Part], quota: int) -> Range:
    """Take so many people out of some parts, as far as there are; return how many that are."""
    least, most = sum(part.least for part in parts), sum(part.most for part in parts)
    for part, others in [(part, most - part.most) for part in parts]:
        # At most all that are left are left here; at least those whom neither this segment nor the others can hold.
        part.least = max(0, part.least - quota, least - quota - others)
        part.most = min(part.most, max(0, most - quota))
    return Range(min(quota, least), min(quota, most))
