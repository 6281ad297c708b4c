"""Every route says who may call it. A new one that says nothing serves nobody, and this fails."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from libs.common.domain.roles import Permission
from libs.common.settings.api import ApiSettings
from services.api.app import create_app
from services.api.http import permissions


@pytest.fixture(scope="module")
def app() -> Litestar:
    fields: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "from_number": "+13135550100",
        "api_keys": ("0123456789abcdef",),
    }
    return create_app(ApiSettings(**fields))


def routes(app: Litestar) -> dict[str, bool]:
    """Return every route, and whether it is public."""
    found = {}
    for route in app.routes:
        assert isinstance(route, HTTPRoute), route
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                found[f"{method} {route.path_format}"] = bool(handler.opt.get("public"))
    return found


def test_every_route_that_is_not_public_needs_a_permission_and_no_other_is_named(app: Litestar) -> None:
    closed = {route for route, is_public in routes(app).items() if not is_public}
    assert closed == permissions.NEEDED.keys()


def test_whoever_may_only_read_changes_nothing_but_what_is_their_own() -> None:
    own = ("POST /desk/settings/me/", "POST /desk/settings/notices/me/")
    reading = {route for route, permission in permissions.NEEDED.items() if permission is Permission.READ}
    assert all(route.startswith(("GET ", *own)) for route in reading)


def test_head_needs_what_get_needs_and_an_unknown_route_what_nobody_has() -> None:
    assert permissions.needed("HEAD", "/broadcasts") is Permission.READ
    assert permissions.needed("GET", "/no/such/route") is None
