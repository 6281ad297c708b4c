"""Who will get a broadcast: how many of each segment, who is left out and why, and some of them.

Counted by the conditions by which it is drawn (`audience`), in its order (`expected_draw`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.broadcasts import audience, segment_sql
from libs.common.broadcasts.audience import LeftOut
from libs.common.broadcasts.segment_sql import Condition
from libs.common.database import Connection
from libs.common.domain.shares import quotas
from services.api.broadcasts.expected_draw import Range, expected
from services.api.schemas import Share
from services.api.segments import queries
from services.api.segments.schemas import Sample

SAMPLE = 5  # people who are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one segment gives."""

    segment_id: int
    #: Those who may be texted, as the segment's preview counts them.
    members: int
    #: How many its share asks for.
    quota: int
    #: How many of it get the broadcast; who is in two segments gets it for one of them.
    gets_it: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who will get a broadcast. The people in its segments are those who get it, are spare, or are left out."""

    groups: tuple[Group, ...] = ()
    #: Everybody in the segments, each once, who may be texted.
    members: int = 0
    #: Those of them who are in more than one.
    shared: int = 0
    #: Those in the segments who get no text, each once, by the reason.
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    sample: tuple[Sample, ...] = ()

    @property
    def gets_it(self) -> Range:
        """How many get it."""
        return sum((group.gets_it for group in self.groups), Range(0, 0))

    @property
    def spare(self) -> Range:
        """How many could get it and are not drawn: the shares, or the most that are wanted, are used up."""
        return Range(self.members - self.gets_it.most, self.members - self.gets_it.least)

    @property
    def named(self) -> int:
        """How many are in the segments, each once."""
        return self.members + sum(self.left_out.values())


async def read(connection: Connection, shares: Sequence[Share], max_recipients: int, now: datetime) -> Recipients:
    """Return who would get a broadcast now. Raise NotFound for a segment that does not exist."""
    ids = [share.segment_id for share in shares]
    filters = await audience.filters(connection, ids)
    wanted = quotas(max_recipients, [share.ratio for share in shares])
    members: Counter[frozenset[int]] = Counter()
    left_out: Counter[LeftOut] = Counter()
    for part in await audience.parts(connection, [filters[segment_id] for segment_id in ids], now):
        if part.left_out is None:
            members[frozenset(place for place, is_in in enumerate(part.named) if is_in)] += part.people
        else:
            left_out[part.left_out] += part.people
    gets_it = expected(members, wanted, ids)
    return Recipients(
        groups=tuple(
            Group(
                segment_id=segment_id,
                members=sum(people for those, people in members.items() if place in those),
                quota=wanted[place],
                gets_it=gets_it[place],
            )
            for place, segment_id in enumerate(ids)
        ),
        members=members.total(),
        shared=sum(people for those, people in members.items() if len(those) > 1),
        left_out={reason: left_out[reason] for reason in LeftOut if left_out[reason]},
        sample=await _sample(connection, [segment_sql.condition(filters[segment_id], now) for segment_id in ids]),
    )


async def _sample(connection: Connection, named: Sequence[Condition]) -> tuple[Sample, ...]:
    """Return some who may get it, each once."""
    found: dict[int, Sample] = {}
    for each in named:
        if len(found) < SAMPLE:
            found |= {person.contact_id: person for person in await queries.sample(connection, each, SAMPLE)}
    return tuple(found.values())[:SAMPLE]
