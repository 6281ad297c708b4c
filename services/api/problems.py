"""Whatever goes wrong, as an RFC 9457 problem: one table from error to status, type and title.

A problem names fields, states and ids; it never holds what was sent, and an error of ours tells its type only to the
log. The log gets no message of an exception either: a driver's may quote a phone number.
"""

import traceback
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_500_INTERNAL_SERVER_ERROR
from litestar.types import ExceptionHandlersMap
from psycopg import InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout

from libs.common import errors

log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"  # seconds


class MalformedBody(errors.Rejected):
    """The body is not JSON in UTF-8."""


class KeyReused(errors.Rejected):
    """This Idempotency-Key was used for another request."""


class NameTaken(errors.Rejected):
    """There is another one of this name."""


class BadSignature(errors.Rejected):
    """The signature does not fit, or no secret is configured to check it with."""


class Unauthorized(errors.Rejected):
    """Send `Authorization: Bearer <api key>`."""


class NotReady(errors.BroadsheetError):
    """The service cannot do its work now."""


class InvalidFields(errors.Rejected):
    """Some fields cannot be taken."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" if name else message for name, message in fields))
        self.fields = fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What an error is to the caller."""

    status: int
    type: str
    title: str


INVALID = Problem(status=422, type="/problems/invalid-field", title="A field cannot be taken")
UNAVAILABLE = Problem(status=503, type="/problems/unavailable", title="Not available now; try again")
INTERNAL = Problem(status=500, type="/problems/internal", title="Something went wrong in Broadsheet")

#: The nearest class in an error's ancestry decides.
PROBLEMS: dict[type[BaseException], Problem] = {
    errors.NotFound: Problem(status=404, type="/problems/not-found", title="There is no such thing"),
    errors.NothingScheduled: Problem(
        status=404, type="/problems/nothing-scheduled", title="No broadcast is scheduled for today"
    ),
    errors.NoSegments: Problem(status=409, type="/problems/no-segments", title="The broadcast has no audience"),
    errors.EmptyDraw: Problem(status=409, type="/problems/empty-draw", title="No contact can be drawn"),
    errors.NotReconciled: Problem(
        status=409, type="/problems/not-reconciled", title="Restored from a backup and not settled yet"
    ),
    errors.Conflict: Problem(status=409, type="/problems/conflict", title="Not possible in this state"),
    errors.Invalid: INVALID,
    InvalidFields: INVALID,
    ValidationException: INVALID,
    MalformedBody: Problem(status=400, type="/problems/malformed-body", title="The body cannot be read"),
    KeyReused: Problem(
        status=422, type="/problems/idempotency-key-reused", title="The Idempotency-Key belongs to another request"
    ),
    NameTaken: Problem(status=409, type="/problems/name-taken", title="The name is taken"),
    BadSignature: Problem(status=403, type="/problems/bad-signature", title="The signature does not fit"),
    Unauthorized: Problem(status=401, type="/problems/unauthorized", title="An API key is needed"),
    NotReady: UNAVAILABLE,
    errors.ConcurrencyError: UNAVAILABLE,
    OperationalError: UNAVAILABLE,
    InterfaceError: UNAVAILABLE,
    ReadOnlySqlTransaction: UNAVAILABLE,  # a server that has just lost its place as the primary
    PoolTimeout: UNAVAILABLE,
}


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer a request that failed."""
    problem = _problem(error)
    body: dict[str, Any] = {"type": problem.type, "title": problem.title, "status": problem.status}
    if problem.status >= HTTP_500_INTERNAL_SERVER_ERROR:
        _log(request, error)
    if isinstance(error, errors.Rejected | NotReady):
        body["detail"] = str(error)
    if fields := _fields(request, error):
        body["detail"] = "; ".join(f"{name}: {message}" if name else message for name, message in fields)
        body["errors"] = [{"field": name, "message": message} for name, message in fields]
    headers = dict(getattr(error, "headers", None) or {})
    if problem is UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="broadsheet"'
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


HANDLERS: ExceptionHandlersMap = {
    Exception: respond,
    HTTPException: respond,
    HTTP_404_NOT_FOUND: respond,
    HTTP_500_INTERNAL_SERVER_ERROR: respond,
}


def _problem(error: Exception) -> Problem:
    for cls in type(error).__mro__:
        if cls in PROBLEMS:
            return PROBLEMS[cls]
    if isinstance(error, HTTPException) and error.status_code < HTTP_500_INTERNAL_SERVER_ERROR:
        title = HTTPStatus(error.status_code).phrase
        return Problem(status=error.status_code, type=f"/problems/{title.lower().replace(' ', '-')}", title=title)
    return INTERNAL


def _fields(request: Request[Any, Any, Any], error: Exception) -> list[tuple[str, str]]:
    match error:
        case InvalidFields():
            return list(error.fields)
        case errors.Invalid():
            return [(error.field, error.reason)]
        case ValidationException(extra=list() as problems):
            return [(_sent_as(request, str(each.get("key", ""))), str(each.get("message", ""))) for each in problems]
        case _:
            return []


def _sent_as(request: Request[Any, Any, Any], parameter: str) -> str:
    """Give the name under which a client sends a handler's parameter."""
    definition = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    kwarg = definition.kwarg_definition if definition else None
    return (kwarg.name if isinstance(kwarg, ParameterKwarg) else None) or parameter


def _log(request: Request[Any, Any, Any], error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "request_failed",
        method=request.method,
        handler=str(request.scope.get("path_template") or "unknown route"),
        error=f"{type(error).__module__}.{type(error).__qualname__}",
        sqlstate=getattr(error, "sqlstate", None),
        where=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-5:]],
    )
