"""Settings › Keys, for admins: by which programs call the API."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.domain.roles import Scope
from libs.common.texts import gettext_noop as n_
from services.api.accounts import administration, api_keys
from services.api.context import Context
from services.api.desk import rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.http import transactions
from services.api.http.errors import NameTaken
from services.api.http.fields import PathId

#: Scope to what it allows, in the words of the page.
SCOPES = {
    Scope.READ: n_("Read"),
    Scope.WRITE: n_("Write broadcasts, people and groups"),
    Scope.SEND: n_("Send and stop"),
    Scope.CONSENT: n_("Take the register of consent"),
    Scope.ADMIN: n_("Look after users and keys"),
}


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


HANDLERS = (keys, make_key, revoke_key)
