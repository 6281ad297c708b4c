"""What has happened, in the past tense. Every change is one of these; the tables can be rebuilt from them.

They carry ids, never a phone number, a name or the body of a reply. `message_ids` are ids of `outgoing_messages`. Aware
datetimes only.
"""

from libs.common.domain.events.broadcasts import (
    BroadcastApproved,
    BroadcastCalledBack,
    BroadcastCancelled,
    BroadcastCompleted,
    BroadcastEdited,
    BroadcastMade,
    BroadcastMissed,
    BroadcastPaused,
    BroadcastResumed,
    BroadcastScheduled,
    Draw,
    Excluded,
    Ledger,
    NumbersAssigned,
    NumbersForgotten,
    Parts,
    PhaseFinished,
    RecipientsDrawn,
    RepeatingStopped,
    SecondPhaseStarted,
    Segment,
)
from libs.common.domain.events.messages import (
    BatchClaimed,
    BatchSent,
    MessageAccepted,
    MessageRefused,
    MessageReturned,
    MessageSentAgain,
    MessagesNotHandedOver,
    MessagesSkipped,
    MessagesStarted,
    MessageStatus,
    MessagesUncertain,
    StatusesSynced,
    UncertainSettled,
)
from libs.common.domain.events.people import (
    NumberReachable,
    NumberUnreachable,
    OptedIn,
    OptedOut,
    OptOutReviewed,
    OptOutSuspected,
    ReplyReceived,
)
from libs.common.domain.events.registers import (
    ConsentExported,
    ContactChanged,
    ContactErased,
    ContactsImported,
    DeadLettersDropped,
    DeadLettersSentBack,
    ImportUndone,
    KeyCreated,
    KeyRevoked,
    NoticesChosen,
    PasswordChosen,
    RegisterEvent,
    RestoreMarked,
    RestoreSettled,
    SegmentChanged,
    SegmentCreated,
    SegmentDeleted,
    SessionsEnded,
    UserChanged,
    UserInvited,
)

__all__ = [
    "EVENTS",
    "PUBLISHED",
    "BatchClaimed",
    "BatchSent",
    "BroadcastApproved",
    "BroadcastCalledBack",
    "BroadcastCancelled",
    "BroadcastCompleted",
    "BroadcastEdited",
    "BroadcastMade",
    "BroadcastMissed",
    "BroadcastPaused",
    "BroadcastResumed",
    "BroadcastScheduled",
    "ConsentExported",
    "ContactChanged",
    "ContactErased",
    "ContactsImported",
    "DeadLettersDropped",
    "DeadLettersSentBack",
    "Draw",
    "Event",
    "Excluded",
    "ImportUndone",
    "KeyCreated",
    "KeyRevoked",
    "Ledger",
    "MessageAccepted",
    "MessageRefused",
    "MessageReturned",
    "MessageSentAgain",
    "MessageStatus",
    "MessagesNotHandedOver",
    "MessagesSkipped",
    "MessagesStarted",
    "MessagesUncertain",
    "NoticesChosen",
    "NumberReachable",
    "NumberUnreachable",
    "NumbersAssigned",
    "NumbersForgotten",
    "OptOutReviewed",
    "OptOutSuspected",
    "OptedIn",
    "OptedOut",
    "Parts",
    "PasswordChosen",
    "PhaseFinished",
    "Published",
    "RecipientsDrawn",
    "RegisterEvent",
    "RepeatingStopped",
    "ReplyReceived",
    "RestoreMarked",
    "RestoreSettled",
    "SecondPhaseStarted",
    "Segment",
    "SegmentChanged",
    "SegmentCreated",
    "SegmentDeleted",
    "SessionsEnded",
    "StatusesSynced",
    "UncertainSettled",
    "UserChanged",
    "UserInvited",
]

Event = (
    BroadcastScheduled | BroadcastEdited | BroadcastApproved | RecipientsDrawn | BroadcastMade | BroadcastCalledBack
    | BroadcastMissed | BroadcastPaused | BroadcastResumed | BroadcastCancelled | BatchClaimed | MessagesStarted
    | MessageAccepted | MessageRefused | MessageReturned | MessagesUncertain | MessageSentAgain | UncertainSettled
    | MessagesSkipped | MessagesNotHandedOver | BatchSent | PhaseFinished | SecondPhaseStarted | ReplyReceived
    | OptedOut | OptedIn | OptOutSuspected | OptOutReviewed | StatusesSynced | BroadcastCompleted | NumbersForgotten
    | NumbersAssigned | NumberUnreachable | NumberReachable | RepeatingStopped | RegisterEvent
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = Event.__args__

#: Those that other services hear of; the rest is history only.
Published = (
    BroadcastScheduled | BroadcastEdited | BroadcastMade | BroadcastCalledBack | BroadcastMissed | BroadcastPaused
    | BroadcastResumed | BroadcastCancelled | BatchSent | MessagesUncertain | MessageSentAgain | UncertainSettled
    | PhaseFinished | SecondPhaseStarted | StatusesSynced | BroadcastCompleted
)  # fmt: skip
PUBLISHED: tuple[type[Published], ...] = Published.__args__
