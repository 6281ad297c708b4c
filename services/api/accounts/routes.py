"""Users, their sessions, and API keys, for admins. What is shown once is kept nowhere, so no answer is given twice."""

from dataclasses import asdict

import msgspec
from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from libs.common import database
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Role, Scope
from libs.common.errors import Conflict
from services.api.accounts import administration, api_keys, sessions, users
from services.api.accounts.schemas import Invited, Key, KeyShown, NewKey, NewUser, Session, User, UserChanges
from services.api.context import Context
from services.api.http import transactions
from services.api.http.contract import tells
from services.api.http.errors import NameTaken
from services.api.http.fields import PathId


@get("/users")
async def index(api: NamedDependency[Context]) -> list[User]:
    """List the people who may sign in, and those who are disabled."""
    async with database.transaction(api.engine) as connection:
        return [_user(each) for each in await users.everybody(connection)]


@post("/users", opt=tells(NameTaken))
async def invite(api: NamedDependency[Context], cause: NamedDependency[Cause], data: JSONBody[NewUser]) -> Invited:
    """Add a user. The link in the answer is for the user alone: who has it chooses the password."""

    async def work(connection: Connection) -> Invited:
        user, token = await administration.invite(
            connection, email=data.email, name=data.name, role=Role(data.role), now=api.clock()
        )
        return Invited(user=_user(user), link=link(api, token))

    return await transactions.retrying(api.engine, cause, work)


@patch("/users/{user_id:int}", opt=tells(Conflict))
async def change(
    api: NamedDependency[Context], cause: NamedDependency[Cause], user_id: PathId, data: JSONBody[UserChanges]
) -> User:
    """Change a user. Who is disabled is signed in nowhere any more; the last admin stays one."""

    async def work(connection: Connection) -> User:
        user = await administration.change(
            connection,
            user_id,
            name=None if data.name is UNSET else data.name,
            role=None if data.role is UNSET else Role(data.role),
            disabled=None if data.disabled is UNSET else data.disabled,
            now=api.clock(),
        )
        return _user(user)

    return await transactions.retrying(api.engine, cause, work)


@post("/users/{user_id:int}/invitation", opt=tells(Conflict))
async def invite_again(api: NamedDependency[Context], cause: NamedDependency[Cause], user_id: PathId) -> Invited:
    """Make another link for a user, for a password that was forgotten, say. The one before is not valid any more."""

    async def work(connection: Connection) -> Invited:
        user, token = await administration.invite_again(connection, user_id, api.clock())
        return Invited(user=_user(user), link=link(api, token))

    return await transactions.retrying(api.engine, cause, work)


@get("/users/{user_id:int}/sessions")
async def list_sessions(api: NamedDependency[Context], user_id: PathId) -> list[Session]:
    """List the browsers in which a user is signed in."""
    async with database.transaction(api.engine) as connection:
        await users.one(connection, user_id)
        found = await sessions.of_user(connection, user_id, api.clock())
    return [Session(**asdict(each)) for each in found]


@delete("/users/{user_id:int}/sessions")
async def end_sessions(api: NamedDependency[Context], cause: NamedDependency[Cause], user_id: PathId) -> None:
    """Sign a user out everywhere."""

    async def work(connection: Connection) -> None:
        await administration.sign_out(connection, user_id, api.clock())

    await transactions.retrying(api.engine, cause, work)


@get("/keys")
async def list_keys(api: NamedDependency[Context]) -> list[Key]:
    """List the API keys, the newest first. Those of the settings are not among them."""
    async with database.transaction(api.engine) as connection:
        return [_key(each) for each in await api_keys.everything(connection)]


@post("/keys", opt=tells(NameTaken))
async def create_key(api: NamedDependency[Context], cause: NamedDependency[Cause], data: JSONBody[NewKey]) -> KeyShown:
    """Make an API key. It is in this answer alone."""

    async def work(connection: Connection) -> KeyShown:
        key, secret = await administration.create_key(
            connection, name=data.name, scopes=[Scope(each) for each in data.scopes], now=api.clock()
        )
        return KeyShown(key=_key(key), secret=secret)

    return await transactions.retrying(api.engine, cause, work)


@delete("/keys/{key_id:int}")
async def revoke_key(api: NamedDependency[Context], cause: NamedDependency[Cause], key_id: PathId) -> None:
    """Take an API key back: it opens nothing from now on. Twice does no harm."""

    async def work(connection: Connection) -> None:
        await administration.revoke_key(connection, key_id, api.clock())

    await transactions.retrying(api.engine, cause, work)


def link(api: Context, token: str) -> str:
    """Return the address at which a user chooses a password."""
    return f"{api.settings.public_url.rstrip('/')}/desk/invitation/{token}"


def _user(user: users.User) -> User:
    return User(**asdict(user))


def _key(key: api_keys.ApiKey) -> Key:
    return msgspec.convert(asdict(key), Key)


HANDLERS = (index, invite, change, invite_again, list_sessions, end_sessions, list_keys, create_key, revoke_key)
