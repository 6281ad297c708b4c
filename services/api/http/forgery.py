"""Forged requests (CSRF): a page of somebody else's can have a browser send a form here, with its cookie.

Every form of the desk holds a token that is in a second cookie as well, signed: Litestar's double submit. What a
browser says another site asks for is refused besides, whatever it holds. The API takes no cookie, so nothing can be
forged there.
"""

import hashlib
import hmac
from typing import Any

from litestar.config.csrf import CSRFConfig
from litestar.datastructures import Cookie, Headers, MutableScopeHeaders
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.types import ASGIApp, HTTPSendMessage, Receive, Scope, Send

from libs.common.settings.api import ApiSettings
from services.api.http import framing


class Guard(CSRFMiddleware):
    """Litestar's check, which takes whatever was sent for a token: one beyond ASCII, or a file, ended in a 500."""

    def _csrf_tokens_match(self, request_csrf_token: Any, cookie_csrf_token: str) -> bool:
        """Whether the form has the token of the cookie."""
        are_tokens = all(
            isinstance(token, str) and token.isascii() for token in (request_csrf_token, cookie_csrf_token)
        )
        return are_tokens and super()._csrf_tokens_match(request_csrf_token, cookie_csrf_token)


class InFrame(Guard):
    """Sets the cookie as a frame takes it."""

    def _set_cookie_if_needed(self, message: HTTPSendMessage, token: str) -> None:
        cookie = Cookie(key=self.config.cookie_name, value=token, path=self.config.cookie_path, httponly=True)
        MutableScopeHeaders.from_message(message).add("Set-Cookie", framing.header(cookie))


class Forgery:
    """Litestar's middleware, with another cookie in frames."""

    def __init__(self, app: ASGIApp, config: CSRFConfig, settings: ApiSettings) -> None:
        self._settings = settings
        self._safe = config.safe_methods
        self._pages = Guard(app, config)
        self._frames = InFrame(app, config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass that is not forged. Raise PermissionDeniedException."""
        headers = Headers.from_scope(scope)
        if scope.get("method") not in self._safe and framing.is_foreign(headers):
            raise PermissionDeniedException("another site asked for this")
        framed = framing.is_framed(headers, self._settings)
        await (self._frames if framed else self._pages)(scope, receive, send)


def middleware(settings: ApiSettings) -> DefineMiddleware:
    """Return the middleware. The secret follows from the first API key, so all processes have the same."""
    secret = hmac.new(settings.api_keys[0].get_secret_value().encode(), b"forged requests", hashlib.sha256)
    configuration = CSRFConfig(
        secret=secret.hexdigest(),
        cookie_name="__Host-csrf" if settings.is_public else "csrf",
        cookie_secure=settings.is_public,
        cookie_httponly=True,
    )
    return DefineMiddleware(Forgery, config=configuration, settings=settings)
