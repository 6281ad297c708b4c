"""What came of one request to send a message: one of four values.

The difference that matters is what is known. `Accepted` and `Refused` settle a message, `Deferred` says for certain
that the carrier has not taken it, so that it may be sent again; `Unknown` says nothing, so that it must be looked up
first. Codes and reasons come from tables of ours, never from a carrier's words: they hold no phone number and no body.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The carrier took the message."""

    missive_id: str | None = None
    missive_conversation_id: str | None = None
    twilio_id: str | None = None
    twilio_status: str | None = None
    #: Seconds until the carrier takes more: this message was the last of its window.
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The carrier refused the message for good."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """The carrier has certainly not taken the message; the recipient is not at fault."""

    code: str
    reason: str
    #: Seconds for which the carrier asked to be left alone.
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nobody can say whether the carrier took the message."""

    reason: str
    #: Seconds for which the carrier asked to be left alone.
    retry_after: float | None = None


Outcome = Accepted | Refused | Deferred | Unknown
