"""What has happened, in the past tense. Every change of a broadcast is one of these; the tables can be rebuilt so.

They carry ids, never a phone number, a name or the text of a reply. `texts` are ids of `outgoing_messages`. Aware
datetimes only.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A share of the audience."""

    segment_id: int
    #: Percent of `max_recipients`.
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastScheduled:
    """A broadcast was created."""

    broadcast_id: int
    run_at: datetime
    first_message: str
    second_message: str
    #: Seconds from the last first message to the follow-ups.
    second_delay: int
    segments: tuple[Segment, ...]
    max_recipients: int
    #: The row of `sending_numbers`: events hold no phone number.
    sending_number_id: int
    recurring: bool
    #: The broadcast whose making created this one, if any.
    previous_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastEdited:
    """Staff changed a scheduled broadcast; the fields hold what it is from now on."""

    broadcast_id: int
    run_at: datetime
    first_message: str
    second_message: str
    second_delay: int
    segments: tuple[Segment, ...]
    max_recipients: int
    sending_number_id: int
    recurring: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one segment gave."""

    segment_id: int
    #: Contacts that its ratio asks for.
    quota: int
    #: Contacts that it gave; fewer than the quota is a shortfall.
    drawn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientsDrawn:
    """Some recipients were fixed: the nth contact gets the nth first and the nth second text."""

    broadcast_id: int
    segment_id: int
    contacts: tuple[int, ...]
    first_texts: tuple[int, ...]
    second_texts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMade:
    """The recipients are fixed and the first phase begins."""

    broadcast_id: int
    recipients: int
    #: The draw's seed: the same seed over the same contacts draws the same people.
    seed: int
    draws: tuple[Draw, ...]
    next_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMissed:
    """The broadcast was not made on its day, or could not be."""

    broadcast_id: int
    #: `day_over`, `no_segments` or `empty_draw`.
    reason: str
    next_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastPaused:
    """Staff, or an error that hits every text, stopped the broadcast for now."""

    broadcast_id: int
    #: `staff`, or the carrier's code.
    reason: str = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastResumed:
    """A paused broadcast goes on where it stopped."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastCancelled:
    """Staff ended the broadcast; what has not left will not."""

    broadcast_id: int
    next_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchClaimed:
    """A worker took texts to send."""

    broadcast_id: int
    batch_id: UUID
    fence: int
    texts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsStarted:
    """The requests of these texts may leave from now on: what is not answered after this is uncertain."""

    broadcast_id: int
    batch_id: UUID
    texts: tuple[int, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TextAccepted:
    """The carrier has the text."""

    broadcast_id: int
    text: int
    missive_id: str | None
    missive_conversation_id: str | None
    twilio_id: str | None
    twilio_status: str | None
    #: Found in the carrier's log after its answer was lost.
    settled: bool = False
    #: When it left by the log, where a restore has undone the attempt itself (`reconcile`); the attempt counts as one.
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRefused:
    """The carrier will not take the text, for good."""

    broadcast_id: int
    text: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReturned:
    """The text certainly did not leave; it goes back to the pool."""

    broadcast_id: int
    text: int
    code: str
    not_before: datetime
    #: Whether it counts towards `MAX_ATTEMPTS`.
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsUncertain:
    """Nobody knows whether these texts left; only the carrier's log can tell."""

    broadcast_id: int
    texts: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainSettled:
    """The carrier's log was asked about uncertain texts; what it said of each is an event of its own."""

    broadcast_id: int
    found: int
    #: Not in the log: given back, given up, or too late to be sent.
    not_found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsSkipped:
    """These texts will never be sent."""

    broadcast_id: int
    texts: tuple[int, ...]
    #: `replied`, `opted_out`, `first_refused`, `quiet_hours`, `cancelled`, `phase_over` or `erased`.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSent:
    """A batch is over; what it did not start went back to the pool."""

    broadcast_id: int
    batch_id: UUID
    is_second: bool
    #: How many texts it started.
    started: int
    returned: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """No text of the phase is left to send."""

    broadcast_id: int
    is_second: bool
    #: When the follow-ups begin; None after the second phase.
    second_due_at: datetime | None
    #: Texts that the phase no longer waits for; they may still be settled.
    uncertain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPhaseStarted:
    """The follow-ups begin."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReceived:
    """A recipient wrote back."""

    broadcast_id: int
    reply_id: int
    contact_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedOut:
    """A contact asked to be left alone."""

    contact_id: int
    #: `sms`, `carrier` (it told us) or `staff`.
    source: str
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedIn:
    """A contact asked to hear from us again."""

    contact_id: int
    source: str
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStatus:
    """What the carrier's log says of one text."""

    text: int
    twilio_id: str
    status: str
    error_code: int | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusesSynced:
    """One page of the carrier's log was read, or one delivery report came in."""

    broadcast_id: int
    statuses: tuple[TextStatus, ...]
    #: The pass that read it, 0 for one by hand; None for a delivery report and for `reconcile`.
    number: int | None
    #: The page to read next; None at the end of the log.
    next_page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of every planned text; it adds up."""

    planned: int
    accepted: int
    #: Code to count.
    refused: dict[str, int] = field(default_factory=dict)
    #: Reason to count.
    skipped: dict[str, int] = field(default_factory=dict)
    uncertain: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastCompleted:
    """The report is final."""

    broadcast_id: int
    ledger: Ledger
    #: Accepted texts whose fate the log had not told by the deadline.
    unsettled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersForgotten:
    """The texts that have ended have no phone numbers any more: their time is over."""

    broadcast_id: int


Event = (
    BroadcastScheduled | BroadcastEdited | RecipientsDrawn | BroadcastMade | BroadcastMissed | BroadcastPaused
    | BroadcastResumed | BroadcastCancelled | BatchClaimed | TextsStarted | TextAccepted | TextRefused | TextReturned
    | TextsUncertain | UncertainSettled | TextsSkipped | BatchSent | PhaseFinished | SecondPhaseStarted
    | ReplyReceived | OptedOut | OptedIn | StatusesSynced | BroadcastCompleted | NumbersForgotten
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = Event.__args__

#: Those that other services hear of; the rest is history only.
Published = (
    BroadcastScheduled | BroadcastEdited | BroadcastMade | BroadcastMissed | BroadcastPaused | BroadcastResumed
    | BroadcastCancelled | BatchSent | TextsUncertain | UncertainSettled | PhaseFinished | SecondPhaseStarted
    | StatusesSynced | BroadcastCompleted
)  # fmt: skip
PUBLISHED: tuple[type[Published], ...] = Published.__args__
