"""Takes a broadcast as far as it can go now. Everything that happens to one ends up here, and so does the watchdog.

The broadcast's row is locked first, what is decided is decided on what the tables say then, and a second call right
after the first finds nothing to do. So it does not matter which message woke it, how often, or whether it was lost.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog

from libs.common import broadcast as rules
from libs.common import events as e
from libs.common import lifecycle, making, outbox, restored, steps, telemetry, texts, workdays
from libs.common.broadcast import Broadcast
from libs.common.commands import StartSecondPhase
from libs.common.database import Connection
from libs.common.errors import EmptyDraw, NoSegments
from libs.common.settings import Settings
from services.planner import facts
from services.planner.next_steps import FinishPhase, PlanBatches, SkipForQuietHours, Wait, next_step

log = structlog.stdlib.get_logger(__name__)


async def advance(connection: Connection, broadcast_id: int, now: datetime, settings: Settings) -> None:
    """Take every step of a broadcast that is due; none while a restore is not settled. Raises NotFound."""
    if await restored.held(connection):
        return  # the watchdog comes back once it is
    while True:
        broadcast, version = await lifecycle.load(connection, broadcast_id)
        row = await facts.one(connection, facts.BROADCAST, broadcast_id=broadcast_id)
        match broadcast.state:
            case "scheduled" if broadcast.run_at <= now:
                await _make_or_miss(connection, broadcast, version, now, settings)
            case "sending_first" | "sending_second":
                if not await _send(connection, broadcast, version, row, now, settings):
                    await _listen(connection, row, now, settings)
                    return
            case "waiting":
                started = rules.start_second_phase(broadcast, now)
                if not started:
                    await _listen(connection, row, now, settings)
                    return
                await texts.skip_unwanted(connection, broadcast_id, now, is_second=True)
                await lifecycle.record(connection, broadcast_id, version, started, now)
            case "syncing" | "cancelled":
                await _sync(connection, broadcast, version, row, now, settings)
                return
            case _:
                return


async def _make_or_miss(
    connection: Connection, broadcast: Broadcast, version: int, now: datetime, settings: Settings
) -> None:
    """Make a broadcast whose time has come, late if need be, but not on another day."""
    schedule = making.Schedule(zone=settings.zone, holidays=settings.holidays)
    reason = "day_over"
    if workdays.same_day(broadcast.run_at, now, settings.zone):
        try:
            async with connection.transaction():
                await making.make(connection, broadcast.id, schedule, now, by_hand=False)
        except NoSegments:
            reason = "no_segments"
        except EmptyDraw:
            reason = "empty_draw"
        else:
            return
    successor = await making.schedule_successor(connection, broadcast, schedule, now)
    missed = rules.miss(broadcast, reason, successor.broadcast_id if successor else None)
    await lifecycle.record(connection, broadcast.id, version, missed, now)
    log.warning("broadcast_missed", broadcast_id=broadcast.id, reason=reason)


async def _send(
    connection: Connection, broadcast: Broadcast, version: int, row: dict[str, Any], now: datetime, settings: Settings
) -> bool:
    """Plan the next batches of a phase, or finish it; tell whether the broadcast has moved on."""
    is_second = broadcast.state == "sending_second"
    known = await facts.phase(connection, row, now, settings)
    step = next_step(known, now, settings.batch_texts)
    match step:
        case PlanBatches():
            for _ in range(step.lanes - known.open_batches):
                await steps.plan_batch(connection, broadcast.id, step.due, now, is_second=is_second)
            return False
        case SkipForQuietHours():
            await texts.skip_unsent(connection, broadcast.id, "quiet_hours", now)
            return True
        case FinishPhase():
            last = await facts.one(connection, facts.LAST_STARTED, broadcast_id=broadcast.id)
            finished = rules.finish_phase(broadcast, last_started_at=last["at"], now=now, uncertain=step.uncertain)
            await lifecycle.record(connection, broadcast.id, version, finished, now)
            for event in finished:
                if isinstance(event, e.PhaseFinished) and event.second_due_at is not None:
                    command = StartSecondPhase(broadcast_id=broadcast.id)
                    await outbox.write(connection, [command], now=now, deliver_at=event.second_due_at)
            if is_second:
                await steps.plan_sync(connection, broadcast.id, now, now)
            return True
        case Wait():
            return False


async def _listen(connection: Connection, row: dict[str, Any], now: datetime, settings: Settings) -> None:
    """Plan the next look at what the log says meanwhile: carriers that turn texts away are to be heard at once."""
    if row["sync_due_at"] is None:
        await steps.plan_sync(connection, row["id"], now + timedelta(seconds=settings.sync_interval), now)


async def _sync(
    connection: Connection, broadcast: Broadcast, version: int, row: dict[str, Any], now: datetime, settings: Settings
) -> None:
    """Plan the next pass over the carrier's log, or close the ledger."""
    if row["sync_started_at"] is None or row["completed_at"] is not None:
        return
    over = now >= row["sync_started_at"] + timedelta(seconds=settings.sync_deadline)
    if row["sync_due_at"] is not None and not over:
        return
    leftover = "cancelled" if broadcast.state == "cancelled" else "phase_over"
    await texts.skip_unsent(connection, broadcast.id, leftover, now)
    unsettled = (await facts.one(connection, facts.UNSETTLED, broadcast_id=broadcast.id))["unsettled"]
    if row["sync_number"] is None or (row["twilio_paging"] and not over):
        await steps.plan_sync(connection, broadcast.id, now, now)
    elif unsettled and not over:
        await steps.plan_sync(connection, broadcast.id, now + timedelta(seconds=settings.sync_interval), now)
    else:
        ledger = await texts.ledger(connection, broadcast.id)
        if not texts.adds_up(ledger):
            # A request is still out; its answer, or the watchdog that stops waiting for it, comes back here.
            if row["sync_due_at"] is None:
                await steps.plan_sync(connection, broadcast.id, now + timedelta(seconds=settings.sync_interval), now)
                telemetry.LEDGER_MISMATCHES.inc()
                log.error("ledger_does_not_add_up", broadcast_id=broadcast.id)
            return
        count = await facts.one(connection, facts.UNSETTLED_COUNT, broadcast_id=broadcast.id)
        completed = e.BroadcastCompleted(broadcast_id=broadcast.id, ledger=ledger, unsettled=count["texts"])
        await lifecycle.record(connection, broadcast.id, version, [completed], now)
