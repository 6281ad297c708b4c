"""All of Broadsheet on this machine: servers where none are named, the services, and the simulator if asked."""

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from libs.common.database.engine import connect
from libs.common.database.migrate import migrate
from libs.common.errors import SettingsError
from libs.common.settings import PREFIX, CarrierSettings
from libs.common.settings.api import ApiSettings
from libs.console import local_stack
from libs.console.failures import DidNotStart
from libs.console.local_stack import FOLDER, Running, named
from libs.console.supervisor import Supervisor, free_port

SIMULATED_ACCOUNT = "AC" + "0" * 32
USUAL_PORT = 8000


def all_given() -> dict[str, str]:
    """Return every setting of the services that is given."""
    known = {
        name.upper(): local_stack.given(name.upper())
        for name in {**ApiSettings.model_fields, **CarrierSettings.model_fields}
    }
    return {name: value for name, value in known.items() if value is not None}


@asynccontextmanager
async def everything(
    *,
    settings: Mapping[str, str],
    simulator: Mapping[str, object] | None,
    tell: Callable[[str], None],
    senders: int = 1,
    fresh: bool = False,
) -> AsyncIterator[tuple[Running, Supervisor]]:
    """Run all of it for the time of the block.

    `settings` are added to the environment, without their prefix. `simulator` is its configuration; with it the
    carriers' addresses and keys are the simulator's. `fresh` takes a database and a port of its own, and drops the
    database at the end.
    """
    async with AsyncExitStack() as stack:
        database_url, amqp_url = await _servers(stack, tell, fresh=fresh)
        if fresh:
            database_url = await _fresh_database(stack, database_url)
        await asyncio.to_thread(migrate, database_url)
        port = free_port(USUAL_PORT) if fresh else _api_port()
        api_url = f"http://127.0.0.1:{port}"
        logs = FOLDER / ("demo-logs" if fresh else "logs")
        supervisor = Supervisor(logs, tell)
        stack.push_async_callback(supervisor.stop)
        environment = {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "API_PORT": str(port),
            "API_KEYS": named("API_KEYS") or _key(),
            "PUBLIC_URL": api_url if simulator is not None else (named("PUBLIC_URL") or api_url),
            **settings,
        }
        simulator_url = None
        if simulator is not None:
            simulator_url = f"http://127.0.0.1:{free_port(8090)}"
            environment |= await _simulate(supervisor, simulator_url, api_url, simulator, logs)
        prefixed = {f"{PREFIX}{name}": value for name, value in environment.items()}
        # A file that names a setting comes before the setting: these are to be what they are.
        prefixed |= {f"{PREFIX}{name}_FILE": "" for name in environment}
        ready = f"{api_url}/health/ready"
        # The API has no business with the broker, and so no way to it, not even from this process's environment.
        for_api = {**prefixed, f"{PREFIX}AMQP_URL": ""}
        await supervisor.start("api", "services.api", environment=for_api, ready_url=ready)
        for name in ("planner", "twilio_sync", *(f"sender{n + 1}" for n in range(senders))):
            health = free_port()
            await supervisor.start(
                name,
                f"services.{name.rstrip('0123456789')}",
                environment=prefixed | {f"{PREFIX}HEALTH_PORT": str(health)},
                ready_url=f"http://127.0.0.1:{health}/health/ready",
            )
        await supervisor.ready()
        running = Running(
            api_url=api_url,
            api_key=environment["API_KEYS"].split(",")[0],
            database_url=database_url,
            amqp_url=amqp_url,
            simulator_url=simulator_url,
            logs=str(logs),
            settings=all_given() | environment,
        )
        if not fresh:
            stack.enter_context(local_stack.record(running))
        yield running, supervisor


def told_to_end() -> asyncio.Event:
    """Return what is set once this process is told to end, by Ctrl-C or by a signal."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


async def _servers(stack: AsyncExitStack, tell: Callable[[str], None], *, fresh: bool) -> tuple[str, str]:
    """Return the URLs of both servers; those that are not named are started."""
    database_url, amqp_url = named("DATABASE_URL"), named("AMQP_URL")
    if database_url and amqp_url:
        return database_url, amqp_url
    missing = " and ".join(name for name, url in (("PostgreSQL", database_url), ("RabbitMQ", amqp_url)) if not url)
    tell(f"starting {missing} on this machine")
    from libs import local  # which needs the packages of the `local` extra, and a container has none

    try:
        servers = await asyncio.to_thread(
            local.start,
            Path.cwd(),
            database=not database_url,
            broker=not amqp_url,
            ephemeral=fresh,
            management=not fresh,
        )
    except local.LocalServerError as error:
        raise DidNotStart(str(error)) from error
    stack.push_async_callback(asyncio.to_thread, servers.stop)
    return database_url or servers.servers.database_url, amqp_url or servers.servers.amqp_url


async def _fresh_database(stack: AsyncExitStack, server_url: str) -> str:
    """Create a database that nothing else uses, and drop it at the end."""
    name = f"broadsheet_demo_{secrets.token_hex(4)}"

    await _administer(server_url, f'CREATE DATABASE "{name}"')
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    stack.push_async_callback(_administer, server_url, drop)
    parts = urlsplit(server_url)
    if not parts.netloc.rpartition("@")[2]:  # a socket: urlunsplit would drop the empty host
        return server_url.replace(f"{parts.path}?", f"/{name}?", 1)
    return str(parts._replace(path=f"/{name}").geturl())


async def _administer(server_url: str, statement: str) -> None:
    connection = await connect(server_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _simulate(
    supervisor: Supervisor, url: str, api_url: str, configuration: Mapping[str, object], logs: Path
) -> dict[str, str]:
    """Start the simulator and give the settings that point at it."""
    token, secret, auth = (secrets.token_hex(16) for _ in range(3))
    config = logs / "simulator.json"
    config.write_text(
        json.dumps(
            {
                "missive_token": token,
                "missive_webhook_url": f"{api_url}/webhooks/missive",
                "missive_webhook_secret": secret,
                "twilio_account_sid": SIMULATED_ACCOUNT,
                "twilio_auth_token": auth,
                "twilio_sms_webhook_url": f"{api_url}/webhooks/twilio/sms",
                **configuration,
            }
        )
    )
    config.chmod(0o600)
    arguments = ("--port", url.rpartition(":")[2], "--config", str(config))
    await supervisor.start("simulator", "libs.simulator", *arguments, environment={}, ready_url=f"{url}/health/live")
    return {
        "MISSIVE_URL": url,
        "TWILIO_URL": url,
        "MISSIVE_TOKEN": token,
        "MISSIVE_WEBHOOK_SECRET": secret,
        "TWILIO_ACCOUNT_SID": SIMULATED_ACCOUNT,
        "TWILIO_AUTH_TOKEN": auth,
        "FROM_NUMBER": named("FROM_NUMBER") or "+13135550100",
    }


def _api_port() -> int:
    """Return the port of the settings, else a free one. Raise SettingsError or DidNotStart."""
    given = named("API_PORT")
    if not given:
        return free_port(USUAL_PORT)
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 65536):
        raise SettingsError(f"{PREFIX}API_PORT is not a port: 1 to 65535")
    if free_port(int(given)) != int(given):
        raise DidNotStart(f"{PREFIX}API_PORT is {given}, and that port is taken: choose another, or leave it out")
    return int(given)


def _key() -> str:
    """Return the key of this folder, made once."""
    path = FOLDER / "api_key"
    FOLDER.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()
