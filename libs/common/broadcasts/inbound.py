"""A message that somebody sent us, and what it asks for. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from libs.common.domain import keywords, reply_kinds
from libs.common.domain.keywords import Reason, Wish
from libs.common.domain.states import CarrierWord, Channel, ConsentSource, ReplyKind

#: What phones write by, and not mail programs: whose words are told apart.
PHONES = (Channel.SMS, Channel.RCS, Channel.WHATSAPP)
#: What no person has written, or only quotes our words.
NO_WISH = (ReplyKind.REACTION, ReplyKind.DELIVERY_NOTICE, ReplyKind.SHORT_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message that somebody sent us."""

    #: The provider's id: Twilio's sid where it is known, else Missive's.
    provider_id: str
    #: E.164; None where it came from no phone number.
    phone_number: str | None
    body: str
    received_at: datetime
    #: Which of our numbers it was sent to, E.164; None where the provider does not say.
    to: str | None = None
    #: The Messaging Service of Twilio's that the number is of, where that is told.
    service: str | None = None
    channel: Channel = Channel.SMS
    #: Who reported it: `missive`, `twilio`, or the carrier's `log`.
    provider: Literal["missive", "twilio", "log"] | None = None
    #: Who wrote, where that is no phone number.
    sender: str | None = None
    carrier_word: CarrierWord | None = None
    #: Whether the words are the beginning of what was written; the whole is Missive's message of that id.
    is_cut: bool = False
    missive_id: str | None = None
    #: The conversation of Missive's that it stands in.
    missive_conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a message asks for, by its words and by the carrier's."""

    wish: Literal[Wish.STOP, Wish.START] | None = None
    source: ConsentSource = ConsentSource.SMS
    #: Why a person has to look; None where nobody has to.
    reason: Reason | None = None
    kind: ReplyKind = ReplyKind.OWN_WORDS
    #: The one word of a text that asks for neither, as words are compared; None where it says more.
    word: str | None = None


def judge(inbound: Inbound) -> Verdict:
    """Return what a message asks for."""
    return judge_words(inbound.body, inbound.carrier_word, inbound.channel, inbound.phone_number, sender=inbound.sender)


def judge_words(
    body: str,
    carrier_word: CarrierWord | None,
    channel: Channel,
    phone_number: str | None,
    *,
    sender: str | None = None,
) -> Verdict:
    """Return what a message asks for: a no counts on every channel, a yes only by SMS.

    What a network or a company's machine says is no person's wish, whatever words are in it; what the carrier took it
    for counts nevertheless.
    """
    kind = ReplyKind.OWN_WORDS
    if channel in PHONES:
        kind = reply_kinds.classify(body, sender=sender if channel == Channel.SMS else None)
    verdict = _wish(body, carrier_word, channel, phone_number, kind)
    is_text = channel == Channel.SMS and phone_number is not None and kind is ReplyKind.OWN_WORDS
    word = keywords.word(body) if is_text and verdict == Verdict() else None
    return replace(verdict, kind=kind, word=word)


def _wish(
    body: str, carrier_word: CarrierWord | None, channel: Channel, phone_number: str | None, kind: ReplyKind
) -> Verdict:
    words = keywords.NOTHING if kind in NO_WISH else keywords.parse(body)
    if words.wish is Wish.STOP or carrier_word == CarrierWord.STOP:
        if phone_number is None:
            return Verdict(reason=Reason.STOP_WITHOUT_NUMBER)
        return Verdict(wish=Wish.STOP, source=ConsentSource.SMS if words.wish is Wish.STOP else ConsentSource.CARRIER)
    if channel == Channel.SMS and (words.wish is Wish.START or carrier_word == CarrierWord.START):
        return Verdict(wish=Wish.START)
    return Verdict(reason=words.reason)


def strip_nul(body: str) -> str:
    """Take out of a message what PostgreSQL cannot store."""
    return body.replace("\x00", "").encode(errors="replace").decode()
