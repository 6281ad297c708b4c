"""The sender: `SendBatch` in, messages out; and messages that are of no broadcast, as they are asked for."""

from faststream.asgi import AsgiFastStream

from libs.common import carriers, database, settings
from libs.common.broadcasts import counters
from libs.common.carriers.missive import Missive
from libs.common.domain import actors
from libs.common.messaging import topology
from libs.common.messaging.consumer import Route
from libs.common.runtime import worker
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.sender import dead_mans_switch, outcomes
from services.sender.batch_sender import Sender
from services.sender.labelling import Labelling
from services.sender.single_sender import SingleSender

PREFETCH = settings.BATCHES_IN_FLIGHT  # batches of one number that a process has at once
MOST_NUMBERS = 8  # of whose batches it takes as many: those of the others wait their turn


def create_app(configuration: CarrierSettings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build the sender. Raise SettingsError."""
    configuration = configuration or settings.load(CarrierSettings)
    counters.begin_at_zero()
    outcomes.begin_at_zero()
    all_carriers = carriers.create(configuration)
    # Each number has a pace of its own: a batch of one must not keep those of the others waiting.
    prefetch = PREFETCH * min(len(configuration.own_numbers), MOST_NUMBERS)
    engine = database.create_engine(
        configuration.database_url.get_secret_value(),
        size=configuration.send_concurrency * len(all_carriers) + 2 * prefetch + 2,
        pooler=configuration.database_pooler,
        actor=actors.service("sender"),
    )
    context = Worker(settings=configuration, engine=engine, long_work=engine)
    missive = next((each for each in all_carriers if isinstance(each, Missive)), None)
    sender = Sender(context, configuration, *all_carriers, labelling=Labelling(context, configuration, missive))
    singles = SingleSender(configuration, *all_carriers)
    routes = (Route(work=topology.SEND_BATCH, handler=sender.send_batch, description="Send a batch of messages"),)
    app = worker.create(
        "sender",
        context,
        routes,
        tasks=(dead_mans_switch.run, singles.run),
        prefetch=prefetch,
        # What was started gets its answer before the process ends.
        graceful_timeout=configuration.request_timeout + 10,
    )
    return app, context
