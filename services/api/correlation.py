"""What a request is the cause of: an id that every event and message carries, and a trace where one is wanted."""

from uuid import uuid4

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import causation, tracing
from libs.common.causation import Cause

#: Anybody may call these, so what they say of a trace is not read.
OPEN_TO_ALL = "/webhooks/"
#: Asked for every few seconds; a trace of them tells nothing.
UNTRACED = ("/health", "/metrics")


class Correlation(ASGIMiddleware):
    """Gives each request an id of its own, which every event and message that it causes carries."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle the request as the cause of what it does."""
        cause = Cause(correlation_id=uuid4())
        with causation.caused_by(cause):
            # The template, since a path and its query may hold what is personal.
            route = str(scope.get("path_template") or "")
            if not tracing.on() or not route or route.startswith(UNTRACED):
                await next_app(scope, receive, send)
                return
            method = str(scope.get("method") or "")
            given = None if route.startswith(OPEN_TO_ALL) else Headers.from_scope(scope).get(tracing.HEADER)
            with tracing.span(
                f"{method} {route}",
                "server",
                parent=given,
                method=method,
                route=route,
                correlation_id=str(cause.correlation_id),
            ) as span:

                async def answer(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set(status=message["status"])
                    await send(message)

                await next_app(scope, receive, answer)
