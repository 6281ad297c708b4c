"""Who will get a broadcast that is not made yet, over HTTP: counted as it is drawn, with why others are left out."""

from collections.abc import Mapping

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from libs.common import database
from libs.common.broadcasts.explanations import LEFT_OUT
from libs.common.domain.states import LeftOut
from services.api.broadcasts import queries, recipients_preview, wishes
from services.api.broadcasts.expected_draw import Range
from services.api.broadcasts.recipients_preview import Group
from services.api.context import Context
from services.api.http.fields import PathId
from services.api.schemas import FrequencyCap, WhyLeftOut
from services.api.segments.schemas import Sample

LONGEST = 120.0  # seconds that the count may take; a million people take some


class Expected(Struct, kw_only=True):
    """A number that lies between two where the lot decides; else they are the same."""

    least: int
    most: int


class ExpectedSegment(Struct, kw_only=True):
    """What a segment will give."""

    segment_id: int
    name: str
    #: Those in it whom the broadcast may take.
    members: int
    #: How many it is asked for; of the fallback, what the others do not give.
    quota: Expected
    gets_it: Expected


class ExpectedAudience(Struct, kw_only=True):
    """Who would get a broadcast now."""

    broadcast_id: int
    gets_it: Expected
    segments: list[ExpectedSegment]
    fallback: ExpectedSegment | None
    #: People of the segments who could get it and are over what is wanted.
    spare: Expected
    left_out: list[WhyLeftOut]
    #: The frequency caps that hold: the organisation's, and its own.
    frequency_caps: list[FrequencyCap]
    #: Some who may get it.
    sample: list[Sample]


@get("/broadcasts/{broadcast_id:int}/audience")
async def audience(api: NamedDependency[Context], broadcast_id: PathId) -> ExpectedAudience:
    """Say who would get a broadcast if it were made now, and why the others in its segments do not."""
    async with database.transaction(api.long_work) as connection:
        await database.set_statement_timeout(connection, LONGEST)
        broadcast = await queries.one(connection, broadcast_id, api.settings.zone)
        found = await recipients_preview.read(connection, wishes.selection(broadcast, api.settings.cap), api.clock())
    names = {each.segment_id: each.name for each in broadcast.segments}
    if broadcast.fallback is not None:
        names[broadcast.fallback.segment_id] = broadcast.fallback.name
    return ExpectedAudience(
        broadcast_id=broadcast_id,
        gets_it=_between(found.gets_it),
        segments=[_group(group, names) for group in found.groups],
        fallback=None if found.fallback is None else _group(found.fallback, names),
        spare=_between(found.spare),
        left_out=why(found.left_out),
        frequency_caps=[FrequencyCap(texts=cap.texts, days=cap.days) for cap in found.caps],
        sample=list(found.sample),
    )


def why(left_out: Mapping[LeftOut, int]) -> list[WhyLeftOut]:
    """Return why people are left out, in words."""
    return [
        WhyLeftOut(reason=reason, people=left_out[reason], sentence=LEFT_OUT[reason])
        for reason in LeftOut
        if left_out.get(reason)
    ]


def _group(group: Group, names: dict[int, str]) -> ExpectedSegment:
    return ExpectedSegment(
        segment_id=group.segment_id,
        name=names[group.segment_id],
        members=group.members,
        quota=_between(group.quota),
        gets_it=_between(group.gets_it),
    )


def _between(found: Range) -> Expected:
    return Expected(least=found.least, most=found.most)


HANDLERS = (audience,)
