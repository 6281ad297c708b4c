"""Who calls, and whether they may: programs by an API key, people at the desk by their session.

Webhooks are signed instead; health and metrics are open. OPTIONS is open, too: it tells no more than the API's
description, which everybody may read. A session opens the desk's pages alone and a key the API alone, so a page of
somebody else's has nothing to gain from the cookie of a browser that comes by.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from pydantic import SecretStr

from libs.common import database
from libs.common.domain import actors, roles
from libs.common.domain.actors import Actor
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Permission
from services.api.accounts import api_keys, users
from services.api.accounts.users import User
from services.api.context import Context
from services.api.http import correlation, framing, permissions
from services.api.http.errors import Forbidden, SignInNeeded, Unauthorized

#: What a handler's `opt` says if it needs no key and no session.
PUBLIC = {"public": True}
DESK = "/desk"
#: The header by which the command line says who runs it, for history. It is heard with a key of the settings alone:
#: whoever has one could do everything under any name.
USER = "broadsheet-user"

AnyConnection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request."""

    actor: Actor
    permissions: frozenset[Permission]
    #: None where it is a program.
    user: User | None = None
    #: Which of the keys that were made; None for one of the settings.
    key_id: int | None = None


class Access:
    """The guard of all routes."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        """`keys` are those of the settings."""
        self._keys = [key.get_secret_value().encode() for key in keys]

    async def __call__(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Let a request pass whose caller has the route's permission, and put the caller into its scope.

        Raise Unauthorized, SignInNeeded or Forbidden.
        """
        if connection.scope.get("method") == "OPTIONS":
            return
        is_page = is_desk(connection.scope["path"])
        if handler.opt.get("public"):
            if is_page:  # a page for everybody shows who is signed in
                connection.scope["user"] = await self._signed_in(connection)
            return
        caller = await (self._person(connection) if is_page else self._program(connection))
        connection.scope["user"], connection.scope["auth"] = caller.user, caller
        connection.scope["state"][correlation.ACTOR] = caller.actor
        method, template = str(connection.scope.get("method")), str(connection.scope.get("path_template"))
        if permissions.needed(method, template) not in caller.permissions:
            raise Forbidden

    async def _person(self, connection: AnyConnection) -> Caller:
        user = await self._signed_in(connection)
        if user is None:
            raise SignInNeeded
        return Caller(actor=actors.user(user.id), permissions=user.permissions, user=user)

    async def _signed_in(self, connection: AnyConnection) -> User | None:
        user_id = connection.session.get("user_id") if connection.scope.get("session") else None
        if user_id is None:
            return None
        if connection.session.get(framing.FRAMED) and not framing.opens(connection.scope["path"]):
            return None
        api: Context = connection.app.state.context
        async with database.transaction(api.engine) as transaction:
            return await users.who_may_sign_in(transaction, user_id)

    async def _program(self, connection: AnyConnection) -> Caller:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer":
            raise Unauthorized
        # Every key is compared, each in constant time.
        matches = [hmac.compare_digest(key, given.encode()) for key in self._keys]
        if any(matches):
            who = unquote(connection.headers.get(USER, "")).strip()
            actor = actors.console(who) if who else actors.key(api_keys.OF_SETTINGS)
            return Caller(actor=actor, permissions=roles.EVERYTHING - {Permission.APPROVE})
        if not api_keys.FORM.fullmatch(given):
            raise Unauthorized
        api: Context = connection.app.state.context
        async with database.transaction(api.engine) as transaction:
            found = await api_keys.find(transaction, given, api.clock())
        if found is None:
            raise Unauthorized
        return Caller(actor=actors.key(found.name), permissions=roles.of_scopes(found.scopes), key_id=found.id)


def is_desk(path: str) -> bool:
    """Whether a path is one of the desk's pages."""
    return path == DESK or path.startswith(f"{DESK}/")


async def current_user(request: Request[Any, Any, Any], cause: NamedDependency[Cause]) -> User:
    """Return the user who is signed in. Raise SignInNeeded. Handlers of pages get it as `user`.

    It asks for `cause` for the same reason as `cause` asks for `api`.
    """
    user = request.scope.get("user")
    if not isinstance(user, User):
        raise SignInNeeded
    return user
