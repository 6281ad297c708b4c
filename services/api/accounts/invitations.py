"""Links by which users choose a password: the first one, or another.

A link works once, for some days, for one user; a new one takes the place of the one before. The table has its digest.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.database import Connection
from libs.common.domain.events.registers import PasswordChosen, UserInvited
from libs.common.errors import NotFound
from libs.common.eventstore import store
from services.api.accounts import sessions, users
from services.api.accounts.users import User

LASTS = timedelta(days=3)
OVER = "the link is not valid any more: an admin can send you a new one"

#: Gives a user a link.
PUT = text("""
INSERT INTO invitations (user_id, token, expires_at) VALUES (:user_id, :token, :expires_at)
ON CONFLICT (user_id) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at
""")

#: The users who have a link that works.
OPEN = text("SELECT user_id FROM invitations WHERE expires_at > :now")

#: Whose link it is.
FIND = text("SELECT user_id FROM invitations WHERE token = :token AND expires_at > :now")

#: Uses a link up; no row where somebody was quicker.
USE = text("DELETE FROM invitations WHERE token = :token AND expires_at > :now RETURNING user_id")


async def invite(connection: Connection, user: User, now: datetime) -> str:
    """Make a link for a user, in place of any before; return the secret part of it."""
    token = secrets.token_urlsafe(32)
    await connection.execute(PUT, {"user_id": user.id, "token": _digest(token), "expires_at": now + LASTS})
    event = UserInvited(user_id=user.id, role=user.role)
    await store.append(connection, f"user-{user.id}", [event], now=now)
    return token


async def open_ones(connection: Connection, now: datetime) -> frozenset[int]:
    """Return the users who have a link that works."""
    return frozenset((await connection.execute(OPEN, {"now": now})).scalars())


async def whose(connection: Connection, token: str, now: datetime) -> User:
    """Return the user whose link it is. Raise NotFound."""
    user_id = (await connection.execute(FIND, {"token": _digest(token), "now": now})).scalar_one_or_none()
    user = None if user_id is None else await users.who_may_sign_in(connection, user_id)
    if user is None:
        raise NotFound(OVER)
    return user


async def accept(connection: Connection, token: str, password_hash: str, now: datetime) -> User:
    """Use a link up: its user has this password from now on, and is signed in nowhere. Raise NotFound."""
    user = await whose(connection, token, now)
    if (await connection.execute(USE, {"token": _digest(token), "now": now})).first() is None:
        raise NotFound(OVER)
    await users.set_password(connection, user.id, password_hash)
    await sessions.revoke_all(connection, user.id, now)
    await store.append(connection, f"user-{user.id}", [PasswordChosen(user_id=user.id)], now=now)
    return user


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
