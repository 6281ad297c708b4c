"""Answering what went wrong, as a problem.

A problem names fields, states and ids; it never holds what was sent, and an error of ours tells its type only to the
log. The log gets no message of an exception either: a driver's may quote a phone number.
"""

import re
import traceback
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.params import ParameterKwarg
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_500_INTERNAL_SERVER_ERROR
from litestar.types import ExceptionHandlersMap

from libs.common import errors
from libs.common.texts import gettext_noop as n_
from services.api.http import front, problems
from services.api.http.errors import InvalidFields, NotReady, Unauthorized
from services.api.http.fields import in_words

log = structlog.stdlib.get_logger(__name__)

RETRY_AFTER = "5"  # seconds
CHALLENGE = 'Bearer realm="broadsheet"'

#: Litestar's words would repeat the URL, in which there may be a phone number.
_MISSING = re.compile(r"Missing required \w+ parameter '(?P<name>[^']*)'")


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer a request that failed."""
    problem = problems.of(error)
    if problem.status >= HTTP_500_INTERNAL_SERVER_ERROR:
        _log(request, error)
    content = problems.body(problem, _detail(error))
    if fields := _fields(request, error):
        content["detail"] = "; ".join(f"{name}: {message}" if name else message for name, message in fields)
        content["errors"] = [{"field": name, "message": message} for name, message in fields]
    headers = dict(getattr(error, "headers", None) or {})
    if problem is problems.UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = CHALLENGE
    return Response(content, status_code=problem.status, media_type=problems.MEDIA_TYPE, headers=headers)


HANDLERS: ExceptionHandlersMap = {
    Exception: respond,
    HTTPException: respond,
    HTTP_404_NOT_FOUND: respond,
    HTTP_500_INTERNAL_SERVER_ERROR: respond,
}


def _detail(error: Exception) -> str:
    """Return what is wrong in words, where the error's own words are ours or Litestar's about the request."""
    match error:
        case errors.Rejected() | NotReady():
            return str(error)
        case NotFoundException():
            return n_("there is no such route")
        case MethodNotAllowedException():
            return f"the methods are {front.methods((error.headers or {}).get('allow', ''))}"
        case RequestEntityTooLarge():
            return n_("the body is larger than the limit of this route")
        case HTTPException() if error.status_code < HTTP_500_INTERNAL_SERVER_ERROR:
            return str(error.detail)
        case _:
            return ""


def _fields(request: Request[Any, Any, Any], error: Exception) -> list[tuple[str, str]]:
    match error:
        case InvalidFields():
            return list(error.fields)
        case errors.Invalid():
            return [(error.field, error.reason)]
        case ValidationException(extra=list() as faults):
            return [
                (_sent_as(request, str(each.get("key", ""))), in_words(str(each.get("message", "")))) for each in faults
            ]
        case ValidationException() if missing := _MISSING.match(str(error.detail)):
            return [(missing["name"], "is missing")]
        case _:
            return []


def _sent_as(request: Request[Any, Any, Any], parameter: str) -> str:
    """Return the name under which a client sends a handler's parameter."""
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
