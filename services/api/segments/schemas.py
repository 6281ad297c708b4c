"""What the API takes and says of segments."""

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from services.api.http.fields import Moment, Name, PhoneNumber
from services.api.schemas import Body

_ABOUT = """\
One condition: an object with one of the keys all, any, not, tag, attribute, replied_since, texted_since, \
joined_since, segment and import; a string is a tag. docs/segments.md has the whole language."""

#: A filter as a client writes it; `domain/segments.py` reads it.
GivenFilter: TypeAlias = Annotated[
    dict[str, Any] | str,
    Meta(description=_ABOUT, examples=[{"all": [{"tag": "north"}, {"attribute": "age", "ge": 18}]}]),
]


class NewSegment(Body):
    """An audience segment to be created."""

    name: Annotated[Name, Meta(min_length=1)]
    filter: GivenFilter


class SegmentChanges(Body):
    """What is to change about a segment; what is left out stays."""

    name: Annotated[Name, Meta(min_length=1)] | UnsetType = UNSET
    filter: GivenFilter | UnsetType = UNSET


class WishedFilter(Body):
    """A filter that is to be tried."""

    filter: GivenFilter


class Segment(Struct):
    """An audience segment."""

    id: int
    name: str
    #: Whom it takes in, as docs/segments.md describes.
    filter: dict[str, Any]
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


class TriedFilter(Struct, kw_only=True):
    """Whom a filter takes in: how many may be texted, how many not and why, and some of the former."""

    count: int
    left_out: dict[str, int]
    sample: list[Sample]
    #: Tags that nobody has: most of these are slips.
    unknown_tags: list[str]
