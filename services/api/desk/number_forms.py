"""Settings › Numbers, for admins: how each of our numbers sends."""

from typing import Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.response import Redirect, Template

from libs.common import database
from libs.common.catalogue import gettext as _
from libs.common.database import Connection
from libs.common.domain.cause import Cause
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk import faults, rendering
from services.api.desk.requests import AnyRequest, Form
from services.api.desk.waits import CARRIERS
from services.api.http import transactions
from services.api.http.errors import InvalidFields
from services.api.http.fields import PathId, in_words
from services.api.numbers import register
from services.api.numbers.schemas import ListedNumber, NumberChanges

PAGE = "/desk/settings/numbers"
#: Fields of the form that hold figures; an empty one means that there is no such limit.
TEXTS = ("carrier", "hours", "messaging_service_sid")
FIGURES = ("rate", "minute_limit", "daily_cap")


@get("/numbers")
async def numbers(request: AnyRequest, api: NamedDependency[Context]) -> Template:
    """Show how each of our numbers sends."""
    return await _numbers(request, api)


@post("/numbers/{number_id:int}")
async def change_number(
    request: AnyRequest, api: NamedDependency[Context], cause: NamedDependency[Cause], number_id: PathId, data: Form
) -> Template | Redirect:
    """Change how a number sends, from its next batch on."""
    try:
        changes = _changes(data)

        async def work(connection: Connection) -> None:
            await register.change(connection, number_id, changes, api.settings, api.clock(), wanted=None)

        await transactions.retrying(api.engine, cause, work)
    except InvalidFields as error:
        wrong = {f"{field}-{number_id}": faults.of(_("This"), reason) for field, reason in error.fields}
        return await _numbers(request, api, wrong=wrong, given=data, of=number_id)
    return Redirect(PAGE, status_code=303)


def _changes(data: Form) -> NumberChanges:
    """Return what a form says of a number. Raise InvalidFields."""
    wish: dict[str, Any] = {
        "carrier": data.get("carrier") or None,
        "hours": data.get("hours", "").replace(" ", "").replace("–", "-") or None,
        "messaging_service_sid": data.get("messaging_service_sid", "").strip() or None,
        "enabled": bool(data.get("enabled")),
    }
    wrong = []
    for name in FIGURES:
        given = data.get(name, "").replace(",", "").replace(" ", "")
        try:
            wish[name] = (float(given) if name == "rate" else int(given)) if given else None
        except ValueError:
            wrong.append((name, n_("must be a figure")))
    for name, value in wish.items():
        try:
            msgspec.convert({name: value}, NumberChanges)
        except msgspec.ValidationError as error:
            wrong.append((name, in_words(str(error).partition(" - at ")[0])))
    if wrong:
        raise InvalidFields(*wrong)
    return msgspec.convert(wish, NumberChanges)


async def _numbers(
    request: AnyRequest,
    api: Context,
    *,
    wrong: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    of: int | None = None,
) -> Template:
    given = given or {}
    async with database.transaction(api.engine) as connection:
        found = await register.everything(connection, api.settings, api.clock())
    return rendering.page(
        request,
        api,
        "numbers.html",
        status=422 if wrong else 200,
        section="settings",
        numbers=[(each, {**_given(each), "enabled": "", **given} if each.id == of else _given(each)) for each in found],
        carriers=CARRIERS,
        settings=api.settings,
        wrong=wrong or {},
    )


def _given(number: ListedNumber) -> dict[str, str]:
    """Return what the form of a number holds."""
    known = {name: getattr(number, name) for name in TEXTS + FIGURES}
    filled = {
        name: "" if value is None else f"{value:g}" if name == "rate" else str(value) for name, value in known.items()
    }
    return {**filled, "enabled": "1" if number.enabled else ""}


HANDLERS = (numbers, change_number)
