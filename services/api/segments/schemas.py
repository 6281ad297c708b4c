"""What the API takes and says of segments."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from services.api.http.fields import Moment, Name, PhoneNumber, Tag
from services.api.schemas import Body


class Filter(Body):
    """Which contacts: at least one tag of `any` (or `any` is empty), every tag of `all`, no tag of `none`."""

    any: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)
    all: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)
    none: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)


class NewSegment(Body):
    """An audience segment to be created."""

    name: Annotated[Name, Meta(min_length=1)]
    filter: Filter


class SegmentChanges(Body):
    """What is to change about a segment; what is left out stays."""

    name: Annotated[Name, Meta(min_length=1)] | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET


class Segment(Struct):
    """An audience segment."""

    id: int
    name: str
    filter: Filter
    created_at: Moment


class Sample(Struct):
    """One member of a segment."""

    contact_id: int
    phone_number: PhoneNumber
    name: str
    tags: list[str]


class Preview(Struct, kw_only=True):
    """Who would be drawn from: how many, and some of them. Nobody who has opted out is among them."""

    segment_id: int
    count: int
    sample: list[Sample]
