"""Settings › Consent: the register of every opt-out and opt-in, for an auditor to take."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream, Template

from libs.common.domain.cause import Cause
from services.api.consent import exporting
from services.api.consent.exporting import Form, Numbers
from services.api.context import Context
from services.api.desk import rendering

Hashed = Annotated[bool, QueryParameter()]


@get("/")
async def show(request: Request[Any, Any, Any], api: NamedDependency[Context]) -> Template:
    """Say what the register holds, and offer it."""
    may_hash = bool(api.settings.consent_hash_key.get_secret_value())
    return rendering.page(request, api, "consent.html", section="settings", may_hash=may_hash)


@get("/export.csv")
async def as_csv(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    hashed: Hashed = False,  # noqa: FBT002 - a query has no positions
) -> Stream:
    """Return the register as CSV."""
    return await exporting.export(api, cause, Form.CSV, Numbers.HASHED if hashed else Numbers.PLAIN)


@get("/export.jsonl")
async def as_json_lines(
    api: NamedDependency[Context],
    cause: NamedDependency[Cause],
    hashed: Hashed = False,  # noqa: FBT002 - a query has no positions
) -> Stream:
    """Return the register as JSON lines."""
    return await exporting.export(api, cause, Form.JSONL, Numbers.HASHED if hashed else Numbers.PLAIN)


ROUTER = Router("/consent", route_handlers=[show, as_csv, as_json_lines])
