"""What handlers are given is made one after the other, which costs nothing: no request starts tasks for it."""

from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute

from libs.common.settings.api import ApiSettings
from services.api.app import create_app


def application() -> Litestar:
    fields: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "from_number": "+13135550100",
        "api_keys": ("0123456789abcdef",),
    }
    return create_app(ApiSettings(**fields))


def test_no_two_dependencies_of_a_route_are_made_at_once() -> None:
    at_once = [
        f"{method} {route.path}: {', '.join(sorted(dependency.key for dependency in batch))}"
        for route in application().routes
        if isinstance(route, HTTPRoute)
        for method, (_, arguments) in route.route_handler_map.items()
        for batch in arguments.dependency_batches
        if len(batch) > 1
    ]
    assert at_once == []
