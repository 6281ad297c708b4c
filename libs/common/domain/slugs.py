"""Names for addresses: what `{{ broadcast }}` and `{{ segment }}` stand for in a link. Pure.

A slug has small letters of ASCII, digits and hyphens alone: it can stand in any part of an address as it is, and each
of its characters takes one unit in any text.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

LONGEST = 60  # characters of a segment's name

_REST = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Slugs:
    """What the two variables stand for in a broadcast."""

    broadcast: str
    #: By the segment's id.
    segments: Mapping[int, str]


def slug(name: str) -> str:
    """Return a name as it may stand in an address: "Café & Søn" is `cafe-s-n`; empty where nothing of it may."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(each for each in letters if not unicodedata.combining(each))
    return _REST.sub("-", plain).strip("-")[:LONGEST].rstrip("-")


def of_segments(names: Mapping[int, str]) -> dict[int, str]:
    """Return the slugs of some segments by id, all different.

    One that is another's too, or of which nothing may stand in an address, has the id of its segment.
    """
    found = {key: slug(name) for key, name in names.items()}
    times = Counter(found.values())
    slugs = {key: each if each and times[each] == 1 else f"{each or 'segment'}-{key}" for key, each in found.items()}
    if len(set(slugs.values())) < len(slugs):  # a segment is called as another one would be with its id
        return {key: f"{each or 'segment'}-{key}" for key, each in found.items()}
    return slugs


def of_broadcast(broadcast_id: int, run_at: datetime, zone: ZoneInfo) -> str:
    """Return the slug of a broadcast: the day for which it was scheduled, and its id."""
    return f"{run_at.astimezone(zone):%Y-%m-%d}-{broadcast_id}"
