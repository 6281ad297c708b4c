"""A sender that takes what is allowed for 1.3 times as much: of the number's rate, and of each window."""

from libs.common import pace

FASTER = 1.3


def take_away() -> None:
    """Take the protection away."""
    pace.UTILISATION *= FASTER
