"""The API: builds, wires, returns. Nothing connects before the app's lifespan begins.

It needs the database alone: what others are to do goes into the outbox, which the planner's relay publishes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.htmx import HTMXPlugin
from litestar.plugins.prometheus import PrometheusConfig

from libs.common import catalogue, clock, database, settings
from libs.common.broadcasts import counters
from libs.common.broadcasts.making import Schedule
from libs.common.carriers.clock_records import Reader
from libs.common.clock import Clock
from libs.common.database.probe import Probe
from libs.common.domain import actors
from libs.common.observability import tracing
from libs.common.settings.api import ApiSettings
from services.api import health
from services.api.accounts import routes as accounts
from services.api.accounts import sessions
from services.api.accounts.provider import Provider
from services.api.audit import routes as audit
from services.api.broadcasts import (
    actions,
    answered,
    checking,
    expected_audience,
    reports,
    stop,
    stream,
    trying,
    uncertain_messages,
)
from services.api.broadcasts import routes as broadcasts
from services.api.broadcasts.hub import Hub
from services.api.consent import routes as consent
from services.api.contacts import import_list, import_trials, import_undo, imports
from services.api.contacts import routes as contacts
from services.api.contacts.import_lane import Lane
from services.api.context import Context
from services.api.desk import api_page, assets, rendering
from services.api.desk import failures as desk_failures
from services.api.desk import routes as desk
from services.api.http import body_validation, forgery, openapi, queries
from services.api.http.auth import Access, current_user
from services.api.http.correlation import Correlation, cause
from services.api.http.front import Front, allow, check_ids
from services.api.http.reading import Incoming
from services.api.http.security_headers import add_security_headers
from services.api.keywords import routes as keywords
from services.api.numbers import routes as numbers
from services.api.replies import routes as replies
from services.api.segments import routes as segments
from services.api.webhooks import routes as webhooks

ACTOR = actors.service("api")
LARGEST_BODY = 1024 * 1024  # bytes
CONNECTIONS = 10
LONG_WORK_CONNECTIONS = 4
WEBHOOK_CONNECTIONS = 5
IMPORTS = 2  # at once
IMPORTS_IN_LINE = 20
IMPORT_PATIENCE = 60.0  # seconds that one waits in line

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
    *actions.HANDLERS,
    *stop.HANDLERS,
    *broadcasts.HANDLERS,
    *reports.HANDLERS,
    *checking.HANDLERS,
    *expected_audience.HANDLERS,
    *answered.HANDLERS,
    *uncertain_messages.HANDLERS,
    *trying.HANDLERS,
    *stream.HANDLERS,
    *segments.HANDLERS,
    *imports.HANDLERS,
    *import_list.HANDLERS,
    *import_trials.HANDLERS,
    *import_undo.HANDLERS,
    *contacts.HANDLERS,
    *numbers.HANDLERS,
    *replies.HANDLERS,
    *keywords.HANDLERS,
    *accounts.HANDLERS,
    *audit.HANDLERS,
    *consent.HANDLERS,
    *webhooks.HANDLERS,
)
#: Pages for people. They have a session, and are not in the API's description.
DESK = (desk.ROUTER,)


@cache
def description() -> dict[str, Any]:
    """Return what the API says of itself."""
    return openapi.describe(HANDLERS)


async def _check(request: Request[Any, Any, Any]) -> None:
    """Check what was sent. One function, since Litestar copies the handler for each guard of a request."""
    check_ids(request)
    queries.check(request)
    await body_validation.check(request)


def _provider(configuration: ApiSettings) -> Provider | None:
    """Return where people may sign in, if the settings name somewhere."""
    if not configuration.oidc_issuer:
        return None
    # Its libraries take 10 MB and a part of the start: who names no provider does not pay for them.
    from services.api.accounts.openid import OpenIdProvider

    return OpenIdProvider(configuration)


def create_context(configuration: ApiSettings, *, now: Clock = clock.utc_now) -> Context:
    """Return what the handlers of an API work with. Nothing is connected yet."""
    url = configuration.database_url.get_secret_value()
    pooler = configuration.database_pooler
    webhooks_pool = database.create_engine(url, size=WEBHOOK_CONNECTIONS, pooler=pooler, actor=ACTOR)
    engine = database.create_engine(url, size=CONNECTIONS, pooler=pooler, actor=ACTOR)
    stopping = asyncio.Event()
    return Context(
        settings=configuration,
        engine=engine,
        hub=Hub(engine, configuration, now, stopping),
        stopping=stopping,
        long_work=database.create_engine(
            url, size=LONG_WORK_CONNECTIONS, pooler=pooler, longest=database.LONG_WORK, actor=ACTOR
        ),
        webhooks=webhooks_pool,
        imports=database.create_engine(url, size=IMPORTS, pooler=pooler, actor=ACTOR),
        probe=Probe(url, pooler=pooler),
        import_lane=Lane(places=IMPORTS, line=IMPORTS_IN_LINE, patience=IMPORT_PATIENCE),
        clock=now,
        schedule=Schedule(
            zone=configuration.zone,
            calendar=configuration.calendar,
            needs_approval=configuration.approval_required,
            hold=configuration.hold,
            hold_at_its_time=configuration.hold_at_its_time,
            cap=configuration.cap,
            send_rate=configuration.send_rate,
        ),
        missive_clock=Reader(webhooks_pool, "missive", now),
        provider=_provider(configuration),
    )


@asynccontextmanager
async def _connections(app: Litestar) -> AsyncIterator[None]:
    context: Context = app.state.context
    async with (
        database.disposing(context.engine),
        database.disposing(context.long_work),
        database.disposing(context.webhooks),
        database.disposing(context.imports),
    ):
        context.background.start(context.webhook_sources.keep_writing(context.engine))
        try:
            yield
        finally:
            await context.hub.close()
            await context.background.close()
    await context.probe.close()
    tracing.shutdown()


def create_app(configuration: ApiSettings | None = None, *, now: Clock = clock.utc_now) -> Litestar:
    """Build the API. Raise SettingsError. `app.state.context` is what its handlers work with."""
    configuration = configuration or settings.load(ApiSettings)
    catalogue.speak(configuration.language)
    counters.begin_at_zero()
    webhooks.begin_at_zero()

    # People's sessions, and what guards them, are the desk's alone.
    pages = Router(
        "/",
        route_handlers=DESK,
        middleware=[sessions.middleware(secure=configuration.is_public), forgery.middleware(configuration)],
        dependencies={"user": Provide(current_user)},
    )
    app = Front(
        route_handlers=[*HANDLERS, *openapi.handlers(description), api_page.show, pages, assets.ROUTER],
        plugins=[HTMXPlugin()],
        template_config=rendering.configuration(),
        lifespan=[_connections],
        dependencies={
            "api": Provide(lambda: app.state.context, sync_to_thread=False),
            "cause": Provide(cause, sync_to_thread=False),
        },
        guards=[Access(configuration.api_keys)],
        request_class=Incoming,
        before_request=_check,
        middleware=[METRICS.middleware, Correlation()],
        before_send=[add_security_headers, allow],
        exception_handlers=desk_failures.ANYWHERE,
        request_max_body_size=LARGEST_BODY,
        openapi_config=None,  # `openapi.py` has the description
        state=State({"context": create_context(configuration, now=now)}),
        logging_config=None,
    )
    return app
