"""What the carriers' webhooks say, as plain values. Nothing here is trusted before its signature was checked.

Whatever is signed and names who wrote is kept. If a provider leaves a field out, or writes it in another
way, only that field is missing, not the reply.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from libs.common.broadcasts.inbound import Inbound, strip_nul
from libs.common.carriers import addresses, missive_words
from libs.common.carriers.addresses import Address
from libs.common.carriers.clocks import RESOLUTION, SAME, Offset
from libs.common.carriers.missive_conversations import LONGEST_ID, NUMBER, is_id
from libs.common.domain import keywords
from libs.common.domain.keywords import Wish
from libs.common.domain.reply_kinds import is_short_code
from libs.common.domain.states import CarrierWord, Channel
from services.api.http.errors import BadSignature, MalformedBody

#: Twilio's ids. Its signature joins names and values without a separator: an id that took the next field's name and
#: value along would have the same one.
SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}(?![\s\S])", re.ASCII)
#: What Twilio always sends (https://www.twilio.com/docs/messaging/guides/webhook-request), each once.
SMS_FIELDS = ("MessageSid", "AccountSid", "From", "To", "Body", "NumMedia")
STATUS_FIELDS = ("MessageSid", "AccountSid", "MessageStatus")

#: What Twilio took a message for.
CARRIER_WORDS: dict[str, CarrierWord] = {word.upper(): word for word in CarrierWord}

#: What else there is to know somebody by, where there is no number.
SENDER = ("address", "phone_number", "username", "id", "name")

#: Words in a type of Missive's, of the message or of the rule, that name a channel.
CHANNELS: tuple[tuple[str, Channel], ...] = (
    ("whatsapp", Channel.WHATSAPP),
    ("rcs", Channel.RCS),
    ("messenger", Channel.FACEBOOK),
    ("facebook", Channel.FACEBOOK),
    ("instagram", Channel.FACEBOOK),
    ("email", Channel.EMAIL),
)
#: Channels whose senders are no phone numbers, though an id of theirs may look like one.
WITHOUT_NUMBERS = (Channel.EMAIL, Channel.FACEBOOK)

A_DAY = timedelta(days=1)
#: No message is older: a time before this is a mistake.
FIRST_TEXT = datetime(2010, 1, 1, tzinfo=UTC)
BIGGEST_ID = 10**30


def decode(raw: bytes) -> Any:
    """Read a body as JSON, half a character and other mistakes of others included. Raise MalformedBody."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise MalformedBody from None
    try:
        return json.loads(raw.decode(errors="replace"))
    except (ValueError, RecursionError):
        raise MalformedBody from None


def missive(payload: Any, now: datetime, offset: Offset = SAME) -> Inbound | None:
    """Read what somebody wrote from a Missive webhook; None if it is about something else.

    It is known by what a message has, not by the rule's type, which was renamed once.
    """
    message, kind = _message(payload)
    sender = _party(message.get("from_field"))
    if not sender:
        return None
    who = _missive_sender(sender, f"{message.get('type')} {kind}".lower())
    # Without a number, what tells of a message that came in is that it stands alone, or the rule's own word.
    is_incoming = isinstance(payload.get("message"), dict) or kind.startswith("incoming")
    if who.phone_number is None and (who.sender is None or not is_incoming or kind.startswith("outgoing")):
        return None
    words = missive_words.of_message(message, prefer_preview=who.channel == Channel.EMAIL)
    # The lines of a preview have become one: what is below a STOP may have been a signature.
    may_be_signed = words.is_preview and keywords.parse(words.text).wish is Wish.LIKELY_STOP
    missive_id = identity(message.get("id"))
    return Inbound(
        provider_id=_provider_id(message, missive_id),
        phone_number=who.phone_number,
        body=strip_nul(words.text),
        received_at=time_of(message, now, offset),
        to=_missive_sender(_party(message.get("to_fields")), "").phone_number,
        channel=who.channel,
        provider="missive",
        sender=None if who.sender is None else strip_nul(who.sender),
        is_cut=words.is_cut or (may_be_signed and who.channel != Channel.EMAIL),
        missive_id=missive_id,
        missive_conversation_id=_conversation(payload, message),
    )


def twilio(form: Sequence[tuple[str, str]], account_sid: str, now: datetime) -> Inbound:
    """Read what somebody wrote from a Twilio webhook. Raise MalformedBody, BadSignature."""
    fields = checked(form, SMS_FIELDS, account_sid)
    who = addresses.parse(fields["From"])
    return Inbound(
        provider_id=fields["MessageSid"],
        phone_number=who.phone_number,
        body=strip_nul(fields["Body"]),
        received_at=now,
        to=addresses.parse(fields["To"]).phone_number,
        service=fields.get("MessagingServiceSid") or None,
        channel=who.channel,
        provider="twilio",
        sender=None if who.sender is None else strip_nul(who.sender),
        # An account may have keywords of its own, and Twilio then blocks the number.
        carrier_word=CARRIER_WORDS.get(fields.get("OptOutType", "").upper()),
    )


def checked(form: Sequence[tuple[str, str]], names: Sequence[str], account_sid: str) -> dict[str, str]:
    """Return the fields of a form of Twilio's, of an account, that nobody has cut elsewhere.

    Raise MalformedBody, BadSignature.
    """
    counted = Counter(name for name, _ in form)
    for name in names:
        if counted[name] != 1:
            raise MalformedBody(f"{name} must be there, once")
    fields = dict(form)
    if not SID.match(fields["MessageSid"]):
        raise MalformedBody("MessageSid is none of Twilio's")
    if fields["AccountSid"] != account_sid:
        raise BadSignature("AccountSid is not the account of BROADSHEET_TWILIO_ACCOUNT_SID")
    return fields


def _message(payload: Any) -> tuple[Mapping[str, Any], str]:
    """Return the message that a payload is about, and the type of the rule that sent it; empty where it has none."""
    if not isinstance(payload, dict):
        return {}, ""
    found = next((each for key in ("message", "latest_message") if isinstance(each := payload.get(key), dict)), {})
    return found, rule_type(payload)


def part(payload: Any, name: str) -> Mapping[str, Any]:
    """Return a part of a payload; empty where it is not there, or is no object."""
    found = payload.get(name) if isinstance(payload, dict) else None
    return found if isinstance(found, dict) else {}


def rule_type(payload: Any) -> str:
    """Return the type of the rule that sent a payload, in small letters; empty where it is not told."""
    kind = part(payload, "rule").get("type")
    return kind.lower() if isinstance(kind, str) else ""


def _conversation(payload: Mapping[str, Any], message: Mapping[str, Any]) -> str | None:
    """Return the id of the conversation that a message stands in; None where it is not told."""
    for field in (payload.get("conversation"), message.get("conversation")):
        told = field.get("id") if isinstance(field, dict) else field
        if isinstance(told, str) and told:
            return identity(told)
    return None


def _party(field: Any) -> Mapping[str, Any]:
    """Return who a field names; of several the first."""
    if isinstance(field, list):
        field = field[0] if field else None
    if isinstance(field, str):
        return {"phone_number": field}
    return field if isinstance(field, dict) else {}


def _missive_sender(party: Mapping[str, Any], types: str) -> Address:
    """Return who wrote, and by which channel."""
    channel = next((channel for word, channel in CHANNELS if word in types), None)
    if channel is None and isinstance(party.get("address"), str) and not party.get("phone_number"):
        channel = Channel.EMAIL
    names = NUMBER[:1] if channel in WITHOUT_NUMBERS else NUMBER
    for text in (party.get(name) for name in names):
        found = addresses.parse(str(text)) if _is_text(text) else None
        if found is not None and found.phone_number is not None:
            return Address(channel=channel or found.channel, phone_number=found.phone_number, sender=None)
    known_by = next((str(party[name]) for name in SENDER if _is_text(party.get(name))), None)
    if channel is None and any(_is_text(party.get(name)) and is_short_code(str(party[name])) for name in NUMBER[:1]):
        channel = Channel.SMS
    return Address(
        channel=channel or Channel.OTHER,
        phone_number=None,
        sender=None if known_by is None else known_by[: addresses.LONGEST_SENDER],
    )


def _is_text(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or (isinstance(value, int) and not isinstance(value, bool))


def _provider_id(message: Mapping[str, Any], missive_id: str | None) -> str:
    """Return Twilio's id of a message where it is given, else Missive's, else one that is its own each time."""
    external_id = identity(message.get("external_id"))
    if external_id is not None and SID.match(external_id):
        return external_id
    if missive_id is not None:
        return missive_id
    if external_id is not None:
        return f"missive-{external_id}"
    said = json.dumps([message.get(key) for key in ("from_field", "delivered_at", "body", "preview")], sort_keys=True)
    return f"missive-{hashlib.sha256(said.encode(errors='replace')).hexdigest()}"


def check_id(given: str) -> None:
    """Raise MalformedBody unless a provider's id is one that can be kept: what no provider sends is shown to nobody."""
    if not is_id(given):
        raise MalformedBody(f"the id of the message is not up to {LONGEST_ID} printable ASCII characters")


def identity(value: Any) -> str | None:
    """Return a provider's id; None where there is none that is a text or a number. Raise MalformedBody."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < BIGGEST_ID:
        return str(value)
    if not isinstance(value, str) or not value:
        return None
    check_id(value)
    return value


def time_of(message: Mapping[str, Any], now: datetime, offset: Offset) -> datetime:
    """Return when a message was written, as far as it says so; never a time to come.

    Missive gives whole seconds, by its own clock, which is `offset` ahead of ours: a reply at once would seem to come
    before its message, and would count for an older one. So the latest time counts that it may have been written at.
    """
    for reported in (_moment(message.get(key)) for key in ("delivered_at", "created_at")):
        if reported is not None and reported >= FIRST_TEXT:
            return min(now, min(reported, now + A_DAY) + RESOLUTION - offset.low)
    return now


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, str) and not value.strip().replace(".", "", 1).isdecimal():
            parsed = datetime.fromisoformat(value.strip())
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        return datetime.fromtimestamp(float(value), UTC)
    except (OverflowError, OSError, ValueError):
        return None
