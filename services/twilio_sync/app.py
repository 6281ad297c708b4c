"""twilio_sync: `SyncStatuses` and `SettleUncertain` in, statuses and settled messages out."""

from faststream.asgi import AsgiFastStream

from libs.common import carriers, database, settings
from libs.common.broadcasts import counters
from libs.common.domain import actors
from libs.common.messaging import topology
from libs.common.messaging.consumer import Route
from libs.common.runtime import worker
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync.labels import LabelPass
from services.twilio_sync.settling import Settle
from services.twilio_sync.single_settling import SettleSingles
from services.twilio_sync.status_sync import Sync
from services.twilio_sync.words import FullWords

PREFETCH = 4  # steps at once: of several broadcasts, or a pass and a settling of one


def create_app(configuration: CarrierSettings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build twilio_sync. Raise SettingsError."""
    configuration = configuration or settings.load(CarrierSettings)
    counters.begin_at_zero()
    engine = database.create_engine(
        configuration.database_url.get_secret_value(),
        pooler=configuration.database_pooler,
        actor=actors.service("twilio_sync"),
    )
    context = Worker(settings=configuration, engine=engine, long_work=engine)
    twilio = carriers.create_twilio(configuration)
    asked = carriers.create_missive(configuration)
    sync = Sync(context, configuration, twilio, asked if configuration.uses_missive else None)
    words = FullWords(configuration, asked)
    singles = SettleSingles(configuration, twilio)
    tasks = [singles.run]
    if configuration.missive_token.get_secret_value():
        tasks.append(words.run)
    if configuration.missive_labels_as_tags:
        tasks.append(LabelPass(configuration, asked).run)
    settle = Settle(context, configuration, twilio)
    routes = (
        Route(work=topology.SYNC_STATUSES, handler=sync.sync_statuses, description="Read a page of the log"),
        Route(work=topology.SETTLE_UNCERTAIN, handler=settle.settle_uncertain, description="Settle lost answers"),
    )
    app = worker.create(
        "twilio_sync",
        context,
        routes,
        tasks=tasks,
        prefetch=PREFETCH,
        graceful_timeout=configuration.request_timeout + 10,
    )
    return app, context
