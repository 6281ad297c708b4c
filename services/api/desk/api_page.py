"""The API's description as a page, to read and to try it: our own script, and nobody else is asked for anything.

It stands beside the description and not at the desk: no session opens the API, and a key that somebody types in is kept
by the page alone.
"""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Template

from services.api.context import Context
from services.api.desk import rendering
from services.api.http.auth import PUBLIC


@get("/schema/page", opt=PUBLIC, include_in_schema=False)
async def show(request: Request[Any, Any, Any], api: NamedDependency[Context]) -> Template:
    """Show the API's description."""
    return rendering.page(request, api, "api.html")
