"""Settings › My account: my password, my number for tests, and the browsers in which I am signed in."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect, Template

from libs.common import database, phone_numbers
from libs.common.catalogue import gettext as _
from libs.common.catalogue import said
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.errors import Invalid
from libs.common.texts import gettext_noop as n_
from services.api.accounts import administration, own_account, sessions, signing_in
from services.api.accounts.signing_in import TooManyAttempts, WrongPassword
from services.api.accounts.users import User
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.desk.sign_in import too_many
from services.api.desk.users import ROLES
from services.api.http import transactions


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
        if number in api.settings.own_numbers:
            raise ValueError(n_("one of our own numbers"))
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


HANDLERS = (me, change_number, change_password, end_session)
