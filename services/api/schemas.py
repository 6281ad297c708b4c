"""What comes in and goes out, as msgspec structs. Bodies refuse fields they do not know."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from libs.common.domain import frequency, message_bodies
from libs.common.domain.attributes import MOST as MOST_ATTRIBUTES
from libs.common.domain.states import BroadcastState, Late, LeftOut, MessageState, Outcome, SkipReason
from services.api.http.fields import (
    NO_NUL,
    AttributeName,
    AttributeValue,
    Id,
    Language,
    Moment,
    Name,
    PhoneNumber,
    Tag,
    TimeZone,
    WallTime,
)

T = TypeVar("T")

MessageBody = Annotated[str, Meta(min_length=1, max_length=message_bodies.LONGEST)]
Delay = Annotated[int, Meta(ge=0, le=86_400, description="seconds from the last first message to the follow-ups")]
MOST_NUMBERS = 50  # in a pool
Recipients = Annotated[int, Meta(ge=1, le=5_000_000)]
LabelName = Annotated[str, Meta(max_length=100, pattern=NO_NUL)]
GivenNumber = Annotated[str, Meta(min_length=1, max_length=40, examples=["+13135550100"])]


class Body(Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that a client sends."""


class Page(Struct, Generic[T], kw_only=True):
    """Part of a list; `next_cursor` asks for the next part and is null at the end."""

    items: list[T]
    next_cursor: str | None


# --- broadcasts


class Share(Body):
    """A share of the audience: how many are drawn from the segment, by one of `ratio`, `count` and `all`.

    Segments that give all of their people come first, then those that give a number. `ratio` is percent of what these
    leave of `max_recipients`.
    """

    segment_id: Id
    ratio: Annotated[float, Meta(gt=0, le=100)] | None = None
    count: Recipients | None = None
    all: bool = False


class SegmentRef(Body):
    """A segment by its id."""

    segment_id: Id


class FrequencyCap(Body):
    """At most so many texts to one person within so many days, of all broadcasts; the follow-up is a text.

    It holds beside the organisation's.
    """

    texts: Annotated[int, Meta(ge=1, le=frequency.MOST_TEXTS)]
    days: Annotated[int, Meta(ge=1, le=frequency.MOST_DAYS)]


Excluded = Annotated[list[SegmentRef], Meta(max_length=100)]


class Week(Body):
    """When a broadcast that repeats goes out: the time of each weekday.

    A day without a time is left out, and so are holidays. The times are those of the organisation's clocks.
    """

    monday: WallTime | None = None
    tuesday: WallTime | None = None
    wednesday: WallTime | None = None
    thursday: WallTime | None = None
    friday: WallTime | None = None
    saturday: WallTime | None = None
    sunday: WallTime | None = None


class NewBroadcast(Body):
    """A broadcast to be created. Without `second_message` it has no follow-up.

    A draft, or one to nobody, stays where it is; its time may come and go. It goes to segments, or to a file.
    """

    run_at: Moment
    first_message: MessageBody
    segments: Annotated[list[Share], Meta(max_length=100)] = []
    #: Left out, or null: it goes to the segments. Else the id of an import: everybody in that file gets it, and it does
    #: not repeat. Where the file has words for each person, they stand for `{{ message }}` and `{{ follow_up }}`.
    file: Id | None = None
    #: May be left out with a file: then all who are in it may get it.
    max_recipients: Recipients | UnsetType = UNSET
    #: Left out, or null: nobody gets a follow-up.
    second_message: MessageBody | None = None
    second_delay: Delay | UnsetType = UNSET
    from_number: GivenNumber | UnsetType = UNSET
    #: Further numbers of ours that it is sent from: each recipient gets it from the one that they last had, if any.
    pool: Annotated[list[GivenNumber], Meta(max_length=MOST_NUMBERS)] = []
    #: Left out: yes, unless it goes to a file.
    recurring: bool | UnsetType = UNSET
    #: Left out, or null: a broadcast that repeats goes out at the time of `run_at` on each working day.
    week: Week | None = None
    draft: bool = False
    #: A label of Missive's, by its name, that its conversations get; it is made there where there is none.
    label: LabelName = ""
    #: Segments whose people are left out, whatever segment would draw them.
    exclude: Excluded = field(default_factory=list)
    #: The segment that fills up what the others do not give.
    fallback: SegmentRef | None = None
    frequency_cap: FrequencyCap | None = None
    #: What becomes of a message that would come too late in the day for its recipient.
    late: Late = Late.WAIT


class BroadcastChanges(Body):
    """What is to change about a scheduled broadcast; what is left out stays.

    With `second_message` null it has no follow-up. With `file` it goes to that file and not to segments any more, with
    `segments` to those and not to a file.
    """

    run_at: Moment | UnsetType = UNSET
    first_message: MessageBody | UnsetType = UNSET
    second_message: MessageBody | UnsetType | None = UNSET
    segments: Annotated[list[Share], Meta(max_length=100)] | UnsetType = UNSET
    file: Id | UnsetType = UNSET
    max_recipients: Recipients | UnsetType = UNSET
    second_delay: Delay | UnsetType = UNSET
    from_number: GivenNumber | UnsetType = UNSET
    pool: Annotated[list[GivenNumber], Meta(max_length=MOST_NUMBERS)] | UnsetType = UNSET
    recurring: bool | UnsetType = UNSET
    week: Week | UnsetType | None = UNSET
    draft: bool | UnsetType = UNSET
    label: LabelName | UnsetType = UNSET
    exclude: Excluded | UnsetType = UNSET
    fallback: SegmentRef | UnsetType | None = UNSET
    frequency_cap: FrequencyCap | UnsetType | None = UNSET
    late: Late | UnsetType = UNSET


class BroadcastSegment(Struct, kw_only=True):
    """A segment of a broadcast; `quota`, `drawn` and `filter` are known once it was made.

    `filter` is whom the segment took in then, with the segments that it names in their places.
    """

    segment_id: int
    name: str
    #: One of the three says how many it is asked for.
    ratio: float | None = None
    count: int | None = None
    all: bool = False
    quota: int | None
    drawn: int | None
    filter: dict[str, Any] | None = None


class ExcludedSegment(Struct, kw_only=True):
    """A segment whose people a broadcast leaves out; `filter` is whom it took in when the broadcast was made."""

    segment_id: int
    name: str
    filter: dict[str, Any] | None = None


class FallbackSegment(Struct, kw_only=True):
    """The segment that fills up what the others do not give: `quota` people, of whom it gave `drawn`."""

    segment_id: int
    name: str
    quota: int | None = None
    drawn: int | None = None
    filter: dict[str, Any] | None = None


class WhyLeftOut(Struct, kw_only=True):
    """How many people of a broadcast's segments do not get it for one reason; who has several has the first."""

    reason: LeftOut
    people: int
    sentence: str


class PhaseParts(Struct, kw_only=True):
    """How many messages of a phase need so many parts."""

    is_second: bool
    parts: int
    messages: int


class Broadcast(Struct):
    """A broadcast."""

    id: int
    state: BroadcastState
    run_at: Moment
    #: The same moment in the organisation's time zone.
    run_at_local: Moment
    first_message: str
    #: None where there is no follow-up.
    second_message: str | None
    second_delay: int
    segments: list[BroadcastSegment]
    max_recipients: int
    from_number: PhoneNumber
    #: Further numbers that it is sent from.
    pool: list[PhoneNumber]
    recurring: bool
    #: None where it goes out once, or at the same time on each working day.
    week: Week | None
    #: It goes to nobody until somebody says that it is none.
    draft: bool
    #: What becomes of a message that would come too late in the day for its recipient.
    late: Late
    #: Who wrote it, or changed it last, and who approved it as it is: `user:7`, `key:website`, `console:ana`.
    author: str
    approved_by: str | None
    recipients: int | None
    made_at: Moment | None
    #: No message leaves before this; until one has left, the broadcast can be called back.
    hold_until: Moment | None
    second_due_at: Moment | None
    next_broadcast_id: int | None
    previous_id: int | None
    paused_from: BroadcastState | None
    pause_reason: str | None
    missed_reason: str | None
    completed_at: Moment | None
    #: In how many parts its messages go, once it was made, where its messages have variables; else empty.
    parts: list[PhaseParts] = field(default_factory=list)
    #: The import whose people get it; null where it goes to segments.
    file: int | None = None
    #: What its conversations are labelled in Missive; empty where they are not.
    label: str = ""
    #: Why they could not be, where that is so: a code.
    label_fault: str | None = None
    exclude: list[ExcludedSegment] = field(default_factory=list)
    fallback: FallbackSegment | None = None
    frequency_cap: FrequencyCap | None = None
    #: How many people of its segments were left out when it was made, each once: `opted_out`, `held`, `unreachable`,
    #: `excluded`, `capped`.
    left_out: dict[LeftOut, int] = field(default_factory=dict)

    @property
    def began_at(self) -> datetime:
        """When it began, or is to begin: one that is sent now does not wait for `run_at`."""
        return self.made_at or self.run_at

    @property
    def is_draft(self) -> bool:
        """Whether it goes to nobody as it is."""
        return self.state == BroadcastState.SCHEDULED and (self.draft or not self.segments)


class Made(Struct, kw_only=True):
    """What became of `/make`."""

    broadcast_id: int
    recipients: int
    next_broadcast_id: int | None
    next_run_at: Moment | None


class Asked(Struct, kw_only=True):
    """A step was asked for and will be taken."""

    broadcast_id: int


class SendAgain(Body):
    """Who says that an uncertain message is to be sent again, and why."""

    by: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL, description="who says so, by name")]
    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] = ""


class SentAgain(Struct, kw_only=True):
    """An uncertain message waits to be sent again."""

    broadcast_id: int
    message_id: int
    state: MessageState
    by: str


class Message(Struct):
    """One message of one recipient."""

    id: int
    contact_id: int
    phone_number: PhoneNumber | None
    name: str
    segment_id: int
    is_second: bool
    state: MessageState
    skip_reason: SkipReason | None
    attempts: int
    attempt_started_at: Moment | None
    #: What the carrier did with it: `not_handed_over` if Missive took it and Twilio never got it.
    outcome: Outcome | None
    missive_id: str | None
    missive_conversation_id: str | None
    twilio_id: str | None
    twilio_sent_at: Moment | None
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
    occurred_at: Moment
    correlation_id: UUID
    causation_id: UUID | None
    #: Who did it: `user:7`, `key:website`, `carrier:twilio`, `service:planner` or `console:ana`.
    actor: str
    #: The user's name; null where it was no user.
    actor_name: str | None


# --- contacts


class Unreachable(Struct, kw_only=True):
    """Why a number is left out of every draw: its messages failed for its own sake in several broadcasts in a row."""

    #: The carrier's code of the last failure, and what it means.
    code: str
    meaning: str
    #: When the first of those messages began to leave.
    since: Moment


class Person(Body):
    """Who says so."""

    by: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


class Contact(Struct, kw_only=True):
    """Somebody who may be texted, unless opted out. An erased contact has neither number nor name."""

    id: int
    phone_number: PhoneNumber | None
    name: str
    tags: list[str]
    #: What else is known: texts, numbers, yes or no, dates as `2026-11-27`.
    attributes: dict[str, AttributeValue]
    #: By the IANA database; null where it is not known.
    time_zone: str | None
    #: BCP 47; null where it is not known.
    language: str | None
    opted_out: bool
    #: Null as long as the number may be drawn.
    unreachable: Unreachable | None
    created_at: Moment
    erased_at: Moment | None


class ContactChanges(Body):
    """What is to change about a contact; what is left out stays."""

    name: Name | UnsetType = UNSET
    tags: Annotated[list[Tag], Meta(max_length=100)] | UnsetType = UNSET
    #: Those that are named are changed, null removes one, the others stay.
    attributes: Annotated[dict[AttributeName, AttributeValue | None], Meta(max_length=MOST_ATTRIBUTES)] | UnsetType = (
        UNSET
    )
    time_zone: TimeZone | UnsetType | None = UNSET
    language: Language | UnsetType | None = UNSET
    opted_out: bool | UnsetType = UNSET
    #: Why they are opted out, or in again: kept with `opted_out`.
    reason: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | UnsetType = UNSET


class ImportUndone(Struct, kw_only=True):
    """What became of the people whom an import had added or changed."""

    import_id: int
    #: They were new, and are erased again.
    removed: int
    #: They have the name, the tags and the attributes that they had before.
    restored: int
    #: They stay as they are: somebody or something else has touched them since, or the file said that they opted out.
    kept: int


class RejectedLine(Struct, kw_only=True):
    """A line of a file that was not imported. The reason does not repeat what the line holds."""

    line: int
    reason: str


class Imported(Struct, kw_only=True):
    """What became of a file of contacts, counted by distinct number; the first thousand rejected lines are listed."""

    #: By which the import can be undone; null in an answer of before there was an undo, given again by its key.
    import_id: int | None = None
    imported: int
    updated: int
    unchanged: int
    rejected: list[RejectedLine]
    rejected_count: int
    #: Numbers that opted out by what the file says, and had not before.
    opted_out: int = 0
    #: People who have as many attributes as anybody may: of those in the file some were not taken.
    full: int = 0
    #: Headings of the columns that were not read.
    passed_over: list[str] = field(default_factory=list)
    #: In which encoding a text was read; empty of a workbook.
    encoding: str = ""
    #: Which sheet of a workbook was read, and which were not; empty of a text.
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)
    #: Free attributes that columns became, and of which kind: text, number, date, yes/no.
    attributes: dict[str, str] = field(default_factory=dict)
