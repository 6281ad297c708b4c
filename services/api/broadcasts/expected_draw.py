"""How many a draw will give, before it is drawn: by lot who is in two segments is drawn for one of them. Pure.

The segments draw one after the other, as in `drawing.draw`. Mostly that gives an exact number: where each takes all
who is left, or all have enough to spare. Where the lot decides, the number lies between two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.domain.shares import People, Plan


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


@dataclass(frozen=True, slots=True)
class Expected:
    """How many each segment gives, the one that fills up, and all together."""

    gets_it: Sequence[Range]
    #: How many are missing, and how many of them the fallback gives; nobody where there is none.
    short: Range
    filled: Range
    total: Range


@dataclass(slots=True)
class _Part:
    """People who are in the same segments: how many are left, at least and at most."""

    least: int
    most: int


def expected(people: People, plan: Plan) -> Expected:
    """Return how many each segment will give.

    `people` are those who can be drawn, by the places of all segments that they are in. The one that fills up has the
    place behind the others.
    """
    left = {those: _Part(count, count) for those, count in people.items()}
    found = [Range(0, 0)] * len(plan.wanted)
    for place in plan.order:
        found[place] = _draw([part for those, part in left.items() if place in those], plan.wanted[place])
    drawn = sum(found, Range(0, 0))
    spare = [part for those, part in left.items() if len(plan.wanted) in those]
    least, most = sum(part.least for part in spare), sum(part.most for part in spare)
    short = Range(max(0, plan.total - drawn.most), max(0, plan.total - drawn.least))
    return Expected(
        gets_it=found,
        short=short,
        filled=Range(min(short.least, least), min(short.most, most)),
        total=Range(min(plan.total, drawn.least + least), min(plan.total, drawn.most + most)),
    )


def _draw(parts: Sequence[_Part], quota: int) -> Range:
    """Take so many people out of some parts, as far as there are; return how many that are."""
    least, most = sum(part.least for part in parts), sum(part.most for part in parts)
    for part, others in [(part, most - part.most) for part in parts]:
        # At most all that are left are left here; at least those whom neither this segment nor the others can hold.
        part.least = max(0, part.least - quota, least - quota - others)
        part.most = min(part.most, max(0, most - quota))
    return Range(min(quota, least), min(quota, most))
