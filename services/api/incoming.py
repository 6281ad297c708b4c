"""What the carriers' webhooks say, as plain values. Nothing here is trusted before its signature was checked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common import consent
from libs.common.consent import Inbound
from libs.common.settings import e164

#: Fields of Missive's sender and receiver; real payloads have been seen with the number in any of them.
NUMBER = ("phone_number", "id", "username")

#: Missive tells whole seconds, so a reply within the second of its text would seem to come before it.
MISSIVE_PRECISION = timedelta(seconds=1)


def missive(payload: Any, now: datetime) -> Inbound | None:
    """Read an incoming SMS from a Missive webhook; None if it tells of something else.

    It is known by what a message has, not by the rule's type, which was renamed once.
    """
    if not isinstance(payload, dict):
        return None
    message = payload.get("message") or payload.get("latest_message")
    if not isinstance(message, dict) or not isinstance(message.get("from_field"), dict):
        return None
    number = _number_of(message["from_field"])
    delivered = message.get("delivered_at")
    provider_id = message.get("external_id") or message.get("id")
    if number is None or isinstance(delivered, bool) or not isinstance(delivered, int | float):
        return None
    if not isinstance(provider_id, str):
        return None
    body = next((text for key in ("body", "preview") if isinstance(text := message.get(key), str) and text), "")
    try:
        told = datetime.fromtimestamp(delivered, UTC) + MISSIVE_PRECISION
    except (OverflowError, OSError, ValueError):
        told = now
    to = message.get("to_fields")
    receiver = to[0] if isinstance(to, list) and to and isinstance(to[0], dict) else {}
    return Inbound(
        provider_id=provider_id,
        phone_number=number,
        body=consent.storable(body),
        received_at=min(now, told),
        to=_number_of(receiver),
    )


def twilio(form: Sequence[tuple[str, str]], now: datetime) -> Inbound | None:
    """Read an incoming SMS from a Twilio webhook; None if it tells of something else."""
    fields = dict(form)
    number = _number(fields.get("From"))
    provider_id = fields.get("MessageSid") or fields.get("SmsSid")
    if number is None or not provider_id:
        return None
    return Inbound(
        provider_id=provider_id,
        phone_number=number,
        body=consent.storable(fields.get("Body", "")),
        received_at=now,
        to=_number(fields.get("To")),
    )


def _number_of(party: dict[str, Any]) -> str | None:
    return next((found for key in NUMBER if (found := _number(party.get(key))) is not None), None)


def _number(given: Any) -> str | None:
    try:
        return e164(given) if isinstance(given, str) else None
    except ValueError:  # a short code, or a name
        return None
