"""Whether a webhook really comes from the carrier. Whatever is missing or malformed does not.

Missive signs the raw body with HMAC-SHA256 under the rule's secret and sends `X-Hook-Signature: sha256=<hex>`
(https://missiveapp.com/docs/developers/webhooks). Twilio signs the whole URL and the form with HMAC-SHA1 under the
account's token and sends `X-Twilio-Signature` (https://www.twilio.com/docs/usage/security#validating-requests).
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator

from twilio.request_validator import RequestValidator

MISSIVE_PREFIX = "sha256="


def missive_signature(secret: str, raw_body: bytes) -> str:
    """Return the header that signs a body."""
    return MISSIVE_PREFIX + hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()


def missive_signature_ok(secret: str, raw_body: bytes, header: str | None) -> bool:
    """Return whether `X-Hook-Signature` fits the body. Without a secret nothing does."""
    if not secret or not header:
        return False
    given = header.strip().lower().removeprefix(MISSIVE_PREFIX)
    expected = missive_signature(secret, raw_body).removeprefix(MISSIVE_PREFIX)
    # As bytes: compare_digest takes no text beyond ASCII, and a header may hold anything.
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def twilio_signature_ok(auth_token: str, url: str, params: Iterable[tuple[str, str]], header: str | None) -> bool:
    """Return whether `X-Twilio-Signature` fits the form and the URL as Twilio called it. Without a token nothing does.

    `params` are the form's fields as they came, repeated ones repeated.
    """
    if not auth_token or not header:
        return False
    try:
        validator = RequestValidator(auth_token)  # type: ignore[no-untyped-call]
        return bool(validator.validate(url, _Form(params), header))  # type: ignore[no-untyped-call]
    except (ValueError, UnicodeError):  # a URL that is none
        return False


class _Form:
    """A form in the shape that the validator reads."""

    def __init__(self, params: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in params:
            self._values.setdefault(name, []).append(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getall(self, name: str) -> list[str]:
        return self._values[name]
