"""Browsers in which somebody is signed in: Litestar's sessions, kept in PostgreSQL.

The cookie holds a random number, the table its digest. A session is written where it is new or has changed, and once a
minute while it is used; one that was revoked meanwhile is not written again. Whoever signs in gets a new number: one
that somebody else put into the browser before is worth nothing.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.base import BaseSessionBackend, SessionMiddleware
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.types import Empty, Message, ScopeSession
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common import database
from libs.common.database import Connection
from services.api.context import Context
from services.api.http import framing

LASTS = timedelta(days=14)  # since it was last used
SEEN_EVERY = timedelta(minutes=1)
#: How long a session lasts in which nobody is signed in yet: whoever it is, is at the provider.
PENDING_LASTS = timedelta(minutes=15)
#: The longest that is kept of what a browser says of itself, in characters.
AGENT = 200

_LOADED = "session_as_loaded"
_IS_NEW = "session_is_new"

#: A session that is not over.
FIND = text("SELECT data, seen_at FROM sessions WHERE id = :id AND expires_at > :now").columns(data=JSONB)

#: Begins a session.
BEGIN = text("""
INSERT INTO sessions (id, data, created_at, seen_at, expires_at) VALUES (:id, :data, :now, :now, :expires_at)
""").bindparams(bindparam("data", type_=JSONB))

#: Whether a session is not over, and its user may sign in.
IS_OPEN = text("""
SELECT EXISTS (
    SELECT FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE sessions.id = :id AND sessions.expires_at > :now AND users.disabled_at IS NULL
)
""")

#: Writes what has changed, and that it is used; nothing where it was revoked.
RENEW = text("""
UPDATE sessions SET data = :data, seen_at = :now, expires_at = :expires_at WHERE id = :id
""").bindparams(bindparam("data", type_=JSONB))

#: Ends a session.
END = text("DELETE FROM sessions WHERE id = :id")

#: A user's sessions, the last used first.
OF_USER = text("""
SELECT encode(id, 'hex') AS id, data, created_at, seen_at FROM sessions
WHERE user_id = :user_id AND expires_at > :now ORDER BY seen_at DESC
""").columns(data=JSONB)

#: Ends one of a user's sessions.
REVOKE = text("DELETE FROM sessions WHERE id = :id AND user_id = :user_id RETURNING expires_at")

#: Ends all sessions of a user but one.
REVOKE_ALL = text("""
DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM CAST(:but AS bytea) RETURNING expires_at
""")

#: Forgets sessions that are over.
PRUNE = text("DELETE FROM sessions WHERE expires_at <= :now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser in which a user is signed in."""

    #: The digest of its cookie, in hexadecimal digits.
    id: str
    #: What the browser says of itself.
    agent: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A session as it was when the request began."""

    id: bytes
    data: dict[str, Any]
    seen_at: datetime


class Sessions(BaseSessionBackend[ServerSideSessionConfig]):
    """Litestar's sessions, kept in PostgreSQL: the app's `state.context` has the connections and the time."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__(
            ServerSideSessionConfig(
                # Browsers take a name that begins so over TLS alone, from this host alone.
                key="__Host-session" if secure else "session",
                max_age=int(LASTS.total_seconds()),
                secure=secure,
                httponly=True,
                samesite="lax",
            )
        )

    def get_session_id(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        """Return what the cookie holds."""
        return connection.cookies.get(self.config.key)

    async def load_from_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, Any]:
        """Return the session's data; nothing where there is none."""
        token = self.get_session_id(connection)
        if not token:
            return {}
        digest = _digest(token)
        api: Context = connection.app.state.context
        async with database.transaction(api.engine) as transaction:
            found = (await transaction.execute(FIND, {"id": digest, "now": api.clock()})).one_or_none()
        if found is None:
            return {}
        connection.scope["state"][_LOADED] = _Loaded(id=digest, data=found.data, seen_at=found.seen_at)
        return dict(found.data)

    async def store_in_message(
        self, scope_session: ScopeSession, message: Message, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> None:
        """Keep the session, and have the answer set the cookie where it is a new one, or is gone."""
        state = connection.scope["state"]
        loaded: _Loaded | None = state.get(_LOADED)
        token = self.get_session_id(connection)
        api: Context = connection.app.state.context
        now = api.clock()
        data = cast("dict[str, Any]", scope_session) if scope_session and scope_session is not Empty else {}
        known = data or (loaded.data if loaded else {})
        framed = bool(known.get(framing.FRAMED)) if known else framing.is_framed(connection.headers, api.settings)
        if loaded is not None and (state.get(_IS_NEW) or not data):
            await _execute(api, END, id=loaded.id)
            loaded = None
        if not data:
            if token:
                self._set_cookie(message, "", lasts=timedelta(), framed=framed)
        elif loaded is None:
            token = secrets.token_urlsafe(32)
            lasts = LASTS if "user_id" in data else PENDING_LASTS
            await _execute(api, BEGIN, id=_digest(token), data=data, now=now, expires_at=now + lasts)
            self._set_cookie(message, token, lasts=lasts, framed=framed)
        elif token and (data != loaded.data or loaded.seen_at < now - SEEN_EVERY):
            lasts = LASTS if "user_id" in data else PENDING_LASTS
            await _execute(api, RENEW, id=loaded.id, data=data, now=now, expires_at=now + lasts)
            self._set_cookie(message, token, lasts=lasts, framed=framed)

    def _set_cookie(self, message: Message, value: str, *, lasts: timedelta, framed: bool) -> None:
        cookie = Cookie(
            key=self.config.key,
            value=value,
            path="/",
            max_age=int(lasts.total_seconds()),
            secure=self.config.secure,
            httponly=True,
            samesite="lax",
        )
        written = framing.header(cookie) if framed else cookie.to_header(header="")
        MutableScopeHeaders.from_message(message).add("Set-Cookie", written)


def middleware(*, secure: bool) -> DefineMiddleware:
    """Return the middleware that loads and keeps sessions. `secure` is whether browsers come over TLS."""
    return DefineMiddleware(SessionMiddleware, backend=Sessions(secure=secure))


async def _execute(api: Context, statement: Any, **parameters: Any) -> None:
    async with database.transaction(api.engine) as transaction:
        await transaction.execute(statement, parameters)


def sign_in(request: Request[Any, Any, Any], user_id: int) -> None:
    """Let whoever sent the request be signed in from now on, in a session of a new number."""
    agent = request.headers.get("user-agent", "")[:AGENT].replace("\0", "")
    framed = framing.is_framed(request.headers, request.app.state.context.settings)
    request.set_session({"user_id": user_id, "agent": agent, **({framing.FRAMED: True} if framed else {})})
    request.scope["state"][_IS_NEW] = True


def current(request: Request[Any, Any, Any]) -> bytes | None:
    """Return the id of the request's own session; None where it has none."""
    loaded: _Loaded | None = request.scope["state"].get(_LOADED)
    return None if loaded is None else loaded.id


async def is_open(connection: Connection, session_id: bytes, now: datetime) -> bool:
    """Whether a session is not over, and its user not disabled."""
    return bool((await connection.execute(IS_OPEN, {"id": session_id, "now": now})).scalar_one())


async def of_user(connection: Connection, user_id: int, now: datetime) -> Sequence[Session]:
    """Return a user's sessions, the last used first."""
    rows = await connection.execute(OF_USER, {"user_id": user_id, "now": now})
    return [
        Session(id=row.id, agent=str(row.data.get("agent", "")), created_at=row.created_at, seen_at=row.seen_at)
        for row in rows
    ]


async def revoke(connection: Connection, user_id: int, session_id: str, now: datetime) -> bool:
    """End one of a user's sessions; False if there is none of this id, or it was over."""
    try:
        digest = bytes.fromhex(session_id)
    except ValueError:
        return False
    cursor = await connection.execute(REVOKE, {"user_id": user_id, "id": digest})
    return any(expires_at > now for expires_at in cursor.scalars())


async def revoke_all(connection: Connection, user_id: int, now: datetime, *, but: bytes | None = None) -> bool:
    """End all sessions of a user, except one; False if none was open."""
    cursor = await connection.execute(REVOKE_ALL, {"user_id": user_id, "but": but})
    return any(expires_at > now for expires_at in cursor.scalars())


async def prune(connection: Connection, now: datetime) -> None:
    """Forget sessions that are over."""
    await connection.execute(PRUNE, {"now": now})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
