"""What comes in and goes out, as msgspec structs. Bodies refuse fields they do not know."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from services.api.fields import Id, Name, Tag

T = TypeVar("T")

MessageText = Annotated[str, Meta(min_length=1, max_length=1600)]
Aware = Annotated[datetime, Meta(tz=True)]
Delay = Annotated[int, Meta(ge=0, le=86_400, description="seconds from the last first message to the follow-ups")]
Recipients = Annotated[int, Meta(ge=1, le=5_000_000)]
PhoneNumber = Annotated[str, Meta(min_length=1, max_length=40)]


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that a client sends."""


class Page(Struct, Generic[T], kw_only=True):
    """Part of a list; `next_cursor` asks for the next part and is null at the end."""

    items: list[T]
    next_cursor: str | None


# --- segments


class Filter(Body):
    """Which contacts: at least one tag of `any` (or `any` is empty), every tag of `all`, no tag of `none`."""

    any: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)
    all: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)
    none: Annotated[list[Tag], Meta(max_length=100)] = field(default_factory=list)


class NewSegment(Body):
    """An audience segment to be created."""

    name: Annotated[Name, Meta(min_length=1)]
    filter: Filter


class Segment(Struct, kw_only=True):
    """An audience segment."""

    id: int
    name: str
    filter: Filter
    created_at: datetime


class Sample(Struct, kw_only=True):
    """One member of a segment."""

    contact_id: int
    phone_number: str
    name: str
    tags: list[str]


class Preview(Struct, kw_only=True):
    """Who would be drawn from: how many, and some of them. Nobody who has opted out is among them."""

    segment_id: int
    count: int
    sample: list[Sample]


# --- broadcasts


class Share(Body):
    """A share of the audience: `ratio` percent of `max_recipients` are drawn from the segment."""

    segment_id: Id
    ratio: Annotated[float, Meta(gt=0, le=100)]


class NewBroadcast(Body):
    """A broadcast to be created. Without segments it is a draft: making it answers `no-segments`."""

    run_at: Aware
    first_message: MessageText
    second_message: MessageText
    segments: Annotated[list[Share], Meta(max_length=100)]
    max_recipients: Recipients
    second_delay: Delay | UnsetType = UNSET
    from_number: PhoneNumber | UnsetType = UNSET
    recurring: bool = True


class BroadcastChanges(Body):
    """What is to change about a scheduled broadcast; what is left out stays."""

    run_at: Aware | UnsetType = UNSET
    first_message: MessageText | UnsetType = UNSET
    second_message: MessageText | UnsetType = UNSET
    segments: Annotated[list[Share], Meta(max_length=100)] | UnsetType = UNSET
    max_recipients: Recipients | UnsetType = UNSET
    second_delay: Delay | UnsetType = UNSET
    from_number: PhoneNumber | UnsetType = UNSET
    recurring: bool | UnsetType = UNSET


class BroadcastSegment(Struct, kw_only=True):
    """A segment of a broadcast; `quota` and `drawn` are known once it was made."""

    segment_id: int
    name: str
    ratio: float
    quota: int | None
    drawn: int | None


class Broadcast(Struct, kw_only=True):
    """A broadcast."""

    id: int
    state: str
    run_at: datetime
    #: The same moment in the organisation's time zone.
    run_at_local: datetime
    first_message: str
    second_message: str
    second_delay: int
    segments: list[BroadcastSegment]
    max_recipients: int
    from_number: str
    recurring: bool
    recipients: int | None
    made_at: datetime | None
    second_due_at: datetime | None
    next_broadcast_id: int | None
    previous_id: int | None
    paused_from: str | None
    pause_reason: str | None
    missed_reason: str | None
    completed_at: datetime | None


class Made(Struct, kw_only=True):
    """What became of `/make`."""

    broadcast_id: int
    recipients: int
    next_broadcast_id: int | None
    next_run_at: datetime | None


class Asked(Struct, kw_only=True):
    """A step was asked for and will be taken."""

    broadcast_id: int


class Message(Struct, kw_only=True):
    """One text of one recipient."""

    id: int
    contact_id: int
    phone_number: str | None
    name: str
    segment_id: int
    is_second: bool
    state: str
    skip_reason: str | None
    attempts: int
    attempt_started_at: datetime | None
    missive_id: str | None
    missive_conversation_id: str | None
    twilio_id: str | None
    twilio_sent_at: datetime | None
    twilio_sent_status: str | None
    twilio_error_code: str | None


class RecordedEvent(Struct, kw_only=True):
    """One event, as it is stored."""

    position: int
    stream: str
    version: int
    id: UUID
    type: str
    schema_version: int
    data: dict[str, Any]
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None


# --- contacts


class Contact(Struct, kw_only=True):
    """Somebody who may be texted, unless opted out. An erased contact has neither number nor name."""

    id: int
    phone_number: str | None
    name: str
    tags: list[str]
    opted_out: bool
    created_at: datetime
    erased_at: datetime | None


class ContactChanges(Body):
    """What is to change about a contact; what is left out stays."""

    name: Name | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=100)] | UnsetType = UNSET
    opted_out: bool | UnsetType = UNSET


class RejectedLine(Struct, kw_only=True):
    """A line of a file that was not imported. The reason does not repeat what the line holds."""

    line: int
    reason: str


class Imported(Struct, kw_only=True):
    """What became of a file of contacts, counted by distinct number; the first thousand rejected lines are listed."""

    imported: int
    updated: int
    unchanged: int
    rejected: list[RejectedLine]
    rejected_count: int
