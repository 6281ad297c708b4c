"""Who wrote, as carriers put it: a phone number, or what stands before one for a channel that is no SMS.

Twilio writes `whatsapp:+1…`, `rcs:+1…`, `messenger:<id>` (https://www.twilio.com/docs/messaging/channels).
"""

from dataclasses import dataclass, field

from libs.common import phone_numbers
from libs.common.domain.states import Channel

LONGEST_SENDER = 200  # characters

_PREFIXES: dict[str, Channel] = {
    "whatsapp": Channel.WHATSAPP,
    "rcs": Channel.RCS,
    "messenger": Channel.FACEBOOK,
    "facebook": Channel.FACEBOOK,
    "instagram": Channel.FACEBOOK,
    "email": Channel.EMAIL,
    "mailto": Channel.EMAIL,
    "sms": Channel.SMS,
    "tel": Channel.SMS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Who wrote. Its repr keeps quiet about people."""

    channel: Channel
    #: E.164; None where there is no phone number.
    phone_number: str | None = field(repr=False)
    #: What is there instead.
    sender: str | None = field(repr=False)


def parse(text: str) -> Address:
    """Return who an address is."""
    prefix, colon, rest = text.partition(":")
    channel = Channel.SMS
    if colon and prefix.isalpha():
        channel, text = _PREFIXES.get(prefix.lower(), Channel.OTHER), rest
    number = phone_number(text)
    return Address(channel=channel, phone_number=number, sender=None if number else text[:LONGEST_SENDER] or None)


def phone_number(text: object) -> str | None:
    """Return a phone number in E.164; None if it is a short code, a name, or no text at all."""
    try:
        return phone_numbers.normalise(text) if isinstance(text, str) else None
    except ValueError:
        return None
