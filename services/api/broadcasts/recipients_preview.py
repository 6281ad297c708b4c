"""Who will get a broadcast: how many of each segment, who is left out and why, and some of them.

Read by the statement that the draw reads before it takes anybody (`selection`), in its order (`expected_draw`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.broadcasts import selection
from libs.common.broadcasts.selection import Conditions, Selection
from libs.common.database import Connection
from libs.common.domain.frequency import Cap
from libs.common.domain.states import LeftOut
from services.api.broadcasts.expected_draw import Range, expected
from services.api.segments import queries
from services.api.segments.schemas import Sample

SAMPLE = 5  # people who are shown

NOBODY = Range(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one segment gives."""

    segment_id: int
    #: Those who may get it: no rule of the broadcast leaves them out.
    members: int
    #: How many it is asked for.
    quota: Range
    #: How many of it get the broadcast; who is in two segments gets it for one of them.
    gets_it: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who will get a broadcast. The people in its segments are those who get it, are spare, or are left out."""

    groups: tuple[Group, ...] = ()
    #: The segment that fills up what the others do not give.
    fallback: Group | None = None
    #: Everybody in the segments with a share, each once, who may get it.
    members: int = 0
    #: Those of them who are in more than one.
    shared: int = 0
    #: Those in these segments who do not, each once, by the reason.
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    #: How many get it, those of the fallback among them.
    gets_it: Range = NOBODY
    #: The frequency caps that hold.
    caps: tuple[Cap, ...] = ()
    sample: tuple[Sample, ...] = ()

    @property
    def of_groups(self) -> Range:
        """How many get it for one of the segments with a share."""
        return sum((group.gets_it for group in self.groups), NOBODY)

    @property
    def spare(self) -> Range:
        """How many could get it and are not drawn for these: the shares, or the most that are wanted, are used up."""
        return Range(self.members - self.of_groups.most, self.members - self.of_groups.least)

    @property
    def named(self) -> int:
        """How many are in these segments, each once."""
        return self.members + sum(self.left_out.values())


async def read(connection: Connection, wished: Selection, now: datetime) -> Recipients:
    """Return who would get a broadcast now. Raise NotFound for a segment that does not exist."""
    found = await selection.read(connection, wished, now)
    coming = expected(found.people, found.plan)
    places = frozenset(range(len(wished.segments)))

    def members(place: int) -> int:
        return sum(people for those, people in found.people.items() if place in those)

    fallback = None
    if wished.fallback is not None:
        fallback = Group(
            segment_id=wished.fallback, members=members(len(places)), quota=coming.short, gets_it=coming.filled
        )
    in_groups = [(those & places, people) for those, people in found.people.items()]
    return Recipients(
        groups=tuple(
            Group(
                segment_id=segment.segment_id,
                members=members(place),
                quota=Range(found.plan.wanted[place], found.plan.wanted[place]),
                gets_it=coming.gets_it[place],
            )
            for place, segment in enumerate(wished.segments)
        ),
        fallback=fallback,
        members=sum(people for those, people in in_groups if those),
        shared=sum(people for those, people in in_groups if len(those) > 1),
        left_out=found.left_out,
        gets_it=coming.total,
        caps=tuple(wished.caps),
        sample=await _sample(connection, found.conditions, [*coming.gets_it, coming.filled]),
    )


async def _sample(connection: Connection, asked: Conditions, gives: list[Range]) -> tuple[Sample, ...]:
    """Return some who may get it, each once, of the segments that give somebody."""
    found: dict[int, Sample] = {}
    for named, coming in zip(asked.named, gives, strict=False):
        if coming.most and len(found) < SAMPLE:
            some = await queries.sample(connection, named, SAMPLE, asked.rules)
            found |= {person.contact_id: person for person in some}
    return tuple(found.values())[:SAMPLE]
