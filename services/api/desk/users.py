"""Settings › Users, for admins: who may sign in, and what they may do."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Role
from libs.common.errors import Conflict, Invalid
from libs.common.texts import gettext_noop as n_
from services.api.accounts import administration, invitations, users
from services.api.accounts.routes import link
from services.api.accounts.users import User
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import transactions
from services.api.http.errors import NameTaken
from services.api.http.fields import PathId

#: Role to what it may do, in the words of the page.
ROLES = {
    Role.VIEWER: n_("Viewer: may look"),
    Role.EDITOR: n_("Editor: may write, send, stop and decide"),
    Role.APPROVER: n_("Approver: an editor who may approve what others wrote"),
    Role.ADMIN: n_("Admin: may do everything, users and keys too"),
}


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


HANDLERS = (people, invite, change_user)
