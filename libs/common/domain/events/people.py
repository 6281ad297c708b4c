"""What people answer, and what follows for their numbers."""

from dataclasses import dataclass

from libs.common.domain.keywords import Reason
from libs.common.domain.states import ClearedBecause, ConsentSource, ReplyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReceived:
    """A recipient wrote back."""

    broadcast_id: int
    reply_id: int
    contact_id: int
    #: What it is: a person's own words, or what a phone or a machine made.
    kind: ReplyKind = ReplyKind.OWN_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedOut:
    """A contact asked to be left alone."""

    contact_id: int
    source: ConsentSource
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedIn:
    """A contact asked to hear from us again."""

    contact_id: int
    source: ConsentSource
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutSuspected:
    """Somebody is likely to want nothing more; nothing leaves for their number until a person has looked."""

    reply_id: int
    #: None for somebody who is no contact.
    contact_id: int | None
    reason: Reason
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutReviewed:
    """A person has looked; the row of `replies` names who."""

    reply_id: int
    contact_id: int | None
    opted_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberUnreachable:
    """Messages to a contact have failed for good in several broadcasts in a row: its number is drawn no more."""

    contact_id: int
    #: The carrier's, of the last one.
    code: str
    broadcast_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberReachable:
    """A contact's number may be drawn again."""

    contact_id: int
    #: The row of `unreachable_numbers` names the person, where one said so.
    because: ClearedBecause
