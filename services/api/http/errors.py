"""What is wrong with a request, beside what the rules say: `problems.py` has what each is to the caller."""

from collections.abc import Mapping

from libs.common import errors


class MalformedRequest(errors.Rejected):
    """The request cannot be read."""


class MalformedBody(errors.Rejected):
    """The body is not JSON in UTF-8."""


class BodyCutShort(MalformedBody):
    """The connection ended before the body did."""


class UnsupportedMediaType(errors.Rejected):
    """The body is of a kind that is not read here. `headers` say which kinds are."""

    def __init__(self, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.headers = dict(headers)


class KeyReused(errors.Rejected):
    """This Idempotency-Key was used for another request."""


class Changed(errors.Rejected):
    """It is not as `If-Match` says any more: read it again."""


class NameTaken(errors.Rejected):
    """There is another one of this name."""


class BadSignature(errors.Rejected):
    """The signature does not fit, or no secret is configured to check it with."""


class Unauthorized(errors.Rejected):
    """Send `Authorization: Bearer <api key>`."""


class Forbidden(errors.Rejected):
    """The key, or the user, may not do this."""


class SignInNeeded(Unauthorized):
    """Nobody is signed in, and this is a page for people."""


class TooBusy(errors.Rejected):
    """Too many files are being imported at once; try again in half a minute."""

    headers = {"Retry-After": "30"}  # noqa: RUF012 - never changed


class TooManyTests(TooBusy):
    """Too many test messages within a minute; try again when it is over."""

    headers = {"Retry-After": "60"}  # noqa: RUF012 - never changed


class NotReady(errors.BroadsheetError):
    """The service cannot do its work now."""


class InvalidFields(errors.Rejected):
    """Some fields cannot be taken."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" if name else message for name, message in fields))
        self.fields = fields
