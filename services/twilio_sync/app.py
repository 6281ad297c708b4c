"""twilio_sync: `SyncStatuses` and `SettleUncertain` in, statuses and settled texts out."""

from faststream.asgi import AsgiFastStream

from libs.common import carriers, database, settings, topology, worker
from libs.common.carriers.missive import Missive
from libs.common.messaging import Route
from libs.common.settings import CarrierSettings
from libs.common.worker import Worker
from services.twilio_sync.settle import Settle
from services.twilio_sync.sync import Sync

PREFETCH = 4  # steps at once: of several broadcasts, or a pass and a settling of one


def create_app(configuration: CarrierSettings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build twilio_sync. Raises SettingsError."""
    configuration = configuration or settings.load(CarrierSettings)
    context = Worker(settings=configuration, pool=database.create_pool(configuration.database_url))
    twilio = carriers.create_twilio(configuration)
    missive = carriers.create(configuration)
    sync = Sync(context, configuration, twilio, missive if isinstance(missive, Missive) else None)
    settle = Settle(context, configuration, twilio)
    routes = (
        Route(work=topology.SYNC_STATUSES, handler=sync.sync_statuses, description="Read a page of the log"),
        Route(work=topology.SETTLE_UNCERTAIN, handler=settle.settle_uncertain, description="Settle lost answers"),
    )
    app = worker.create(
        "twilio_sync",
        context,
        routes,
        prefetch=PREFETCH,
        graceful_timeout=configuration.request_timeout + 10,
    )
    return app, context
