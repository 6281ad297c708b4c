"""What `broadsheet doctor` does on the broker: what the services do there."""

from collections.abc import Awaitable, Callable
from functools import partial

from libs.common.errors import BroadsheetError
from libs.common.messaging import broker_setup, declarations, delays, queue_repair
from libs.common.messaging.addresses import addresses
from libs.common.messaging.connection import AWAY, close, connect, reason, translate_errors
from libs.common.messaging.publisher import Publisher
from libs.common.settings import WorkerSettings
from libs.console.carrier_checks import Found

PATIENCE = 10.0  # seconds for the broker to take a message on each exchange


def checks(settings: WorkerSettings) -> list[tuple[str, Callable[[WorkerSettings], Awaitable[Found]]]]:
    """Return a check for each node of the broker: one that answers does not speak for the others."""
    urls = addresses(settings.amqp_url.get_secret_value())
    named = ["broker"] if len(urls) == 1 else [f"broker {url.host}:{url.port or 5672}" for url in urls]
    return [(name, partial(_broker, name, str(url))) for name, url in zip(named, urls, strict=True)]


async def _broker(name: str, url: str, settings: WorkerSettings) -> Found:
    """Do what the services do on a node: declare everything, publish, read."""
    publisher = Publisher(broker_setup.Setup(url, settings.delays, repair=False))
    try:
        version = await _version(url)
        mode = await publisher.connect()
        await publisher.check(PATIENCE, broker_setup.exchanges(mode))
        unusable = await _unusable(url, mode)
    except BroadsheetError as error:
        return name, False, str(error)
    except AWAY as error:
        return name, False, f"{reason(error)}: start it, or correct BROADSHEET_AMQP_URL"
    finally:
        await publisher.close()
    if unusable:
        return name, False, f"the queue {unusable} does not answer: restart a service, or see docs/cluster.md"
    return name, True, f"RabbitMQ {version}; steps are delayed by the {mode}"


async def _version(url: str) -> str:
    connection = await connect(url)
    properties = getattr(connection.transport and connection.transport.connection, "server_properties", None) or {}
    await close(connection)
    return str(properties.get("version", "of an unknown version"))


async def _unusable(url: str, mode: delays.Mode) -> str:
    """Return the first queue that does not answer, or nothing. Raise BrokerUnfit if the user may not read one."""
    connection = await connect(url)
    try:
        with translate_errors(), declarations.permission(queue="read"):
            for queue in broker_setup.names(mode):
                if not await queue_repair.works(connection, queue):
                    return queue
    finally:
        await close(connection)
    return ""
