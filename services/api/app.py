"""The API: builds, wires, returns. Nothing connects before the app's lifespan begins.

It needs the database alone: what others are to do goes into the outbox, which the planner's relay publishes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.prometheus import PrometheusConfig

from libs.common import clock, database, settings, tracing
from libs.common.clock import Clock
from libs.common.making import Schedule
from libs.common.settings import ApiSettings
from services.api import (
    bodies,
    broadcasts,
    contact_import,
    contacts,
    health,
    levers,
    problems,
    reports,
    segments,
    stop,
    stream,
    webhooks,
)
from services.api.auth import SCHEMA, KeyGuard
from services.api.context import Context
from services.api.correlation import Correlation
from services.api.shields import shield

LARGEST_BODY = 1024 * 1024  # bytes
CONNECTIONS = 10

#: By the route's template: a path may hold what is personal, and there is no end of paths.
METRICS = PrometheusConfig(
    app_name="api",
    prefix="broadsheet_http",
    group_path=True,
    exclude_unhandled_paths=True,
    exclude=["^/metrics", "^/health"],
)

HANDLERS = (
    *health.HANDLERS,
    *levers.HANDLERS,
    *stop.HANDLERS,
    *broadcasts.HANDLERS,
    *reports.HANDLERS,
    *stream.HANDLERS,
    *segments.HANDLERS,
    *contact_import.HANDLERS,
    *contacts.HANDLERS,
    *webhooks.HANDLERS,
)


def create_app(configuration: ApiSettings | None = None, *, now: Clock = clock.utc_now) -> Litestar:
    """Build the API. Raises SettingsError. `app.state.context` is what its handlers work with."""
    configuration = configuration or settings.load(ApiSettings)
    context = Context(
        settings=configuration,
        pool=database.create_pool(configuration.database_url, size=CONNECTIONS),
        clock=now,
        schedule=Schedule(zone=configuration.zone, holidays=configuration.holidays),
    )

    @asynccontextmanager
    async def connections(_app: Litestar) -> AsyncIterator[None]:
        async with context.pool:
            yield
        tracing.shutdown()

    return Litestar(
        route_handlers=HANDLERS,
        lifespan=[connections],
        dependencies={"api": Provide(lambda: context, sync_to_thread=False)},
        guards=[KeyGuard(configuration)],
        before_request=bodies.check,
        middleware=[METRICS.middleware, Correlation()],
        before_send=[shield],
        exception_handlers=problems.HANDLERS,
        request_max_body_size=LARGEST_BODY,
        openapi_config=OpenAPIConfig(
            title="Broadsheet",
            version="1",
            path=SCHEMA,
            # No page: those that there are have the browser run scripts of others, where somebody types a key in.
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), YamlRenderPlugin()],
            components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"key": []}],
        ),
        state=State({"context": context}),
        logging_config=None,
    )
