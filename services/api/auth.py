"""Who may call: whoever holds one of the API keys. Webhooks are signed instead, health and metrics are open."""

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from libs.common.settings import ApiSettings
from services.api.problems import Unauthorized

#: What a handler's `opt` says if it needs no key.
PUBLIC = {"public": True}
SCHEMA = "/schema"


class KeyGuard:
    """Lets a request pass that carries a key."""

    def __init__(self, settings: ApiSettings) -> None:
        self._keys = [key.encode() for key in settings.api_keys]

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raise Unauthorized unless there is a valid key. Every key is compared, each in constant time."""
        if handler.opt.get("public") or connection.url.path.startswith(SCHEMA):
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        matches = [hmac.compare_digest(key, given.strip().encode()) for key in self._keys]
        if scheme.lower() != "bearer" or not any(matches):
            raise Unauthorized
