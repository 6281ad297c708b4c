"""A sender that takes what is allowed for 1.3 times as much: of the number's rate, and of each window."""

import math

from libs.common.rate_limits import rate

FASTER = 1.3


def take_away() -> None:
    """Take the protection away."""
    rate.UTILISATION *= FASTER
    rate.SLACK = -math.inf
