"""`broadsheet doctor`: looks at everything that Broadsheet needs, and says what to do about each that is not right."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import typer
from rich.table import Table
from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import restore_hold
from libs.common.domain.calendar import next_holidays
from libs.common.errors import SettingsError
from libs.common.settings import CarrierSettings, Settings, load
from libs.common.settings.api import ApiSettings
from libs.common.settings.calendar import CalendarSettings
from libs.console import broker_checks, carrier_checks, local_stack
from libs.console.carrier_checks import Found
from libs.console.inputs import Json
from libs.console.printing import console, styled, write_json

SKEW = 2.0  # seconds that this machine's clock and the database's may differ
HOLIDAYS = 5  # that are printed


def doctor(as_json: Json = False) -> None:
    """Look at settings, database, broker, delays and carriers, and say what to do about each."""
    raise typer.Exit(0 if asyncio.run(examine(as_json=as_json)) else 1)


async def examine(*, as_json: bool = False) -> bool:
    """Look at everything, print what was found, and tell whether all is well."""
    found: list[Found] = []
    runs_here = bool(local_stack.running_settings())
    for cls in (ApiSettings, CarrierSettings):
        try:
            local_stack.load(cls)
        except SettingsError as error:
            found += [("settings", False, problem) for problem in str(error).split("; ")]
        else:
            found.append((f"settings of {'the API' if cls is ApiSettings else 'the workers'}", True, "all there"))
    found = list(dict.fromkeys(found))
    try:
        settings = local_stack.load(CarrierSettings)
    except SettingsError:
        settings = None
    if settings is not None:
        found += calendar(local_stack.load(CalendarSettings), datetime.now(UTC))
        checks: list[tuple[str, Callable[[CarrierSettings], Awaitable[Found]]]] = [
            ("database", database_check), *broker_checks.checks(settings), ("Twilio", carrier_checks.twilio),
            ("Twilio's signatures", carrier_checks.twilio_signatures),
            ("our numbers", carrier_checks.numbers), ("Missive", carrier_checks.missive),
            ("public address", carrier_checks.public_url),
        ]  # fmt: skip
        for name, check in checks:
            try:
                async with asyncio.timeout(20):
                    found.append(await check(settings))
            except TimeoutError:
                found.append((name, False, "no answer within 20 s"))
    if not runs_here:
        found.append(_port())
    _print(found, as_json=as_json)
    return all(well for _, well, _ in found)


async def database_check(settings: Settings) -> Found:
    """Return whether the database answers, fits this release and may be worked with."""
    engine = database.create_engine(settings.database_url.get_secret_value(), size=1, pooler=settings.database_pooler)
    try:
        async with database.disposing(engine), database.transaction(engine) as connection:
            now, version = (await connection.execute(text("SELECT clock_timestamp(), version()"))).one()
            skew = abs((now - datetime.now(UTC)).total_seconds())
            try:
                revision = await database.read_version(connection)
                mark = await restore_hold.read(connection)
            except database.SchemaMissing:
                revision = mark = None
    except database.DatabaseError as error:
        return "database", False, f"{type(error).__name__}: start it, or correct BROADSHEET_DATABASE_URL"
    version = str(version).partition(" on ")[0]
    if problem := database.schema_mismatch(revision):
        return "database", False, f"{version}, but {problem}"
    assert revision is not None
    if mark is not None and mark.reconciled_at is None:
        since = mark.since.isoformat()
        return "database", False, f"{version}, restored and not settled: `broadsheet reconcile --since {since}`"
    if skew > SKEW:
        return "database", False, f"{version}, but its clock differs by {skew:.1f} s: set both by NTP"
    return "database", True, f"{version}, schema {revision.revision}"


def calendar(settings: CalendarSettings, now: datetime) -> list[Found]:
    """Return when messages are sent: a wrong zone or calendar is otherwise noticed months later."""
    here = now.astimezone(settings.zone)
    hours = "quiet hours OFF: messages are sent at any hour"
    if settings.quiet is not None:
        hours = f"nothing is sent from {settings.quiet[0]:%H:%M} to {settings.quiet[1]:%H:%M}, wherever people are"
        if settings.regional_hours:
            hours += "; regions with stricter hours keep theirs"
    coming = next_holidays(here.date(), settings.calendar, HOLIDAYS)
    days = "none: a broadcast goes out on every weekday"
    if coming:
        days = f"{settings.holidays or 'our own'}; " + ", ".join(f"{day:%a %d %b %Y} ({name})" for day, name in coming)
    return [("time", True, f"{settings.timezone}, now {here:%a %H:%M}; {hours}"), ("holidays", True, days)]


def _port() -> Found:
    try:
        port = load(ApiSettings).api_port
    except SettingsError:
        port = 8000
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return "port", False, f"{port} is taken: stop what listens there, or set BROADSHEET_API_PORT"
    return "port", True, f"{port} is free"


def _print(found: list[Found], *, as_json: bool) -> None:
    if as_json:
        write_json([{"what": name, "well": well, "words": words} for name, well, words in found])
        return
    table = Table("", "what", "how it is, or what to do")
    for name, well, words in found:
        table.add_row(styled("✓", "green") if well else styled("✗", "red"), name, words)
    console.print(table)
