"""What happens to a broadcast, from its writing to its report."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.common.domain.frequency import Cap
from libs.common.domain.states import Late, PauseReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A share of the audience: a number of people, percent, or without either everybody in the segment."""

    segment_id: int
    #: Percent of what the others leave of `max_recipients` (`domain/shares.py`).
    ratio: float | None = None
    #: So many people.
    count: int | None = None

    @property
    def gives_all(self) -> bool:
        """Whether everybody in the segment is asked for."""
        return self.ratio is None and self.count is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastScheduled:
    """A broadcast was created."""

    broadcast_id: int
    run_at: datetime
    first_message: str
    #: None for a broadcast without a follow-up.
    second_message: str | None
    #: Seconds from the last first message to the follow-ups.
    second_delay: int
    segments: tuple[Segment, ...]
    max_recipients: int
    #: The row of `sending_numbers`: events hold no phone number.
    sending_number_id: int
    recurring: bool
    #: The broadcast whose making created this one, if any.
    previous_id: int | None = None
    #: Who wrote it: an actor (`actors.py`). One that follows another has the other's author.
    author: str = ""
    #: Where it recurs at times of its own: `HH:MM` of each weekday from Monday on, empty where it leaves one out.
    week: tuple[str, ...] = ()
    #: It goes to nobody until somebody says that it is none.
    draft: bool = False
    #: What its conversations are labelled in Missive, by the label's name; empty where they are not.
    label: str = ""
    #: The segments whose people are left out, whatever other segment they are in.
    excluded: tuple[int, ...] = ()
    #: The segment that fills up what the others do not give.
    fallback: int | None = None
    #: The frequency cap of its own, beside that of the organisation: texts within days.
    cap_texts: int | None = None
    cap_days: int | None = None
    #: What becomes of a message that would come too late in the day for its recipient.
    late: Late = Late.WAIT
    #: Further numbers that it is sent from: rows of `sending_numbers`.
    pool: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastEdited:
    """Staff changed a scheduled broadcast; the fields hold what it is from now on."""

    broadcast_id: int
    run_at: datetime
    first_message: str
    second_message: str | None
    second_delay: int
    segments: tuple[Segment, ...]
    max_recipients: int
    sending_number_id: int
    recurring: bool
    #: Who changed it, which makes it theirs.
    author: str = ""
    week: tuple[str, ...] = ()
    draft: bool = False
    label: str = ""
    excluded: tuple[int, ...] = ()
    fallback: int | None = None
    cap_texts: int | None = None
    cap_days: int | None = None
    late: Late = Late.WAIT
    pool: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatingStopped:
    """A scheduled broadcast goes out once more, and not again. That voids no approval."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastApproved:
    """Somebody who is not its author approved the broadcast as it is; a change voids that."""

    broadcast_id: int
    #: An actor, always a user.
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one segment gave."""

    segment_id: int
    #: Contacts that it was asked for; of the fallback, as many as the others did not give.
    quota: int
    #: Contacts that it gave; fewer than the quota is a shortfall.
    drawn: int
    #: Whom it took in then, with the segments that it names in their places (`domain/segments.py`).
    filter: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A segment whose people were left out."""

    segment_id: int
    #: Whom it took in then.
    filter: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientsDrawn:
    """Some recipients were fixed: the nth contact gets the nth first and the nth second message, if there are any."""

    broadcast_id: int
    segment_id: int
    contacts: tuple[int, ...]
    first_message_ids: tuple[int, ...]
    second_message_ids: tuple[int, ...]
    #: Where each one's clocks are (`quiet_hours.py`); none where that was not asked.
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersAssigned:
    """Some messages leave from one of the broadcast's numbers; those of which nothing says so, from its own."""

    broadcast_id: int
    #: The place in the pool, from 1 on; 0 for the broadcast's own number.
    pool_index: int
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How many messages of a phase need so many parts, where each person gets their own words."""

    is_second: bool
    parts: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMade:
    """The recipients are fixed and the first phase begins."""

    broadcast_id: int
    recipients: int
    #: The draw's seed: the same seed over the same contacts draws the same people.
    seed: int
    draws: tuple[Draw, ...]
    next_broadcast_id: int | None
    #: No message leaves before this, so that the broadcast can be called back; None where it is not held.
    hold_until: datetime | None = None
    #: Of phases whose message has variables; the words themselves are in no event.
    parts: tuple[Parts, ...] = ()
    #: What the fallback gave, where there is one.
    fallback: Draw | None = None
    excluded: tuple[Excluded, ...] = ()
    #: The frequency caps that held: the organisation's, and its own.
    caps: tuple[Cap, ...] = ()
    #: How many people of its segments were left out, each once, by the reason (`broadcasts/audience.py`).
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastCalledBack:
    """Staff took the broadcast back before a message had left: nobody got it, and it is as it was before its making."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMissed:
    """The broadcast was not made on its day, or could not be."""

    broadcast_id: int
    #: `day_over`, `empty_draw`, `not_approved` or `unrenderable`. In the row also `called_back`.
    reason: str
    next_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastPaused:
    """Staff, or an error that hits every message, stopped the broadcast for now."""

    broadcast_id: int
    #: A `PauseReason`, or the carrier's code.
    reason: str = PauseReason.STAFF


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastResumed:
    """A paused broadcast goes on where it stopped."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastCancelled:
    """Staff ended the broadcast; what was not sent will not be."""

    broadcast_id: int
    next_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """No message of the phase remains to be sent."""

    broadcast_id: int
    is_second: bool
    #: When the follow-ups begin; None after the second phase, and where there are none.
    second_due_at: datetime | None
    #: Messages that the phase no longer waits for; they may still be settled.
    uncertain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPhaseStarted:
    """The follow-ups begin."""

    broadcast_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of every planned message; it adds up."""

    planned: int
    accepted: int
    #: Code to count.
    refused: dict[str, int] = field(default_factory=dict)
    #: Reason to count.
    skipped: dict[str, int] = field(default_factory=dict)
    uncertain: int = 0
    #: Taken by Missive, and never handed to Twilio; not among the accepted.
    not_handed_over: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastCompleted:
    """The report is final."""

    broadcast_id: int
    ledger: Ledger
    #: Accepted messages whose fate the log did not show by the deadline.
    unsettled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersForgotten:
    """The messages that have ended have no phone numbers any more: their time is over."""

    broadcast_id: int
