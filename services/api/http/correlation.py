"""What a request is the cause of: an id that every event and message carries, and a trace where one is wanted."""

from typing import Any
from uuid import uuid4

import structlog
from litestar import Request
from litestar.datastructures import Headers
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.domain.cause import Cause
from libs.common.observability import spans, tracing
from services.api.context import Context

#: Anybody may call these, so what they say of a trace is not read.
OPEN_TO_ALL = "/webhooks/"
#: Asked for every few seconds; a trace of them tells nothing.
UNTRACED = ("/health", "/metrics")
#: Where the guard puts who sent the request.
ACTOR = "actor"


def cause_of(request: Request[Any, Any, Any]) -> Cause:
    """Return what everything that a request does follows from."""
    return Cause(correlation_id=request.state.correlation_id, actor=request.scope["state"].get(ACTOR))


def cause(request: Request[Any, Any, Any], api: NamedDependency[Context]) -> Cause:
    """Return what handlers get as `cause`.

    It asks for `api` so that the two stand in a line: Litestar starts a task, for every request, for each of several
    dependencies that do not need each other.
    """
    return cause_of(request)


class Correlation(ASGIMiddleware):
    """Middleware that names each request by an id, which every event and message that it causes carries."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle the request as the cause of what it does."""
        correlation_id = uuid4()
        scope["state"]["correlation_id"] = correlation_id
        with structlog.contextvars.bound_contextvars(correlation_id=str(correlation_id)):
            # The template, since a path and its query may hold what is personal.
            route = str(scope.get("path_template") or "")
            if not tracing.on() or not route or route.startswith(UNTRACED):
                await next_app(scope, receive, send)
                return
            method = str(scope.get("method") or "")
            given = None if route.startswith(OPEN_TO_ALL) else Headers.from_scope(scope).get(spans.HEADER)
            with tracing.span(
                f"{method} {route}",
                "server",
                parent=given,
                method=method,
                route=route,
                correlation_id=str(correlation_id),
            ) as span:

                async def answer(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set(status=message["status"])
                    await send(message)

                await next_app(scope, receive, answer)
