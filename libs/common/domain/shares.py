"""How many people each segment of a broadcast gives, and in which order segments are drawn. Pure.

A segment is asked for everybody in it, for a number of people, or for a share in percent. Everybody comes first, in the
order of the segments, as far as `max_recipients` goes; then the numbers, in their order. The shares are percent of what
these leave of `max_recipients`. Who is in several segments counts for one that is asked for everybody, if there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.common.domain.events.broadcasts import Segment

#: People, by the places of all segments that they are in.
People = Mapping[frozenset[int], int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What each segment is asked for, and in which order they draw: by their places."""

    wanted: Sequence[int]
    order: Sequence[int]

    @property
    def total(self) -> int:
        """How many people are wanted."""
        return sum(self.wanted)


def plan(segments: Sequence[Segment], max_recipients: int, people: People) -> Plan:
    """Return what each segment is asked for, where these people can be drawn.

    After those that give everybody, who has the fewest people to spare draws first: the others can make up for those
    they share.
    """
    wanted, left = [0] * len(segments), max_recipients
    whole = [place for place, segment in enumerate(segments) if segment.gives_all]
    taken: frozenset[int] = frozenset()
    for place in whole:
        wanted[place] = min(left, _members(people, place, taken))
        left -= wanted[place]
        taken |= {place}
    for place, segment in enumerate(segments):
        if segment.count is not None:
            wanted[place] = min(left, segment.count)
            left -= wanted[place]
    ratios = {place: segment.ratio for place, segment in enumerate(segments) if segment.ratio is not None}
    wanted_of = dict(zip(ratios, quotas(left, list(ratios.values())), strict=True))
    wanted = [wanted_of.get(place, number) for place, number in enumerate(wanted)]
    others = [place for place in range(len(segments)) if place not in taken]
    spare = {place: _members(people, place, taken) - wanted[place] for place in others}
    return Plan(wanted, [*whole, *sorted(others, key=lambda place: (spare[place], segments[place].segment_id))])


def quotas(people: int, ratios: Sequence[float]) -> list[int]:
    """Share people out by `ratios` (percent, at most 100 in sum).

    Shares are rounded so that their sum is the rounded sum: three thirds of 100 are 33, 34 and 33.
    """
    shares, taken, total = [], 0, 0.0
    for ratio in ratios:
        total += ratio
        upto = int(people * total / 100 + 0.5)
        shares.append(min(upto, people) - taken)
        taken += shares[-1]
    return shares


def _members(people: People, place: int, taken: frozenset[int]) -> int:
    """Return how many are in a segment and in none of those that are taken whole."""
    return sum(number for those, number in people.items() if place in those and not those & taken)
