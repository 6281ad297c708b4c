"""Who works here: users, their sessions, and keys of programs."""

from datetime import datetime
from typing import Any

from sqlalchemy import Computed, ForeignKey, Identity, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from libs.common.database.enums import literals
from libs.common.database.tables.base import E164, NOW, Base, check
from libs.common.domain.roles import Role, Scope


class User(Base):
    """A person who may sign in."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: In small letters, so that each address is one user's.
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[Role]
    #: Argon2id, with its parameters. Null as long as none was chosen: the user may still sign in by OpenID Connect.
    password_hash: Mapped[str | None]
    #: Where the user's own test messages go.
    phone_number: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: From when on the user may not sign in. A user is never deleted: history names users by id.
    disabled_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("email"),
        check("email = lower(email) AND email LIKE '_%@_%'", "users_email_check"),
        check("length(name) >= 1", "users_name_check"),
        check(f"phone_number ~ '{E164}'", "users_phone_number_check"),
        check(f"role IN {literals(Role)}", "users_role_check"),
    )


class Session(Base):
    """A browser in which somebody is signed in, or is about to."""

    __tablename__ = "sessions"
    #: SHA-256 of what the cookie holds: whoever reads this table is not signed in.
    id: Mapped[bytes] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]]
    #: Null before somebody is signed in.
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id"), Computed("CAST(data ->> 'user_id' AS bigint)", persisted=True)
    )
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    __table_args__ = (Index("sessions_user", "user_id"), Index("sessions_age", "expires_at"))


class Invitation(Base):
    """A link by which a user chooses a password: the first one, or another."""

    __tablename__ = "invitations"
    #: One link a user: a new one takes the place of the one before.
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, autoincrement=False)
    #: SHA-256 of what the link holds.
    token: Mapped[bytes]
    expires_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("token"),)


class ApiKey(Base):
    """A key by which a program calls the API."""

    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    #: History names keys by name, so that none has the name of an earlier one.
    name: Mapped[str]
    #: SHA-256 of the key, which has 256 random bits: nobody can try them all.
    hash: Mapped[bytes]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    #: When it was last used, to the minute.
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("name"),
        UniqueConstraint("hash"),
        check("length(name) >= 1", "api_keys_name_check"),
        check(
            f"cardinality(scopes) > 0 AND scopes <@ ARRAY[{', '.join(repr(str(scope)) for scope in Scope)}]",
            "api_keys_scopes_check",
        ),
    )


class SignInAttempts(Base):
    """How many attempts to sign in came from an address, or for an account, since when."""

    __tablename__ = "sign_in_attempts"
    #: SHA-256 of the address or the account: neither stays here.
    key: Mapped[bytes] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime]
    __table_args__ = (Index("sign_in_attempts_age", "since"),)
