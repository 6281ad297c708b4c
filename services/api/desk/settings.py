"""Settings: how this Broadsheet is set. Its other pages are in modules of their own."""

from datetime import timedelta

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.response import Template

from libs.common import database
from libs.common.domain import calendar, regional_hours
from services.api.context import Context
from services.api.desk import (
    audit,
    consent,
    keys,
    keywords,
    notices,
    number_forms,
    own_account,
    own_numbers,
    rendering,
    users,
)
from services.api.desk.requests import AnyRequest

SHOWN_DAYS = timedelta(days=366)  # whose holidays are shown


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
        rules=list(regional_hours.rules().values()) if api.settings.quiet and api.settings.regional_hours else [],
        section="settings",
        settings=api.settings,
        **known,
        holidays=calendar.holidays_between(today, today + SHOWN_DAYS, api.settings.calendar),
    )


ROUTER = Router(
    "/settings",
    route_handlers=[
        overview, audit.show, consent.ROUTER, keywords.ROUTER, notices.ROUTER,
        *own_account.HANDLERS, *users.HANDLERS, *number_forms.HANDLERS, *keys.HANDLERS,
    ],
)  # fmt: skip
