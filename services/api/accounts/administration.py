"""What an admin does to users and keys, with its place in history. Used by the HTTP API and by the desk's pages."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.database import Connection
from libs.common.domain.events.registers import KeyCreated, KeyRevoked, SessionsEnded, UserChanged
from libs.common.domain.roles import Role, Scope
from libs.common.errors import Conflict, Invalid
from libs.common.eventstore import store
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.accounts import api_keys, invitations, sessions, users
from services.api.accounts.api_keys import ApiKey
from services.api.accounts.users import User

LONGEST_NAME = 100  # characters


async def invite(connection: Connection, *, email: str, name: str, role: Role, now: datetime) -> tuple[User, str]:
    """Add a user; return it with the secret part of the link. Raise Invalid or NameTaken."""
    user = await users.add(connection, email=users.normalized_email(email), name=_name(name), role=role, now=now)
    return user, await invitations.invite(connection, user, now)


async def change(
    connection: Connection,
    user_id: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    disabled: bool | None = None,
    now: datetime,
) -> User:
    """Change what is not None; who is disabled is signed in nowhere any more. What is so already is no change.

    Raise NotFound, Invalid, or Conflict where nobody would be left who may add users.
    """
    admins = await users.lock_admins(connection)
    if admins == [user_id] and (disabled or role not in (None, Role.ADMIN)):
        raise Conflict(n_("this is the only admin: make somebody else one first"))
    name = None if name is None else _name(name)
    before = await users.one(connection, user_id, lock=True)
    user = await users.change(connection, user_id, name=name, role=role, disabled=disabled, now=now)
    if user.disabled_at is not None:
        await sessions.revoke_all(connection, user_id, now)
    if user == before:
        return user
    event = UserChanged(user_id=user_id, role=user.role, disabled=user.disabled_at is not None)
    await store.append(connection, f"user-{user_id}", [event], now=now)
    return user


async def invite_again(connection: Connection, user_id: int, now: datetime) -> tuple[User, str]:
    """Make another link for a user, for a password that was forgotten, say. Raise NotFound or Conflict."""
    user = await users.one(connection, user_id)
    if user.disabled_at is not None:
        raise Conflict(n_("the user is disabled"))
    return user, await invitations.invite(connection, user, now)


async def sign_out(connection: Connection, user_id: int, now: datetime, *, session_id: str | None = None) -> None:
    """End a user's sessions, or one of them; nothing happens where there is none. Raise NotFound for no such user."""
    await users.one(connection, user_id, lock=True)
    if session_id is None:
        ended = await sessions.revoke_all(connection, user_id, now)
    else:
        ended = await sessions.revoke(connection, user_id, session_id, now)
    if not ended:
        return
    await store.append(connection, f"user-{user_id}", [SessionsEnded(user_id=user_id)], now=now)


async def create_key(
    connection: Connection, *, name: str, scopes: Sequence[Scope], now: datetime
) -> tuple[ApiKey, str]:
    """Make an API key; return it with what is shown once. Raise NameTaken."""
    key, secret = await api_keys.add(connection, name=name, scopes=sorted(set(scopes)), now=now)
    event = KeyCreated(key_id=key.id, scopes=tuple(key.scopes))
    await store.append(connection, f"key-{key.id}", [event], now=now)
    return key, secret


async def revoke_key(connection: Connection, key_id: int, now: datetime) -> None:
    """Take an API key back; nothing happens if it was taken back before. Raise NotFound."""
    if await api_keys.revoke(connection, key_id, now):
        await store.append(connection, f"key-{key_id}", [KeyRevoked(key_id=key_id)], now=now)


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name:
        raise Invalid("name", n_("must hold more than white space"))
    if len(name) > LONGEST_NAME or "\0" in name:
        raise Invalid("name", filled("must have %(most)s characters at most, and no NUL", most=LONGEST_NAME))
    return name
