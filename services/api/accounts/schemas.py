"""Users, sessions and API keys as they come in and go out."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common import email_addresses
from services.api.http.fields import EMAIL_PATTERN, KEY_NAME_PATTERN, NO_NUL, Moment, PhoneNumber
from services.api.schemas import Body

RoleName = Literal["viewer", "editor", "approver", "admin"]
ScopeName = Literal["read", "write", "send", "consent", "admin"]
Email = Annotated[
    str, Meta(min_length=3, max_length=email_addresses.LONGEST, pattern=EMAIL_PATTERN, examples=["ana@example.org"])
]
PersonName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


class NewUser(Body):
    """Somebody who is to be invited."""

    email: Email
    name: PersonName
    role: RoleName


class UserChanges(Body):
    """What is to change about a user; what is left out stays."""

    name: PersonName | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class User(Struct, kw_only=True):
    """A person who may sign in, unless disabled."""

    id: int
    email: str
    name: str
    role: RoleName
    created_at: Moment
    disabled_at: Moment | None
    has_password: bool
    #: The number that the user has given for test messages.
    phone_number: PhoneNumber | None


class Invited(Struct, kw_only=True):
    """A user, and the link by which the user chooses a password. It is shown once, works once, and for three days."""

    user: User
    link: str


class Session(Struct, kw_only=True):
    """A browser in which a user is signed in."""

    id: str
    #: What the browser says of itself.
    agent: str
    created_at: Moment
    seen_at: Moment


class NewKey(Body):
    """An API key that is to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=KEY_NAME_PATTERN)]
    scopes: Annotated[list[ScopeName], Meta(min_length=1, max_length=5)]


class Key(Struct, kw_only=True):
    """An API key, without the key itself."""

    id: int
    name: str
    scopes: list[ScopeName]
    created_at: Moment
    #: To the minute; null as long as it was not used.
    used_at: Moment | None
    revoked_at: Moment | None


class KeyShown(Struct, kw_only=True):
    """A new API key. It is shown this once."""

    key: Key
    secret: str
