"""The planner: events in, next steps out; the relay of the outbox; the watchdog."""

from faststream.asgi import AsgiFastStream

from libs.common import database, settings, topology, worker
from libs.common.messaging import Route
from libs.common.settings import Settings
from libs.common.worker import Worker
from services.planner import observe, relay, watchdog
from services.planner.handlers import Handlers

PREFETCH = 10  # messages handled at once
GRACEFUL_TIMEOUT = 30.0  # seconds; a handler is one transaction


def create_app(configuration: Settings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build the planner. Raises SettingsError."""
    configuration = configuration or settings.load(Settings)
    context = Worker(settings=configuration, pool=database.create_pool(configuration.database_url))
    handlers = Handlers(context)
    routes = (
        Route(work=topology.PLANNER_EVENTS, handler=handlers.event, description="What happened to broadcasts"),
        Route(work=topology.MAKE_BROADCAST, handler=handlers.make_broadcast, description="A run_at has come"),
        Route(work=topology.START_SECOND_PHASE, handler=handlers.start_second_phase, description="Follow-ups are due"),
    )
    app = worker.create(
        "planner",
        context,
        routes,
        tasks=(relay.run, watchdog.run, observe.run),
        prefetch=PREFETCH,
        graceful_timeout=GRACEFUL_TIMEOUT,
    )
    return app, context
