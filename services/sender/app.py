"""The sender: `SendBatch` in, texts out."""

from faststream.asgi import AsgiFastStream

from libs.common import carriers, database, settings, topology, worker
from libs.common.messaging import Route
from libs.common.settings import CarrierSettings
from libs.common.worker import Worker
from services.sender import deadman
from services.sender.send import Sender

PREFETCH = settings.LANES  # batches of one process at once


def create_app(configuration: CarrierSettings | None = None) -> tuple[AsgiFastStream, Worker]:
    """Build the sender. Raises SettingsError."""
    configuration = configuration or settings.load(CarrierSettings)
    context = Worker(
        settings=configuration,
        # Each request under way may want to record its answer while both batches start texts and renew leases.
        pool=database.create_pool(configuration.database_url, size=configuration.send_concurrency + 2 * PREFETCH + 2),
    )
    sender = Sender(context, configuration, carriers.create(configuration))
    routes = (Route(work=topology.SEND_BATCH, handler=sender.send_batch, description="Send a batch of texts"),)
    app = worker.create(
        "sender",
        context,
        routes,
        tasks=(deadman.run,),
        prefetch=PREFETCH,
        # What was started gets its answer before the process ends.
        graceful_timeout=configuration.request_timeout + 10,
    )
    return app, context
