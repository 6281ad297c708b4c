"""Signing in and out, and choosing a password by a link.

The form's fields come as they are, since a password may hold anything; what is missing is empty.
"""

import math
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode

import structlog
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from libs.common.database import Connection
from libs.common.domain import actors
from libs.common.domain.cause import Cause
from libs.common.errors import Invalid, NotFound
from services.api.accounts import invitations, sessions, signing_in
from services.api.accounts.provider import NotProven, Pending, ProviderAway
from services.api.accounts.signing_in import TooManyAttempts, WrongPassword
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import framing, transactions
from services.api.http.auth import DESK, PUBLIC, is_desk
from services.api.http.queries import ANY_QUERY

log = structlog.stdlib.get_logger(__name__)

#: What a session holds while its user is at the provider.
PENDING = "at_provider"


@get("/sign-in", opt=PUBLIC)
async def show(
    request: AnyRequest,
    api: NamedDependency[Context],
    then: Annotated[str, QueryParameter(max_length=500)] = DESK,
) -> Template | Redirect:
    """Show the form by which somebody signs in."""
    if request.scope.get("user") is not None:
        return Redirect(_inside(then), status_code=303)
    return rendering.page(
        request,
        api,
        "sign_in.html",
        then=_inside(then),
        email="",
        wrong={},
        has_provider=_has_provider(request, api),
    )


@post("/sign-in", opt=PUBLIC, status_code=303)
async def sign_in(request: AnyRequest, api: NamedDependency[Context], data: Form) -> Template | Redirect:
    """Sign somebody in by address and password."""
    email, then = data.get("email", ""), _inside(data.get("then", DESK))
    address = request.client.host if request.client else ""
    try:
        user = await signing_in.check(api, email=email, password=data.get("password", ""), address=address)
    except WrongPassword:
        wrong, status = {"email": _("The address or the password is not right.")}, 422
    except TooManyAttempts as error:
        wrong, status = {"email": too_many(error)}, 429
    else:
        sessions.sign_in(request, user.id)
        return Redirect(then, status_code=303)
    return rendering.page(
        request,
        api,
        "sign_in.html",
        status=status,
        then=then,
        email=email,
        wrong=wrong,
        has_provider=_has_provider(request, api),
    )


@get("/sign-in/provider", opt=PUBLIC)
async def to_provider(
    request: AnyRequest,
    api: NamedDependency[Context],
    then: Annotated[str, QueryParameter(max_length=500)] = DESK,
) -> Template | Redirect:
    """Lead somebody to the provider of the settings, to sign in there."""
    if api.provider is None:
        raise NotFound
    try:
        address, pending = await api.provider.begin()
    except ProviderAway as error:
        return _provider_away(request, api, error)
    request.set_session({PENDING: {**asdict(pending), "then": _inside(then)}})
    return Redirect(address, status_code=303)


@get("/sign-in/provider/callback", opt=PUBLIC | ANY_QUERY)
async def from_provider(request: AnyRequest, api: NamedDependency[Context]) -> Template | Redirect:
    """Sign somebody in who comes back from the provider: the user who has the address that it has verified."""
    if api.provider is None:
        raise NotFound
    begun = dict(request.session.get(PENDING) or {})
    request.clear_session()  # an answer counts once
    if not begun:
        return _again(request, api, _("That took too long, or was begun in another browser. Try again."))
    then = begun.pop("then")
    try:
        email = await api.provider.finish(Pending(**begun), dict(request.query_params))
    except ProviderAway as error:
        return _provider_away(request, api, error)
    except NotProven as error:
        log.warning("sign_in_refused", reason=str(error))
        return _again(request, api, _("The sign-in service did not confirm who you are. Try again."))
    user = await signing_in.by_email(api, email)
    if user is None:
        return _again(request, api, _("Nobody with this address was invited. Ask an admin."))
    sessions.sign_in(request, user.id)
    return Redirect(then, status_code=303)


@post("/sign-out", opt=PUBLIC, status_code=303)
async def sign_out(request: AnyRequest) -> Redirect:
    """Sign whoever it is out of this browser."""
    framed = bool(request.session.get(framing.FRAMED))
    request.clear_session()
    back = f"?{urlencode({'then': framing.SIDEBAR})}" if framed else ""
    return Redirect(f"{framing.SIGN_IN}{back}", status_code=303)


@get("/invitation/{token:str}", opt=PUBLIC)
async def show_invitation(request: AnyRequest, api: NamedDependency[Context], token: FromPath[str]) -> Template:
    """Show the form by which a user who has a link chooses a password."""
    async with database.transaction(api.engine) as connection:
        invited = await invitations.whose(connection, token, api.clock())
    return rendering.page(request, api, "invitation.html", token=token, invited=invited, wrong={})


@post("/invitation/{token:str}", opt=PUBLIC, status_code=303)
async def accept_invitation(
    request: AnyRequest,
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    token: FromPath[str],
    data: Form,
) -> Template | Redirect:
    """Set the password that the user with a link has chosen, and sign the user in."""
    async with database.transaction(api.engine) as connection:
        invited = await invitations.whose(connection, token, api.clock())
    try:
        chosen = await api.passwords.hash(data.get("password", ""))
    except Invalid as error:
        wrong = {"password": faults.of(_("The password"), error.reason)}
        return rendering.page(request, api, "invitation.html", status=422, token=token, invited=invited, wrong=wrong)

    async def work(connection: Connection) -> None:
        await invitations.accept(connection, token, chosen, api.clock())

    by_the_user = Cause(correlation_id=cause.correlation_id, actor=actors.user(invited.id))
    await transactions.retrying(api.engine, by_the_user, work)
    sessions.sign_in(request, invited.id)
    return Redirect(DESK, status_code=303)


def too_many(error: TooManyAttempts) -> str:
    """Return in words when somebody may try again."""
    minutes = math.ceil(error.wait.total_seconds() / 60)
    words = ngettext(
        "There were too many attempts. Try again in %(num)s minute.",
        "There were too many attempts. Try again in %(num)s minutes.",
        minutes,
    )
    return words % {"num": minutes}


def _again(request: AnyRequest, api: Context, words: str, *, status: int = 422) -> Template:
    return rendering.page(
        request,
        api,
        "sign_in.html",
        status=status,
        then=DESK,
        email="",
        wrong={"provider": words},
        has_provider=_has_provider(request, api),
    )


def _has_provider(request: AnyRequest, api: Context) -> bool:
    """Whether somebody can sign in at a provider: none lets itself be framed."""
    return api.provider is not None and not framing.is_framed(request.headers, api.settings)


def _provider_away(request: AnyRequest, api: Context, error: ProviderAway) -> Template:
    log.error("provider_away", reason=str(error))
    return _again(request, api, _("The sign-in service does not answer. Try again in a minute."), status=503)


def _inside(path: str) -> str:
    """Return a path of the desk, whatever was asked for: nobody is led elsewhere."""
    is_plain = not any(each in path for each in ("\\", "//", "..", "\n", "\r")) and path.isprintable()
    return path if is_plain and is_desk(path.partition("?")[0]) else DESK


ROUTER = Router(
    "/", route_handlers=[show, sign_in, to_provider, from_provider, sign_out, show_invitation, accept_invitation]
)
