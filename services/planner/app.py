"""The planner: events in, next steps out; the relay of the outbox; the watchdog; notices to people."""

from faststream.asgi import AsgiFastStream

from libs.common import catalogue, database, settings
from libs.common.broadcasts import counters
from libs.common.domain import actors
from libs.common.messaging import topology
from libs.common.messaging.consumer import Route
from libs.common.runtime import worker
from libs.common.runtime.worker import Worker
from libs.common.settings.planner import PlannerSettings
from services.planner import gauges, outbox_relay, watchdog
from services.planner.context import Planner
from services.planner.handlers import Handlers
from services.planner.notices import delivery

PREFETCH = 10  # messages handled at once
DRAWS = 2  # broadcasts made at once; the watchdog has a connection of its own
ACTOR = actors.service("planner")
GRACEFUL_TIMEOUT = 30.0  # seconds; a handler is one transaction


def create_app(configuration: PlannerSettings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build the planner. Raise SettingsError."""
    configuration = configuration or settings.load(PlannerSettings)
    catalogue.speak(configuration.language)
    counters.begin_at_zero()
    url, pooler = configuration.database_url.get_secret_value(), configuration.database_pooler
    context = Planner(
        settings=configuration,
        engine=database.create_engine(url, pooler=pooler, actor=ACTOR),
        long_work=database.create_engine(url, size=DRAWS + 1, pooler=pooler, longest=database.LONG_WORK, actor=ACTOR),
    )
    handlers = Handlers(context)
    gauges.GAUGES.register()
    routes = (
        Route(work=topology.PLANNER_EVENTS, handler=handlers.event, description="What happened to broadcasts"),
        Route(work=topology.MAKE_BROADCAST, handler=handlers.make_broadcast, description="A run_at has come"),
        Route(work=topology.START_SECOND_PHASE, handler=handlers.start_second_phase, description="Follow-ups are due"),
    )
    app = worker.create(
        "planner",
        context,
        routes,
        tasks=(outbox_relay.run, watchdog.run, gauges.run, delivery.task(configuration)),
        sends=topology.WORK,
        prefetch=PREFETCH,
        graceful_timeout=GRACEFUL_TIMEOUT,
    )
    return app, context
