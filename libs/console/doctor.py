"""`broadsheet doctor`: looks at everything that Broadsheet needs, and says what to do about each that is not right."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from libs.common import carriers, database, delays, nodes, restored
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.errors import SettingsError
from libs.common.settings import ApiSettings, CarrierSettings, Settings, load
from libs.console.running import recorded

console = Console()

SKEW = 2.0  # seconds that this machine's clock and the database's may differ
Found = tuple[str, bool, str]


async def examine() -> bool:
    """Look at everything, print what was found, and tell whether all is well."""
    found: list[Found] = []
    running = recorded()
    brought = {} if running is None else {"database_url": running.database_url, "amqp_url": running.amqp_url}
    for cls in (ApiSettings, CarrierSettings):
        try:
            load(cls, **brought)
        except SettingsError as error:
            found += [("settings", False, problem) for problem in str(error).split("; ")]
        else:
            found.append((f"settings of {'the API' if cls is ApiSettings else 'the workers'}", True, "all there"))
    found = list(dict.fromkeys(found))
    try:
        settings = load(CarrierSettings, **brought)
    except SettingsError:
        settings = None
    if settings is not None:
        checks: list[tuple[str, Callable[[CarrierSettings], Awaitable[Found]]]] = [
            ("database", database_check), *broker_checks(settings), ("Twilio", _twilio), ("Missive", _missive),
        ]  # fmt: skip
        for name, check in checks:
            try:
                async with asyncio.timeout(20):
                    found.append(await check(settings))
            except TimeoutError:
                found.append((name, False, "no answer within 20 s"))
    if running is None:
        found.append(_port())
    _print(found)
    return all(well for _, well, _ in found)


async def database_check(settings: Settings) -> Found:
    """Tell whether the database answers, fits this release and may be worked with."""
    try:
        async with await database.connect(settings.database_url) as connection:
            row = await (await connection.execute("SELECT clock_timestamp() AS now, version()")).fetchone()
            assert row is not None
            skew = abs((row["now"] - datetime.now(UTC)).total_seconds())
            try:
                revision = await (await connection.execute(database.REVISION)).fetchone()
                mark = await restored.read(connection)
            except psycopg.errors.UndefinedTable:
                revision = mark = None
    except psycopg.Error as error:
        return "database", False, f"{type(error).__name__}: start it, or mend BROADSHEET_DATABASE_URL"
    version = str(row["version"]).partition(" on ")[0]
    if problem := database.misfit(revision):
        return "database", False, f"{version}, but {problem}"
    assert revision is not None
    if mark is not None and mark.reconciled_at is None:
        since = mark.since.isoformat()
        return "database", False, f"{version}, restored and not settled: `broadsheet reconcile --since {since}`"
    if skew > SKEW:
        return "database", False, f"{version}, but its clock differs by {skew:.1f} s: set both by NTP"
    return "database", True, f"{version}, schema {revision['revision']}"


def broker_checks(settings: Settings) -> list[tuple[str, Callable[[Settings], Awaitable[Found]]]]:
    """Give a check for each node of the broker: one that answers does not speak for the others."""
    urls = nodes.addresses(settings.amqp_url)
    named = ["broker"] if len(urls) == 1 else [f"broker {url.host}:{url.port or 5672}" for url in urls]
    return [(name, partial(_broker, name, str(url))) for name, url in zip(named, urls, strict=True)]


async def _broker(name: str, url: str, settings: Settings) -> Found:
    try:
        connection = await nodes.connect(url)
        properties = getattr(connection.transport and connection.transport.connection, "server_properties", None) or {}
        version = str(properties.get("version", ""))
        await connection.close()
        mode = await delays.probe(url, settings.delays)
    except nodes.AWAY as error:
        return name, False, f"{type(error).__name__}: start it, or mend BROADSHEET_AMQP_URL"
    return name, True, f"RabbitMQ {version}; steps are delayed by the {mode}".replace("  ", " ")


async def _twilio(settings: CarrierSettings) -> Found:
    client = carriers.create_twilio(settings)
    try:
        since = datetime.now(UTC) - timedelta(minutes=1)
        await client.messages(from_number=settings.from_number, since=since, page_size=1)
    except CarrierUnreadable as error:
        return "Twilio", False, f"{error}: look at BROADSHEET_TWILIO_ACCOUNT_SID and _AUTH_TOKEN"
    else:
        return "Twilio", True, "the log can be read"
    finally:
        await client.aclose()


async def _missive(settings: CarrierSettings) -> Found:
    if settings.carrier != "missive":
        return "Missive", True, "not used"
    headers = {"Authorization": f"Bearer {settings.missive_token}"}
    async with httpx.AsyncClient(timeout=10) as client:
        try:
            answer = await client.get(f"{settings.missive_url}/v1/messages/doctor", headers=headers)
        except httpx.TransportError as error:
            return "Missive", False, f"{type(error).__name__}: look at BROADSHEET_MISSIVE_URL"
    if answer.status_code in (401, 403):
        return "Missive", False, "the token is not accepted: look at BROADSHEET_MISSIVE_TOKEN"
    return "Missive", True, "the token is accepted"


def _port() -> Found:
    try:
        port = load(ApiSettings).api_port
    except SettingsError:
        port = 8000
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return "port", False, f"{port} is taken: stop what listens there, or set BROADSHEET_API_PORT"
    return "port", True, f"{port} is free"


def _print(found: list[Found]) -> None:
    table = Table("", "what", "how it is, or what to do")
    for name, well, words in found:
        table.add_row("[green]✓[/]" if well else "[red]✗[/]", name, words)
    console.print(table)
