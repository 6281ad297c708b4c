"""What happens to messages: batches, attempts, their outcomes, and what the carrier's log says."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.domain.states import SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchClaimed:
    """A worker took messages to send."""

    broadcast_id: int
    batch_id: UUID
    fence: int
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesStarted:
    """The requests of these messages may leave from now on: what is not answered after this is uncertain."""

    broadcast_id: int
    batch_id: UUID
    message_ids: tuple[int, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted:
    """The carrier has the message."""

    broadcast_id: int
    message_id: int
    missive_id: str | None
    missive_conversation_id: str | None
    twilio_id: str | None
    twilio_status: str | None
    #: Found in the carrier's log after its answer was lost.
    settled: bool = False
    #: When it was sent by the log, where a restore has undone the attempt itself (`reconcile`); the attempt counts as
    #: one.
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused:
    """The carrier will not take the message, for good."""

    broadcast_id: int
    message_id: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReturned:
    """The message certainly did not leave; it goes back to the pool."""

    broadcast_id: int
    message_id: int
    code: str
    not_before: datetime
    #: Whether it counts towards `MAX_ATTEMPTS`.
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesUncertain:
    """Nobody knows whether these messages were sent; only the carrier's log can tell."""

    broadcast_id: int
    message_ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSentAgain:
    """Somebody said that an uncertain message is to be sent again all the same; it goes back to the pool."""

    broadcast_id: int
    message_id: int
    #: Who said so, by name.
    by: str
    reason: str
    not_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainSettled:
    """The carrier's log was asked about uncertain messages; what it said of each is an event of its own."""

    broadcast_id: int
    found: int
    #: Not in the log: given back, given up, or too late to be sent.
    not_found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesSkipped:
    """These messages will never be sent."""

    broadcast_id: int
    message_ids: tuple[int, ...]
    reason: SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesNotHandedOver:
    """Missive took these messages, and Twilio never got them: most likely their recipients have said STOP to it."""

    broadcast_id: int
    message_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSent:
    """A batch is over; what it did not start went back to the pool."""

    broadcast_id: int
    batch_id: UUID
    is_second: bool
    #: How many messages it started.
    started: int
    returned: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """What the carrier's log says of one message."""

    message_id: int
    twilio_id: str
    status: str
    error_code: int | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusesSynced:
    """One page of the carrier's log was read, or one delivery report came in."""

    broadcast_id: int
    statuses: tuple[MessageStatus, ...]
    #: The pass that read it, 0 for one by hand; None for a delivery report and for `reconcile`.
    number: int | None
    #: The page to read next; None at the end of the log.
    next_page: str | None = None
