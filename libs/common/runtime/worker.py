"""What the services that consume messages have in common: connections, background tasks, health, metrics, a clean end.

SIGTERM ends a worker in order: it takes no further message, what is under way is told (`stopping`) and gets
`graceful_timeout` seconds, then the connections close. A worker sets up what it needs on the broker at each connection,
so that one whose queues were deleted, or whose broker came back empty, goes on. None consumes while the schema does not
serve its release: it waits at its start, and ends when that comes later.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import msgspec
import structlog
import uvicorn
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.rabbit import RabbitBroker
from faststream.specification import AsyncAPI
from prometheus_client import make_asgi_app
from yarl import URL

from libs.common import database
from libs.common.clock import Clock, utc_now
from libs.common.database import Engine
from libs.common.database.probe import Probe
from libs.common.errors import SettingsError
from libs.common.messaging import asyncapi, broker_setup, connection, consumer, topology
from libs.common.messaging.publisher import Publisher
from libs.common.observability import telemetry, tracing
from libs.common.runtime import queue_supervision, server
from libs.common.runtime.tasks import cancel_and_wait
from libs.common.settings import WorkerSettings

log = structlog.stdlib.get_logger(__name__)

CHECK_EVERY = 5.0  # seconds between two looks whether the schema still fits
READY_WITHIN = 2.0  # seconds for the broker to show that it is there and takes messages
START_WAIT = 1.0  # seconds between two tries at start to reach the broker, or to find a schema that fits


@dataclass(slots=True, kw_only=True)
class Worker:
    """The connections that a service's handlers work with."""

    settings: WorkerSettings
    engine: Engine
    #: For transactions that may take minutes, a draw; the same as `engine` in a service that makes none.
    long_work: Engine
    clock: Clock = utc_now
    #: Set when the service is to end: what is under way gives back what it has not started.
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: The connection on which messages come in, and the one on which they go out.
    broker: RabbitBroker | None = None
    publisher: Publisher | None = None
    #: Asks the database whether it is there; the pool may merely be busy.
    probe: Probe = field(init=False)

    def __post_init__(self) -> None:
        self.probe = Probe(self.settings.database_url.get_secret_value(), pooler=self.settings.database_pooler)


W = TypeVar("W", bound=Worker)
Task: TypeAlias = Callable[[W], Awaitable[None]]


def create(
    service: str,
    worker: W,
    routes: Sequence[consumer.Route],
    *,
    tasks: Sequence[Task[W]] = (),
    sends: Sequence[topology.Work] = (),
    prefetch: int,
    graceful_timeout: float,
) -> AsgiFastStream:
    """Build a service: an ASGI app whose lifespan runs its subscribers and background tasks.

    `sends` is the work that its tasks publish, for the description. A step that came early is published again by
    whoever got it.
    """
    settings = worker.settings
    setup = broker_setup.Setup(settings.amqp_url.get_secret_value(), settings.delays)
    publisher = Publisher(setup)
    failover = connection.Failover(setup.nodes, setup)
    worker.publisher = publisher

    def create_broker(url: URL) -> RabbitBroker:
        return consumer.create_broker(
            url, failover, publisher, routes, prefetch=prefetch, graceful_timeout=graceful_timeout
        )

    running: list[asyncio.Task[None]] = []

    @get(include_in_schema=False)
    async def live(_scope: object) -> AsgiResponse:
        return AsgiResponse(b"", 204)

    @get(include_in_schema=False)
    async def ready(_scope: object) -> AsgiResponse:
        try:
            await worker.probe.ready()
            if worker.broker is None or not await worker.broker.ping(READY_WITHIN):
                raise ConnectionError("no messages come in: the connection to the broker is being made anew")
            await publisher.check(READY_WITHIN)
        except Exception as error:  # noqa: BLE001 - whatever it is, the service is not ready, and this says why
            return AsgiResponse(connection.reason(error).encode(), 503)
        return AsgiResponse(b"", 204)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        telemetry.configure(settings.log_level, settings.log_format, service)
        tracing.configure(service)
        async with database.disposing(worker.engine), database.disposing(worker.long_work):
            await _await_broker(service, publisher)
            await _await_schema(service, worker)
            worker.broker = await _connect(service, failover, create_broker)
            app.add_broker(worker.broker)
            try:
                yield
            finally:
                await cancel_and_wait(running)
                await publisher.close()
                await worker.probe.close()
        tracing.shutdown()
        log.info("stopped")

    async def begin() -> None:
        assert worker.broker is not None
        supervision = queue_supervision.run(service, worker.broker, setup, worker.stopping)
        everything = (
            supervision, publisher.stay_connected(), _watch_schema(worker), *(task(worker) for task in tasks)
        )  # fmt: skip
        running.extend(asyncio.create_task(_guarded(worker, task)) for task in everything)
        log.info("started", delays=setup.mode)

    async def stop() -> None:
        worker.stopping.set()

    @get(include_in_schema=False)
    async def messages(_scope: object) -> AsgiResponse:
        # Before the start there is no broker yet; which node it is connected to does not matter here.
        broker = worker.broker or create_broker(setup.nodes[0])
        specification = AsyncAPI(broker, title=f"Broadsheet {service}", version="1")
        again = [route.work for route in routes if route.work.command]
        document = asyncapi.document(specification, service, routes, list(dict.fromkeys([*sends, *again])))
        described = msgspec.json.format(msgspec.json.encode(document))
        return AsgiResponse(described, 200, {"content-type": "application/json"})

    app = AsgiFastStream(
        lifespan=lifespan,
        after_startup=[begin],
        on_shutdown=[stop],
        logger=None,
        asgi_routes=[
            ("/health/live", live),
            ("/health/ready", ready),
            ("/metrics", make_asgi_app()),
            ("/asyncapi", messages),
        ],
    )
    return app


def run(service: str, build: Callable[[], tuple[AsgiFastStream, Worker]]) -> None:
    """Run a service until SIGTERM or SIGINT. A bad setting ends it at once, with one line and exit status 2."""
    try:
        app, worker = build()
    except SettingsError as error:
        print(f"{service}: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        sys.exit(2)
    settings = worker.settings
    config = uvicorn.Config(
        app,
        host=settings.health_host,
        port=settings.health_port,
        log_config=None,
        lifespan="on",
        access_log=False,
        # The event loop that connections to the broker are tested with; health and metrics need no faster one.
        loop="asyncio",
        http="h11",
    )
    server.serve(server.Server(config, worker.stopping))


async def _await_broker(service: str, publisher: Publisher) -> None:
    """Wait for a broker that can be worked with; say why it cannot, once for each reason."""
    said = ""
    while True:
        try:
            await publisher.connect()
        except consumer.BROKER_AWAY as error:
            if (why := connection.reason(error)) != said:
                log.warning("waiting_for_broker", service=service, reason=why)
                said = why
            await asyncio.sleep(START_WAIT)
        else:
            return


async def _connect(
    service: str, failover: connection.Failover, create_broker: Callable[[URL], RabbitBroker]
) -> RabbitBroker:
    """Return a broker that is connected to the first node that can be; wait for one."""
    while True:
        try:
            broker = create_broker(await failover.find())
            await broker.connect()
        except consumer.BROKER_AWAY as error:
            log.warning("waiting_for_broker", service=service, reason=connection.reason(error))
            await asyncio.sleep(START_WAIT)
        else:
            return broker


async def _await_schema(service: str, worker: Worker) -> None:
    """Wait for a schema that serves this release; say once what it lacks."""
    said = ""
    while True:
        try:
            lack = await _misfit(worker)
        except consumer.TRANSIENT as error:
            lack = f"the database does not answer: {type(error).__name__}"
        if not lack:
            return
        if lack != said:
            log.warning("waiting_for_schema", service=service, reason=lack)
            said = lack
        await asyncio.sleep(START_WAIT)


async def _watch_schema(worker: Worker) -> None:
    """End the process in order once the schema does not serve this release any more."""
    while not worker.stopping.is_set():
        await asyncio.sleep(CHECK_EVERY)
        with suppress(*consumer.TRANSIENT):  # a database that is away is what handlers wait for
            if lack := await _misfit(worker):
                log.error("schema_does_not_fit", reason=lack)
                signal.raise_signal(signal.SIGTERM)
                return


async def _misfit(worker: Worker) -> str:
    """Return why the schema does not serve this release; empty if it does."""
    try:
        await worker.probe.ready()
    except database.SchemaMissing:
        return database.schema_mismatch(None)
    except RuntimeError as error:
        return str(error)
    return ""


async def _guarded(worker: Worker, task: Awaitable[None]) -> None:
    """Run a background task; one that fails ends the process, which its supervisor then starts anew."""
    try:
        await task
    except Exception:
        if not worker.stopping.is_set():
            log.exception("task_failed")
            signal.raise_signal(signal.SIGTERM)
