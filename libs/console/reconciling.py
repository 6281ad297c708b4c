"""`broadsheet restored` and `reconcile`: after PostgreSQL was restored to a point in the past (docs/postgresql.md)."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from libs.common import carriers, clock, database
from libs.common.broadcasts import making, restore_hold
from libs.common.broadcasts.restore_hold import Mark
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.log_evidence import arrives_within
from libs.common.database import Engine
from libs.common.domain.holiday_calendar import Calendar
from libs.common.operations import reconcile
from libs.common.operations.reconcile import Report
from libs.common.settings import CarrierSettings
from libs.common.settings.calendar import CalendarSettings
from libs.console import local_stack
from libs.console.bars import bar
from libs.console.inputs import Json
from libs.console.printing import console, errors, say, write_json


def moment(value: str) -> datetime:
    """Read a time with its offset, `2026-11-23T14:05:00Z` or `2026-11-23 14:05:00+00`. Raise typer.BadParameter."""
    try:
        read = datetime.fromisoformat(value)
    except ValueError as error:
        raise typer.BadParameter("give a time such as 2026-11-23T14:05:00Z") from error
    if read.tzinfo is None:
        raise typer.BadParameter("give the time with its offset, such as 2026-11-23T14:05:00Z")
    if read > clock.utc_now():
        raise typer.BadParameter("that time is still to come")
    return read.astimezone(UTC)


Time = Annotated[datetime, typer.Option(parser=moment, metavar="TIME", help="A time, such as 2026-11-23T14:05:00Z.")]


def mark_restored(to: Time, as_json: Json = False) -> None:
    """Record that this database was restored to a time: nothing is sent from it before `broadsheet reconcile`."""
    database_url, pooler = local_stack.database_url(), local_stack.database_pooler()

    async def run() -> Mark | None:
        async with database.disposing(
            database.create_engine(database_url, size=1, pooler=pooler, actor=local_stack.somebody())
        ) as engine:
            async with database.transaction(engine) as connection:
                await restore_hold.hold(connection, to, clock.utc_now())
            return await _mark(engine)

    mark = asyncio.run(run())
    assert mark is not None
    since = mark.since.isoformat()
    say(f"Held: nothing is sent before `broadsheet reconcile --since {since}`.", {"since": since}, as_json=as_json)


def settle_restored(since: Time, as_json: Json = False) -> None:
    """Settle everything since a time against the carrier's log, and let broadcasts go on; safe to run again."""
    settings = local_stack.load(CarrierSettings)
    calendar = local_stack.load(CalendarSettings).calendar
    try:
        report = asyncio.run(_settle(settings, calendar, since, clock.utc_now, as_json=as_json))
    except CarrierUnreadable as error:
        errors.print(f"The log cannot be believed or read ({error.code}): {error}.")
        errors.print("Nothing is sent yet. Run this again.")
        raise typer.Exit(1) from error
    if as_json:
        write_json(_described(report))
    else:
        _show(report)


async def _settle(
    settings: CarrierSettings,
    calendar: Calendar,
    since: datetime,
    now: Callable[[], datetime],
    *,
    as_json: bool = False,
) -> Report:
    twilio = carriers.create_twilio(settings)
    try:
        async with database.disposing(
            database.create_engine(
                settings.database_url.get_secret_value(),
                size=2,
                pooler=settings.database_pooler,
                longest=database.LONG_WORK,
                actor=local_stack.somebody(),
            )
        ) as engine:
            mark = await _held(engine, since, now)
            if mark.reconciled_at is None:
                await _let_the_log_catch_up(mark, settings.settle_after, now, as_json=as_json)
            schedule = making.Schedule(
                zone=settings.zone, calendar=calendar, cap=settings.cap, send_rate=settings.send_rate
            )
            with bar("Settling what the log shows", as_json=as_json) as tell:
                return await reconcile.reconcile(
                    engine,
                    twilio,
                    schedule,
                    now,
                    settings.own_numbers,
                    within=arrives_within(settings),
                    ended_by=settings.follow_up_ended_by,
                    tell=tell,
                )
    finally:
        await twilio.aclose()


async def _held(engine: Engine, since: datetime, now: Callable[[], datetime]) -> Mark:
    """Set the mark and give it. One that was lifted after `since` stays lifted, so that twice is once."""
    mark = await _mark(engine)
    if mark is None or not mark.since <= since <= (mark.reconciled_at or mark.since):
        async with database.transaction(engine) as connection:
            await restore_hold.hold(connection, since, now())
        mark = await _mark(engine)
        assert mark is not None
    if mark.since < since:
        errors.print(f"It is marked as restored to {mark.since.isoformat()}: the log is read since then.")
    return mark


async def _mark(engine: Engine) -> Mark | None:
    async with database.transaction(engine) as connection:
        return await restore_hold.read(connection)


async def _let_the_log_catch_up(mark: Mark, settle_after: float, now: Callable[[], datetime], *, as_json: bool) -> None:
    """Wait until what was sent before the mark was set must be in the log."""
    wait = (mark.held_at + timedelta(seconds=settle_after) - now()).total_seconds()
    if wait > 0:
        if not as_json:
            console.print(f"Waiting {wait:.0f} s: what was sent until now may not be in the log yet.")
        with bar("Waiting for the log", as_json=as_json) as tell:
            for second in range(math.ceil(wait)):
                tell(second, wait)
                await asyncio.sleep(min(1, wait - second))


def _described(report: Report) -> dict[str, Any]:
    """Return a report for programs."""
    messages = [
        {
            "broadcast_id": broadcast_id,
            "is_second": is_second,
            "found": report.accepted[broadcast_id, is_second],
            "named": report.named[broadcast_id, is_second],
        }
        for broadcast_id, is_second in sorted({*report.accepted, *report.named})
    ]
    made = [
        {"broadcast_id": each, "recipients": recipients, "paused": each in report.paused}
        for each, recipients in report.made.items()
    ]
    plain = {
        name: getattr(report, name)
        for name in ("outbound", "inbound", "replies", "attributed", "opted_out", "opted_in", "strangers", "lifted")
    }
    return {"since": report.since.isoformat(), "messages": messages, "made": made, **plain}


def _show(report: Report) -> None:
    table = Table("broadcast", "message", "found in the log", "log entry found")
    for broadcast_id, is_second in sorted({*report.accepted, *report.named}):
        key = (broadcast_id, is_second)
        message = "second" if is_second else "first"
        table.add_row(str(broadcast_id), message, f"{report.accepted[key]:,}", f"{report.named[key]:,}")
    console.print(table)
    for broadcast_id, recipients in report.made.items():
        early = "; its time has not come: it is PAUSED, resume or cancel it" if broadcast_id in report.paused else ""
        console.print(f"Broadcast {broadcast_id} was made again: {recipients:,} recipients{early}.")
    console.print(
        f"{report.outbound:,} messages and {report.inbound:,} replies in the log. Recorded: {report.replies:,} replies"
        f" ({report.opted_out:,} STOP, {report.opted_in:,} START); {report.attributed:,} now answer their broadcast."
    )
    if report.strangers:
        console.print(
            f"{report.strangers:,} messages in the log are none of this database's: typed by hand, to people a draw has"
            " passed over, or of broadcasts created since then. Do not create such a broadcast anew."
        )
    console.print("Broadcasts go on." if report.lifted else "Nothing is sent yet.")
