"""What has happened to registers: contacts, segments, users and API keys; and what operators did.

History says who did it, by the actor. The registers are not rebuilt from these: events name people by id, and who they
are stands in the register alone.
"""

from dataclasses import dataclass
from datetime import datetime

from libs.common.domain.notices import NoticeChannel, NoticeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactsImported:
    """A file of contacts was imported."""

    imported: int
    updated: int
    opted_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportUndone:
    """What an import of a file had added and changed was taken back, of all whom nothing else has touched since."""

    import_id: int
    removed: int
    restored: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged:
    """What is known of a contact was changed."""

    contact_id: int
    #: Which fields: `name`, `tags`, `attributes`, `time_zone`, `language`.
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactErased:
    """A contact was erased."""

    contact_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentExported:
    """The register of every opt-out and opt-in was taken."""

    #: `csv` or `jsonl`.
    form: str
    #: Whether a code stood for each number.
    hashed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCreated:
    """A segment was created."""

    segment_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChanged:
    """A segment's name or filter was changed: it concerns broadcasts that are made after it."""

    segment_id: int
    #: Which fields: `name`, `filter`.
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDeleted:
    """A segment that no broadcast named was deleted."""

    segment_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordCreated:
    """A keyword was made by which people sign up."""

    keyword_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordChanged:
    """A keyword was changed: it concerns whoever texts it from then on."""

    keyword_id: int
    #: Which fields: `word`, `tag`, `welcome`, `question`.
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordDeleted:
    """A keyword was deleted: it means nothing any more."""

    keyword_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUp:
    """Somebody has signed up by a keyword."""

    contact_id: int
    keyword_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyAssigned:
    """A reply was handed to a user, or to nobody any more."""

    reply_id: int
    user_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyDone:
    """Nothing more is to be done about a reply."""

    reply_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReopened:
    """Something is to be done about a reply after all."""

    reply_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleMessageAsked:
    """A message of no broadcast is to be sent to one person."""

    single_id: int
    #: `SinglePurpose`.
    purpose: str
    #: Whom it is for, where that is a contact, and the reply that it answers.
    contact_id: int | None
    reply_id: int | None
    #: The broadcast whose words it tries, or that the reply answers.
    about_broadcast_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleMessageEnded:
    """What became of a message of no broadcast: what the carrier said, that it was not sent, or that nobody knows."""

    single_id: int
    #: `MessageState`, with the carrier's code or the reason.
    state: str
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInvited:
    """A user was added, or was given a link to choose another password."""

    user_id: int
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanged:
    """A user's name or role was changed, or whether the user may sign in."""

    user_id: int
    role: str
    disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChosen:
    """A user chose a password. All sessions of the user ended."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsEnded:
    """A user was signed out, in one browser or in all."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesChosen:
    """It was chosen which notices go by a way, for a user or for the organisation."""

    user_id: int | None
    channel: NoticeChannel
    kinds: tuple[NoticeKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated:
    """An API key was made."""

    key_id: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevoked:
    """An API key was taken back."""

    key_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersSentBack:
    """Messages that a service could not handle were sent back to it."""

    letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersDropped:
    """Messages that a service could not handle were removed for good."""

    letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreMarked:
    """The database was said to be restored to a time: nothing starts before everything since is settled."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettled:
    """Everything since that time is settled: broadcasts go on."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNumberChanged:
    """A user gave a number for test messages, another one, or took it back."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberChanged:
    """How a number of ours sends was changed."""

    sending_number_id: int
    #: Which fields: `carrier`, `rate`, `minute_limit`, `daily_cap`, `hours`, `enabled`,
    #: `messaging_service_sid`.
    fields: tuple[str, ...]


RegisterEvent = (
    ContactsImported | ImportUndone | ContactChanged | ContactErased | SegmentCreated | SegmentChanged | SegmentDeleted
    | UserInvited | UserChanged | PasswordChosen | SessionsEnded | NoticesChosen | KeyCreated | KeyRevoked
    | DeadLettersSentBack | DeadLettersDropped | RestoreMarked | RestoreSettled | ReplyAssigned | ReplyDone
    | KeywordCreated | KeywordChanged | KeywordDeleted | SignedUp
    | ConsentExported | ReplyReopened | SingleMessageAsked | SingleMessageEnded | OwnNumberChanged | NumberChanged
)  # fmt: skip
REGISTER_EVENTS: tuple[type[RegisterEvent], ...] = RegisterEvent.__args__
