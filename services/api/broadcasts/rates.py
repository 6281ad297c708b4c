"""How many of a hundred answer, and how sure that is. Pure: counts in, shares out.

A share of few people says little of the next few. So each has an interval: Wilson's score interval at 95 %, which also
holds for small counts and for none. Two shares differ by Newcombe's interval, which follows from theirs.
"""

import math
from dataclasses import dataclass

Z = 1.96  # of the normal distribution: 95 of 100 intervals hold the true share


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of those who got a text replied."""

    replied: int = 0
    delivered: int = 0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.replied + other.replied, self.delivered + other.delivered)

    @property
    def share(self) -> float:
        """The share of 1; 0 of nobody."""
        return self.replied / self.delivered if self.delivered else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Between which shares the true one lies; 0 to 1 of nobody."""
        n = self.delivered
        if not n:
            return 0.0, 1.0
        middle = self.share + Z**2 / (2 * n)
        around = Z * math.sqrt(self.share * (1 - self.share) / n + Z**2 / (4 * n**2))
        scale = 1 + Z**2 / n
        return max(0.0, (middle - around) / scale), min(1.0, (middle + around) / scale)


def difference(one: Rate, other: Rate) -> tuple[float, float]:
    """Return between which shares `one` is above `other`; below it where they are negative."""
    between = one.share - other.share
    (low, high), (other_low, other_high) = one.interval, other.interval
    return (
        between - math.hypot(one.share - low, other_high - other.share),
        between + math.hypot(high - one.share, other.share - other_low),
    )
