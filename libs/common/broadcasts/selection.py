"""Whom a broadcast asks for, and whom that comes to: what is read before it is drawn, by the draw and by every preview.

A broadcast has segments with shares, segments whose people are left out, a segment that fills up, and the frequency
caps. All are looked at in one statement (`audience.parts`). The draw takes people by the same conditions, and as many
of each segment as this says: so the count that is shown is the count that is drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.broadcasts import audience, frequency_cap
from libs.common.broadcasts.audience import Rules
from libs.common.broadcasts.segment_sql import Condition
from libs.common.database import Connection
from libs.common.domain import shares
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.events import Segment
from libs.common.domain.frequency import Cap
from libs.common.domain.segments import Filter
from libs.common.domain.shares import People, Plan
from libs.common.domain.states import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whom a broadcast asks for."""

    segments: Sequence[Segment] = ()
    max_recipients: int = 0
    #: The segments whose people are left out.
    excluded: Sequence[int] = ()
    #: The segment that fills up what the others do not give.
    fallback: int | None = None
    #: All that hold.
    caps: Sequence[Cap] = ()
    #: How many texts a person may get.
    texts: int = 1

    @property
    def sources(self) -> list[int]:
        """The segments whose people may get it: those with a share, then the one that fills up."""
        return [*(each.segment_id for each in self.segments), *([] if self.fallback is None else [self.fallback])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """A selection as conditions on a contact `c`."""

    #: Of all segments that it names.
    filters: Mapping[int, Filter] = field(default_factory=dict)
    #: The segments whose people may get it, with their conditions in this order.
    sources: Sequence[int] = ()
    named: Sequence[Condition] = ()
    rules: Rules = audience.NO_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a selection comes to. A place is that of a segment among the sources."""

    conditions: Conditions
    #: Who can be drawn, by the places of all segments that they are in.
    people: People
    #: Those in the segments with a share who cannot, each once, by the reason.
    left_out: Mapping[LeftOut, int]
    plan: Plan


def of(broadcast: Broadcast, cap: Cap | None) -> Selection:
    """Return whom a broadcast asks for; `cap` is the organisation's."""
    return Selection(
        segments=broadcast.segments,
        max_recipients=broadcast.max_recipients,
        excluded=broadcast.excluded,
        fallback=broadcast.fallback,
        caps=caps(cap, broadcast.cap),
        texts=2 if broadcast.has_follow_up else 1,
    )


def caps(*given: Cap | None) -> tuple[Cap, ...]:
    """Return the caps that hold: a broadcast's own one holds beside the organisation's, so it can only tighten it."""
    return tuple(dict.fromkeys(cap for cap in given if cap is not None))


async def conditions(connection: Connection, selection: Selection, now: datetime) -> Conditions:
    """Return a selection as conditions. Raise NotFound for a segment that does not exist."""
    sources = selection.sources
    ids = [*sources, *selection.excluded]
    filters = await audience.filters(connection, ids)
    written = audience.conditions([filters[each] for each in ids], now)
    out = written[len(sources) :]
    capped = frequency_cap.capped(selection.caps, selection.texts, now)
    given = dict(capped.given)
    for each in out:
        given |= each.given
    return Conditions(
        filters=filters,
        sources=sources,
        named=written[: len(sources)],
        rules=Rules(
            join=capped.join,
            excluded=" OR ".join(f"({each.sql})" for each in out) or "false",
            capped=capped.condition or "false",
            given=given,
        ),
    )


async def read(connection: Connection, selection: Selection, now: datetime) -> Found:
    """Return what a selection comes to. Raise NotFound for a segment that does not exist."""
    written = await conditions(connection, selection, now)
    people: Counter[frozenset[int]] = Counter()
    left_out: Counter[LeftOut] = Counter()
    for part in await audience.parts(connection, written.named, written.rules):
        places = frozenset(place for place, is_in in enumerate(part.named) if is_in)
        if part.left_out is None:
            people[places] += part.people
        elif places != {len(selection.segments)}:  # of the one that fills up alone nobody is expected
            left_out[part.left_out] += part.people
    return Found(
        conditions=written,
        people=people,
        left_out={reason: left_out[reason] for reason in LeftOut if left_out[reason]},
        plan=shares.plan(selection.segments, selection.max_recipients, people),
    )
