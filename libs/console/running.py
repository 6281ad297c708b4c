"""All of Broadsheet on this machine: servers where none are named, the services, and the simulator if asked."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psycopg
from dotenv import dotenv_values
from psycopg import sql

from libs.common.errors import SettingsError
from libs.common.migrate import migrate
from libs.common.settings import amqp_url, from_file, postgres_url
from libs.console.supervisor import DidNotStart, Supervisor, free_port

FOLDER = Path(".broadsheet")
RUN_FILE = FOLDER / "running.json"

PREFIX = "BROADSHEET_"
SIMULATED_ACCOUNT = "AC" + "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where what runs can be reached."""

    api_url: str
    api_key: str
    database_url: str
    amqp_url: str
    simulator_url: str | None
    logs: str


def named(name: str) -> str:
    """Give a setting as the environment, a file that it names, or `.env` has it; empty if none does."""
    return from_file(name) or os.environ.get(f"{PREFIX}{name}") or dotenv_values(".env").get(f"{PREFIX}{name}") or ""


def recorded(folder: Path = FOLDER) -> Running | None:
    """Give what `broadsheet up` wrote down in this folder, if it runs."""
    try:
        running = Running(**json.loads((folder / RUN_FILE.name).read_text()))
        httpx.get(f"{running.api_url}/health/live", timeout=2).raise_for_status()
    except (OSError, ValueError, TypeError, httpx.HTTPError):
        return None
    return running


def servers() -> dict[str, str]:
    """Give the URLs of the servers as settings: those that are named, or those that `broadsheet up` runs here.

    Raises SettingsError if there are none, or one that cannot be read.
    """
    running = recorded()
    found = {
        "database_url": named("DATABASE_URL") or (running.database_url if running else ""),
        "amqp_url": named("AMQP_URL") or (running.amqp_url if running else ""),
    }
    missing = [f"{PREFIX}{name.upper()}" for name, url in found.items() if not url]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not set, and `broadsheet up` does not run in this folder")
    for name, check in (("database_url", postgres_url), ("amqp_url", amqp_url)):
        try:
            check(found[name])
        except ValueError as error:  # a driver would repeat it, password and all
            raise SettingsError(f"{PREFIX}{name.upper()}: {error}") from None
    return found


@asynccontextmanager
async def everything(
    *,
    settings: Mapping[str, str],
    simulator: Mapping[str, object] | None,
    tell: Callable[[str], None],
    senders: int = 1,
    fresh: bool = False,
    api_port: int = 8000,
) -> AsyncIterator[tuple[Running, Supervisor]]:
    """Run all of it for the time of the block.

    `settings` are added to the environment, without their prefix. `simulator` is its configuration; with it the
    carriers' addresses and keys are the simulator's. `fresh` takes a database of its own, dropped at the end.
    """
    async with AsyncExitStack() as stack:
        database_url, amqp_url = await _servers(stack, tell, fresh=fresh)
        if fresh:
            database_url = await _fresh_database(stack, database_url)
        await asyncio.to_thread(migrate, database_url)
        port = free_port(api_port)
        api_url, key = f"http://127.0.0.1:{port}", _key()
        logs = FOLDER / ("demo-logs" if fresh else "logs")
        supervisor = Supervisor(logs, tell)
        stack.push_async_callback(supervisor.stop)
        environment = {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "API_PORT": str(port),
            "API_KEYS": named("API_KEYS") or key,
            "PUBLIC_URL": api_url if simulator is not None else (named("PUBLIC_URL") or api_url),
            **settings,
        }
        simulator_url = None
        if simulator is not None:
            simulator_url = f"http://127.0.0.1:{free_port(8090)}"
            environment |= await _simulate(supervisor, simulator_url, api_url, simulator, logs)
        prefixed = {f"{PREFIX}{name}": value for name, value in environment.items()}
        ready = f"{api_url}/health/ready"
        await supervisor.start("api", "services.api", environment=prefixed, ready_url=ready)
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
        )
        if not fresh:
            _record(running)
            stack.callback(RUN_FILE.unlink, missing_ok=True)
        yield running, supervisor


async def _servers(stack: AsyncExitStack, tell: Callable[[str], None], *, fresh: bool) -> tuple[str, str]:
    """Give the URLs of both servers; those that are not named are started."""
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

    def administer(statement: sql.Composed) -> None:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(statement)

    await asyncio.to_thread(administer, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    stack.push_async_callback(asyncio.to_thread, administer, drop)
    given = psycopg.conninfo.conninfo_to_dict(server_url)
    host = str(given.get("host", "localhost"))
    if host.startswith("/"):
        return f"postgresql://{given.get('user', 'postgres')}@/{name}?host={host}&port={given.get('port', 5432)}"
    before, _, query = server_url.partition("?")
    return f"{before.rsplit('/', 1)[0]}/{name}{'?' + query if query else ''}"


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


def _key() -> str:
    """Give the key of this folder, made once."""
    path = FOLDER / "api_key"
    FOLDER.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()


def _record(running: Running) -> None:
    RUN_FILE.touch(mode=0o600)
    RUN_FILE.write_text(json.dumps(asdict(running)))
