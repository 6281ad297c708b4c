"""How many texts one person gets at most within some days: the frequency cap. Pure."""

import re
from dataclasses import dataclass

MOST_TEXTS = 1_000
MOST_DAYS = 366

_CAP = re.compile(r"([0-9]{1,4})/([0-9]{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most so many texts within so many days, of all broadcasts."""

    texts: int
    days: int

    def __str__(self) -> str:
        return f"{self.texts}/{self.days}"


def parse_cap(text: str) -> Cap:
    """Read `3/7`: at most 3 texts in 7 days. Raise ValueError."""
    found = _CAP.fullmatch(text.replace(" ", ""))
    if found is None or not 0 < int(found[1]) <= MOST_TEXTS or not 0 < int(found[2]) <= MOST_DAYS:
        raise ValueError("not TEXTS/DAYS, such as 3/7 for at most 3 texts in 7 days (1,000 texts and 366 days at most)")
    return Cap(texts=int(found[1]), days=int(found[2]))
