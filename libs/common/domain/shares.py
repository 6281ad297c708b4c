"""How many people each segment of a broadcast gives, and in which order segments are drawn. Pure."""

from collections.abc import Sequence


def quotas(max_recipients: int, ratios: Sequence[float]) -> list[int]:
    """Share `max_recipients` out by `ratios` (percent, at most 100 in sum).

    Shares are rounded so that their sum is the rounded sum: three thirds of 100 are 33, 34 and 33.
    """
    shares, taken, total = [], 0, 0.0
    for ratio in ratios:
        total += ratio
        upto = int(max_recipients * total / 100 + 0.5)
        shares.append(min(upto, max_recipients) - taken)
        taken += shares[-1]
    return shares


def draw_order(members: Sequence[int], wanted: Sequence[int], ids: Sequence[int]) -> list[int]:
    """Return the places of some segments in the order in which they draw: who has the fewest to spare draws first.

    The others can make up for those they share.
    """
    return sorted(range(len(ids)), key=lambda place: (members[place] - wanted[place], ids[place]))
