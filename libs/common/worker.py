"""What the services that consume messages have in common: connections, background tasks, health, metrics, a clean end.

SIGTERM ends a worker in order: it takes no further message, what is under way is told (`stopping`) and gets
`graceful_timeout` seconds, then the connections close. A worker whose queues were deleted, or whose broker came back
empty, declares them anew and goes on. None consumes while the schema does not serve its release: it waits at its start,
and ends when that comes later.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aio_pika
import structlog
import uvicorn
from faststream.asgi import AsgiFastStream, AsgiResponse, AsyncAPIRoute, get
from faststream.rabbit import RabbitBroker
from faststream.specification import AsyncAPI
from prometheus_client import make_asgi_app
from psycopg.errors import UndefinedTable

from libs.common import database, delays, ending, mending, messaging, nodes, serving, telemetry, topology, tracing
from libs.common.clock import Clock, utc_now
from libs.common.database import Pool
from libs.common.errors import SettingsError
from libs.common.settings import Settings

log = structlog.stdlib.get_logger(__name__)

CHECK_EVERY = 5.0  # seconds between two looks whether the queues are still there, and the schema still fits
LOOK_AGAIN = 3.0  # seconds in which a connection that was lost is made anew, with its consumers
MEND_WITHIN = 60.0  # seconds for the look and what follows from it; then the connection itself is taken for stuck
ANSWERS_WITHIN = 5.0  # seconds for a broker that is there to open a channel
START_WAIT = 1.0  # seconds between two tries at start to reach the broker, or to find a schema that fits


@dataclass(slots=True, kw_only=True)
class Worker:
    """The connections that a service's handlers work with."""

    settings: Settings
    pool: Pool
    clock: Clock = utc_now
    #: Set when the service is to end: what is under way gives back what it has not started.
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: How the broker delays; known once it was reached.
    delay_mode: delays.Mode = "ladder"
    broker: RabbitBroker | None = None


Task = Callable[[Worker], Awaitable[None]]


def create(
    service: str,
    worker: Worker,
    routes: Sequence[messaging.Route],
    *,
    tasks: Sequence[Task] = (),
    prefetch: int,
    graceful_timeout: float,
) -> AsgiFastStream:
    """Build a service: an ASGI app whose lifespan runs its subscribers and background tasks."""
    settings = worker.settings
    broker = messaging.create_broker(settings.amqp_url, routes, prefetch=prefetch, graceful_timeout=graceful_timeout)
    worker.broker = broker
    running: list[asyncio.Task[None]] = []

    @get
    async def live(_scope: object) -> AsgiResponse:
        return AsgiResponse(b"", 204)

    @get
    async def ready(_scope: object) -> AsgiResponse:
        try:
            await database.ready(worker.pool)
            if not await broker.ping(2.0):
                raise ConnectionError("the broker does not answer")
        except Exception as error:  # noqa: BLE001 - whatever it is, the service is not ready, and this says why
            return AsgiResponse(f"{type(error).__name__}: {error}".encode(), 503)
        return AsgiResponse(b"", 204)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        telemetry.configure(settings.log_level, settings.log_format, service)
        tracing.configure(service)
        async with worker.pool:
            await _prepare(service, worker)
            await _await_schema(service, worker)
            try:
                yield
            finally:
                await ending.end(running)
        tracing.shutdown()
        log.info("stopped")

    async def begin() -> None:
        everything = (_keep_queues(service, worker, broker), _watch_schema(worker), *(task(worker) for task in tasks))
        running.extend(asyncio.create_task(_guarded(worker, task)) for task in everything)
        log.info("started", delays=worker.delay_mode)

    async def stop() -> None:
        worker.stopping.set()

    return AsgiFastStream(
        broker,
        lifespan=lifespan,
        after_startup=[begin],
        on_shutdown=[stop],
        logger=None,
        asgi_routes=[("/health/live", live), ("/health/ready", ready), ("/metrics", make_asgi_app())],
        asyncapi_path=AsyncAPIRoute("/asyncapi", include_in_schema=False, try_it_out_path=None),
        specification=AsyncAPI(title=f"Broadsheet {service}", version="1"),
    )


def run(service: str, build: Callable[[], tuple[AsgiFastStream, Worker]]) -> None:
    """Run a service until SIGTERM or SIGINT. A bad setting ends it at once, with one line and exit status 2."""
    try:
        app, worker = build()
    except SettingsError as error:
        print(f"{service}: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        sys.exit(2)
    settings = worker.settings
    config = uvicorn.Config(
        app, host=settings.health_host, port=settings.health_port, log_config=None, lifespan="on", access_log=False
    )
    serving.serve(serving.Server(config, worker.stopping))


async def _prepare(service: str, worker: Worker) -> None:
    """Wait for the broker, find out how it delays and declare what there is to declare."""
    while True:
        try:
            with nodes.losing():
                worker.delay_mode = await delays.probe(worker.settings.amqp_url, worker.settings.delays)
                await declare(worker.settings.amqp_url, worker.delay_mode)
        except messaging.BROKER_AWAY as error:
            log.warning("waiting_for_broker", service=service, error=type(error).__name__)
            await asyncio.sleep(START_WAIT)
        else:
            return


async def _await_schema(service: str, worker: Worker) -> None:
    """Wait for a schema that serves this release; say once what it lacks."""
    said = ""
    while True:
        try:
            lack = await _misfit(worker)
        except messaging.TRANSIENT as error:
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
        with suppress(*messaging.TRANSIENT):  # a database that is away is what handlers wait for
            if lack := await _misfit(worker):
                log.error("schema_does_not_fit", reason=lack)
                signal.raise_signal(signal.SIGTERM)
                return


async def _misfit(worker: Worker) -> str:
    """Say why the schema does not serve this release; empty if it does."""
    try:
        await database.ready(worker.pool)
    except UndefinedTable:
        return database.misfit(None)
    except RuntimeError as error:
        return str(error)
    return ""


async def declare(amqp_url: str, mode: delays.Mode) -> None:
    """Declare all exchanges and queues. What exists stays as it is."""
    connection = await nodes.connect(amqp_url)
    try:
        channel = await nodes.open_channel(connection)
        for exchange in (topology.COMMANDS, topology.EVENTS, topology.DEAD):
            await channel.declare_exchange(exchange.name, type=exchange.type.value, durable=True)
        for work in topology.WORK:
            settings = topology.queue(work)
            queue = await channel.declare_queue(settings.name, durable=True, arguments=settings.arguments)
            await queue.bind(topology.exchange(work).name, routing_key=settings.routing())
        for name in topology.SERVICES:
            settings = topology.dead_letters(name)
            queue = await channel.declare_queue(settings.name, durable=True, arguments=settings.arguments)
            await queue.bind(topology.DEAD.name, routing_key=name)
        await delays.declare(channel, mode)
    finally:
        await nodes.close(connection)
    if await mending.delete_broken(amqp_url, mending.names(mode)):
        await declare(amqp_url, mode)


async def _keep_queues(service: str, worker: Worker, broker: RabbitBroker) -> None:
    """Declare the queues anew when they are gone, and consume from them again."""
    while True:
        await asyncio.sleep(CHECK_EVERY)
        if worker.stopping.is_set():
            return
        try:
            with nodes.losing():
                async with asyncio.timeout(MEND_WITHIN):
                    await _look_after_queues(service, worker, broker)
        except messaging.BROKER_AWAY as error:
            log.warning("waiting_for_broker", error=type(error).__name__)
            if isinstance(error, TimeoutError):
                await nodes.drop(broker)


async def _look_after_queues(service: str, worker: Worker, broker: RabbitBroker) -> None:
    if await _consuming(service, worker) and not await _broken(worker):
        return
    # Right after a node was lost its consumers are gone and ours not there yet: that passes by itself.
    await asyncio.sleep(LOOK_AGAIN)
    if await _consuming(service, worker):
        return
    # A node that was cut off is what the others take consumers away from: then it is our connection that is gone.
    async with nodes.bounded(broker, ANSWERS_WITHIN):
        channel = await nodes.open_channel(await broker.connect())
        await channel.close()
    log.warning("queues_gone")
    await declare(worker.settings.amqp_url, worker.delay_mode)
    for subscriber in broker.subscribers:
        await subscriber.stop()
        await subscriber.start()


async def _consuming(service: str, worker: Worker) -> bool:
    """Tell whether each queue of the service exists and has a consumer, and the rungs of the ladder exist."""
    connection = await nodes.connect(worker.settings.amqp_url)
    try:
        channel = await nodes.open_channel(connection)
        for work in topology.WORK:
            if work.service == service:
                queue = await channel.declare_queue(work.name, passive=True)
                if queue.declaration_result.consumer_count == 0:
                    return False
        if worker.delay_mode == "ladder":
            for rung in range(delays.RUNGS):
                await channel.declare_queue(delays.rung_queue(rung).name, passive=True)
    except aio_pika.exceptions.ChannelClosed:
        return False
    else:
        return True
    finally:
        await nodes.close(connection)


async def _broken(worker: Worker) -> bool:
    """Tell whether there were queues that the broker could not use any more; they are gone now."""
    return bool(await mending.delete_broken(worker.settings.amqp_url, mending.names(worker.delay_mode)))


async def _guarded(worker: Worker, task: Awaitable[None]) -> None:
    """Run a background task; one that fails ends the process, which its supervisor then starts anew."""
    try:
        await task
    except Exception:
        if not worker.stopping.is_set():
            log.exception("task_failed")
            signal.raise_signal(signal.SIGTERM)
