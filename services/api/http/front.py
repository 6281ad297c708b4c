"""What is done with a request before a route is found for it, and with the ids in its path after.

A URL or `Host` that is none is refused before anything reads it. HEAD is answered wherever GET is: as GET, without the
body; a body that would go on for ever, a stream, is ended at once.
"""

from collections import Counter
from typing import Any, cast

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import URL, Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

from libs.common.errors import NotFound
from services.api.http import problems, security_headers
from services.api.http.errors import MalformedRequest


class Front(Litestar):
    """The app behind its front door."""

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer a request."""
        if scope["type"] == ScopeType.HTTP:
            request = cast("HTTPScope", scope)
            try:
                check(request)
            except MalformedRequest as error:
                await _refusal(error)(request, cast("Receive", receive), cast("Send", send))
                return
            if request["method"] == "HEAD":
                scope, send = cast("HTTPScope", {**request, "method": "GET"}), _without_body(cast("Send", send))
        await super().__call__(scope, receive, send)


def check(scope: HTTPScope) -> None:
    """Raise MalformedRequest if the URL, of which Host is a part, is none."""
    if len(Headers.from_scope(scope).getall("host", [])) > 1:
        raise MalformedRequest("Host: is there more than once")
    try:
        URL.from_scope(scope)
    except ValueError:  # a port that is none, or bytes that are no UTF-8
        raise MalformedRequest("the URL, or the Host header, is none") from None


def check_ids(request: Request[Any, Any, Any]) -> None:
    """Raise NotFound unless each id in the path is a plain decimal number: Python takes 1_0, +1 and ١ for numbers."""
    ids = Counter(str(value) for value in request.path_params.values() if isinstance(value, int))
    # Each is there as often as it was found: 1_0 behind another 10 is none.
    if not ids <= Counter(part for part in request.scope["path"].split("/") if part.isdecimal()):
        raise NotFound("an id is a plain decimal number, such as 7")


async def allow(message: Message, scope: Scope) -> None:
    """Have `Allow` name every method that a route answers, HEAD among them, in order."""
    if message["type"] == "http.response.start" and (scope.get("method") == "OPTIONS" or message["status"] == 405):
        headers = MutableScopeHeaders.from_message(message)
        if (named := headers.get("allow")) is not None:
            headers["allow"] = methods(f"{named}, {_of_route(scope)}")


def methods(named: str) -> str:
    """Return the methods of a route in order, with HEAD if there is GET."""
    found = {each.strip() for each in named.split(",") if each.strip()}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def _of_route(scope: Scope) -> str:
    # Litestar's own answer to OPTIONS knows the handlers alone that were registered before it was made.
    routes = [route for route in scope["litestar_app"].routes if isinstance(route, HTTPRoute)]
    template = scope.get("path_template")
    return ", ".join(method for route in routes if route.path_format == template for method in route.methods)


def _without_body(send: Send) -> Send:
    """Let the head of an answer through, and end it there."""

    async def head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return head


def _refusal(error: MalformedRequest) -> ASGIResponse:
    problem = problems.of(error)
    return ASGIResponse(
        body=msgspec.json.encode(problems.body(problem, str(error))),
        status_code=problem.status,
        media_type=problems.MEDIA_TYPE,
        headers=security_headers.HEADERS,
    )
