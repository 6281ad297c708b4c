"""The people who may sign in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from libs.common import email_addresses
from libs.common.database import Connection, all_rows, first_row
from libs.common.database.enums import EnumText
from libs.common.domain.roles import OF_ROLE, Permission, Role
from libs.common.errors import Invalid, NotFound
from libs.common.texts import gettext_noop as n_
from services.api.http.errors import NameTaken

_ROLE = EnumText(Role)
_COLUMNS = "id, email, name, role, created_at, disabled_at, password_hash IS NOT NULL AS has_password, phone_number"

#: All users, in the order in which they came.
ALL = text(f"SELECT {_COLUMNS} FROM users ORDER BY id").columns(role=_ROLE)

#: One user.
ONE = text(f"SELECT {_COLUMNS} FROM users WHERE id = :id").columns(role=_ROLE)

#: The same, as nobody else can change it until the transaction ends.
LOCK = text(f"SELECT {_COLUMNS} FROM users WHERE id = :id FOR NO KEY UPDATE").columns(role=_ROLE)

#: The user who has an address.
BY_EMAIL = text(f"SELECT {_COLUMNS} FROM users WHERE email = :email").columns(role=_ROLE)

#: What the password of an address is checked against.
HASH = text("""
SELECT id AS user_id, password_hash AS hash FROM users
WHERE email = :email AND disabled_at IS NULL AND password_hash IS NOT NULL
""")

#: Adds a user; no row where somebody has the address.
ADD = text(f"""
INSERT INTO users (email, name, role, created_at) VALUES (:email, :name, :role, :now)
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
""").columns(role=_ROLE)

#: Changes what is given; who is disabled already stays so since then.
CHANGE = text(f"""
UPDATE users SET name = coalesce(CAST(:name AS text), name), role = coalesce(CAST(:role AS text), role),
    disabled_at = CASE WHEN CAST(:disabled AS boolean) IS NULL THEN disabled_at
                       WHEN CAST(:disabled AS boolean) THEN coalesce(disabled_at, :now) END
WHERE id = :id RETURNING {_COLUMNS}
""").columns(role=_ROLE)

#: Gives a user another password.
SET_HASH = text("UPDATE users SET password_hash = :hash WHERE id = :id")

#: Gives a user a number for test messages, or none; no row where that is so already.
SET_NUMBER = text("""
UPDATE users SET phone_number = CAST(:number AS text)
WHERE id = :id AND phone_number IS DISTINCT FROM CAST(:number AS text)
""")

#: Locks the admins who may sign in: two who demote each other at once must not both succeed.
ADMINS = text(f"SELECT id FROM users WHERE role = '{Role.ADMIN}' AND disabled_at IS NULL ORDER BY id FOR UPDATE")


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in, as long as `disabled_at` is None."""

    id: int
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    has_password: bool
    #: Where the user's own test messages go.
    phone_number: str | None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the user may do."""
        return OF_ROLE[self.role]

    def may(self, permission: str) -> bool:
        """Whether the user has a permission; for templates."""
        return Permission(permission) in self.permissions


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """What a user's password is checked against."""

    user_id: int
    hash: str


def normalized_email(given: str, field: str = "email") -> str:
    """Return an address as it is stored. Raise Invalid, for the field that it was given in."""
    try:
        return email_addresses.normalized(given)
    except ValueError as error:
        raise Invalid(field, str(error)) from None


async def everybody(connection: Connection) -> Sequence[User]:
    """Return all users, in the order in which they came."""
    return all_rows(await connection.execute(ALL), User)


async def one(connection: Connection, user_id: int, *, lock: bool = False) -> User:
    """Return a user, whom nobody else can change then if `lock` says so. Raise NotFound."""
    user = first_row(await connection.execute(LOCK if lock else ONE, {"id": user_id}), User)
    if user is None:
        raise NotFound(f"there is no user {user_id}")
    return user


async def who_may_sign_in(connection: Connection, user_id: int) -> User | None:
    """Return a user, None if there is none or the user is disabled."""
    user = first_row(await connection.execute(ONE, {"id": user_id}), User)
    return None if user is None or user.disabled_at is not None else user


async def by_email(connection: Connection, email: str) -> User | None:
    """Return the user of an address who may sign in."""
    user = first_row(await connection.execute(BY_EMAIL, {"email": email}), User)
    return None if user is None or user.disabled_at is not None else user


async def password_of(connection: Connection, email: str) -> StoredPassword | None:
    """Return what the password for an address is checked against; None where nobody may sign in by one."""
    return first_row(await connection.execute(HASH, {"email": email}), StoredPassword)


async def add(connection: Connection, *, email: str, name: str, role: Role, now: datetime) -> User:
    """Add a user without a password. Raise NameTaken if somebody has the address."""
    parameters = {"email": email, "name": name, "role": role, "now": now}
    user = first_row(await connection.execute(ADD, parameters), User)
    if user is None:
        raise NameTaken(n_("there is another user with this address"))
    return user


async def change(
    connection: Connection, user_id: int, *, name: str | None, role: Role | None, disabled: bool | None, now: datetime
) -> User:
    """Change what is not None. Raise NotFound."""
    parameters = {"id": user_id, "name": name, "role": role, "disabled": disabled, "now": now}
    user = first_row(await connection.execute(CHANGE, parameters), User)
    if user is None:
        raise NotFound(f"there is no user {user_id}")
    return user


async def set_number(connection: Connection, user_id: int, phone_number: str | None) -> bool:
    """Set a user's number for test messages, in E.164, or none; False if that is so already."""
    cursor = await connection.execute(SET_NUMBER, {"id": user_id, "number": phone_number})
    return cursor.rowcount > 0


async def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Set another password for a user."""
    await connection.execute(SET_HASH, {"id": user_id, "hash": password_hash})


async def lock_admins(connection: Connection) -> list[int]:
    """Lock the admins who may sign in until the transaction ends; return their ids."""
    return list((await connection.execute(ADMINS)).scalars())
