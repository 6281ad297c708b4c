"""Settings: how this Broadsheet is set, the browsers in which I am signed in, and, for admins, users and keys."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect, Template

from libs.common import database, phone_numbers
from libs.common.database import Connection
from libs.common.domain import calendar
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Role, Scope
from libs.common.errors import Conflict, Invalid
from libs.common.texts import gettext_noop as n_
from services.api.accounts import administration, api_keys, invitations, own_account, sessions, signing_in, users
from services.api.accounts.routes import link
from services.api.accounts.signing_in import TooManyAttempts, WrongPassword
from services.api.accounts.users import User
from services.api.context import Context
from services.api.desk import audit, faults, notices, own_numbers, rendering
from services.api.desk.catalogue import gettext as _
from services.api.desk.catalogue import said
from services.api.desk.sign_in import too_many
from services.api.http import transactions
from services.api.http.fields import PathId
from services.api.http.problems import NameTaken

AnyRequest = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]

SHOWN_DAYS = timedelta(days=366)  # whose holidays are shown

#: Role to what it may do, in the words of the page.
ROLES = {
    Role.VIEWER: n_("Viewer: may look"),
    Role.EDITOR: n_("Editor: may write, send, stop and decide"),
    Role.APPROVER: n_("Approver: an editor who may approve what others wrote"),
    Role.ADMIN: n_("Admin: may do everything, users and keys too"),
}
SCOPES = {
    Scope.READ: n_("Read"),
    Scope.WRITE: n_("Write broadcasts, people and groups"),
    Scope.SEND: n_("Send and stop"),
    Scope.ADMIN: n_("Look after users and keys"),
}


@get("/")
async def overview(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show how Broadsheet is set. The settings themselves are the operator's, in the environment."""
    today = api.clock().astimezone(api.settings.zone).date()
    async with database.transaction(api.engine) as connection:
        known = await own_numbers.values(connection, api)
    return rendering.page(
        request,
        api,
        "settings.html",
        section="settings",
        settings=api.settings,
        **known,
        holidays=calendar.holidays_between(today, today + SHOWN_DAYS, api.settings.calendar),
    )


@get("/me")
async def me(request: AnyRequest, api: NamedDependency[Context], user: NamedDependency[User]) -> Template:
    """Show who is signed in, and where."""
    return await _me(request, api, user, {})


@post("/me/password")
async def change_password(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    data: Form,
) -> Template | Redirect:
    """Choose another password; whoever does has to know the one before."""
    address = request.client.host if request.client else ""
    try:
        await signing_in.check(api, email=user.email, password=data.get("current", ""), address=address)
        chosen = await api.passwords.hash(data.get("password", ""))
    except WrongPassword:
        return await _me(request, api, user, {"current": _("This is not your password.")}, status=422)
    except TooManyAttempts as error:
        return await _me(request, api, user, {"current": too_many(error)}, status=429)
    except Invalid as error:
        return await _me(request, api, user, {"password": faults.of(_("This"), error.reason)}, status=422)

    async def work(connection: Connection) -> None:
        here = sessions.current(request)
        await own_account.choose_password(connection, user.id, chosen, api.clock(), here=here)

    await transactions.retrying(api.engine, cause, work)
    return Redirect("/desk/settings/me", status_code=303)


@post("/me/number")
async def change_number(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    data: Form,
) -> Template | Redirect:
    """Set the number that test messages go to, or clear it."""
    typed = data.get("phone_number", "").strip()
    try:
        number = phone_numbers.textable(typed, api.settings.regions) if typed else None
    except ValueError as error:
        return await _me(
            request, api, user, {"phone_number": _("This is %(what)s.") % {"what": said(str(error))}}, status=422
        )

    async def work(connection: Connection) -> None:
        await own_account.change_number(connection, user.id, number, api.clock())

    await transactions.retrying(api.engine, cause, work)
    return Redirect("/desk/settings/me", status_code=303)


async def _me(request: AnyRequest, api: Context, user: User, wrong: dict[str, str], *, status: int = 200) -> Template:
    async with database.transaction(api.engine) as connection:
        found = await sessions.of_user(connection, user.id, api.clock())
    here = sessions.current(request)
    return rendering.page(
        request,
        api,
        "me.html",
        status=status,
        section="settings",
        wrong=wrong,
        role=_(ROLES[user.role]),
        sessions=found,
        here=here.hex() if here else "",
    )


@post("/me/sessions/{session_id:str}/end")
async def end_session(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    user: NamedDependency[User],
    session_id: FromPath[str],
) -> Redirect:
    """Sign me out of one of my browsers."""

    async def work(connection: Connection) -> None:
        await administration.sign_out(connection, user.id, api.clock(), session_id=session_id)

    await transactions.retrying(api.engine, cause, work)
    return Redirect("/desk/settings/me", status_code=303)


@get("/users")
async def people(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show who may sign in."""
    return await _users(request, api)


@post("/users", status_code=200)
async def invite(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Template:
    """Add a user; the page shows the link, once."""
    role = data.get("role", "")
    if role not in set(Role):
        return await _users(request, api, status=422, wrong={"role": _("Choose what they may do.")}, given=data)

    async def work(connection: Connection) -> tuple[User, str]:
        return await administration.invite(
            connection, email=data.get("email", ""), name=data.get("name", ""), role=Role(role), now=api.clock()
        )

    try:
        user, token = await transactions.retrying(api.engine, cause, work)
    except Invalid as error:
        wrong = {error.field: faults.of(_("This"), error.reason)}
        return await _users(request, api, status=422, wrong=wrong, given=data)
    except NameTaken:
        wrong = {"email": _("Somebody with this address is a user already.")}
        return await _users(request, api, status=422, wrong=wrong, given=data)
    return await _users(request, api, invited=user, address=link(api, token))


@post("/users/{user_id:int}", status_code=200)
async def change_user(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], user_id: PathId, data: Form
) -> Template | Redirect:
    """Change what a user may do, disable or enable one, or make another link."""
    what, now = data.get("do", ""), api.clock()

    async def work(connection: Connection) -> tuple[User, str] | None:
        match what:
            case "link":
                return await administration.invite_again(connection, user_id, now)
            case "disable" | "enable":
                await administration.change(connection, user_id, disabled=what == "disable", now=now)
            case _ if data.get("role", "") in set(Role):
                await administration.change(connection, user_id, role=Role(data["role"]), now=now)
        return None

    try:
        made = await transactions.retrying(api.engine, cause, work)
    except Conflict as error:
        return await _users(request, api, status=409, wrong={"users": faults.whole(str(error))})
    if made is None:
        return Redirect("/desk/settings/users", status_code=303)
    return await _users(request, api, invited=made[0], address=link(api, made[1]))


@get("/keys")
async def keys(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show the API keys."""
    return await _keys(request, api)


@post("/keys", status_code=200)
async def make_key(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], data: Form
) -> Template:
    """Make an API key; the page shows it, once."""
    scopes = [scope for scope in Scope if data.get(f"scope-{scope}")]
    name = " ".join(data.get("name", "").split())
    wrong: dict[str, str] = {}
    if not name or len(name) > 100 or not all(each.isascii() and (each.isalnum() or each in " ._-") for each in name):
        wrong["name"] = _("Give it a name of letters, digits, spaces, dots and dashes.")
    if not scopes:
        wrong["scope-read"] = _("Choose what it may do.")
    if wrong:
        return await _keys(request, api, status=422, wrong=wrong, given=data)

    async def work(connection: Connection) -> str:
        return (await administration.create_key(connection, name=name, scopes=scopes, now=api.clock()))[1]

    try:
        secret = await transactions.retrying(api.engine, cause, work)
    except NameTaken:
        return await _keys(request, api, status=422, wrong={"name": _("There is a key of this name.")}, given=data)
    return await _keys(request, api, secret=secret)


@post("/keys/{key_id:int}/revoke")
async def revoke_key(api: NamedDependency[Context], cause: NamedDependency[Cause], key_id: PathId) -> Redirect:
    """Take an API key back."""

    async def work(connection: Connection) -> None:
        await administration.revoke_key(connection, key_id, api.clock())

    await transactions.retrying(api.engine, cause, work)
    return Redirect("/desk/settings/keys", status_code=303)


async def _users(
    request: AnyRequest,
    api: Context,
    *,
    status: int = 200,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    invited: User | None = None,
    address: str = "",
) -> Template:
    async with database.transaction(api.engine) as connection:
        found = await users.everybody(connection)
        links = await invitations.open_ones(connection, api.clock())
    return rendering.page(
        request,
        api,
        "users.html",
        status=status,
        section="settings",
        users=found,
        links=links,
        has_provider=bool(api.settings.oidc_issuer),
        roles={role: _(words) for role, words in ROLES.items()},
        wrong=wrong or {},
        given={"email": "", "name": "", "role": Role.EDITOR, **(given or {})},
        invited=invited,
        address=address,
    )


async def _keys(
    request: AnyRequest,
    api: Context,
    *,
    status: int = 200,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    secret: str = "",
) -> Template:
    async with database.transaction(api.engine) as connection:
        found = await api_keys.everything(connection)
    return rendering.page(
        request,
        api,
        "keys.html",
        status=status,
        section="settings",
        keys=found,
        scopes={scope: _(words) for scope, words in SCOPES.items()},
        wrong=wrong or {},
        given=given or {},
        secret=secret,
    )


ROUTER = Router(
    "/settings",
    route_handlers=[
        overview, audit.show, notices.ROUTER, me, change_number, change_password, end_session, people, invite,
        change_user, keys, make_key, revoke_key,
    ],
)  # fmt: skip
