"""Take a broadcast as far as it can go now. Each command and event calls this, and so does the watchdog.

The broadcast's row is locked first. Decisions are made from what the tables say then. A second call right after the
first finds nothing to do. So it does not matter which command or event caused the call, how often it came, or whether
one was lost.
"""

from datetime import datetime, timedelta

import structlog

from libs.common.broadcasts import ledger, making, messages, repository, restore_hold, scheduling, unwanted_messages
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain import wall_clock
from libs.common.domain.broadcast import Broadcast, finish_phase, miss, start_second_phase
from libs.common.domain.commands import StartSecondPhase
from libs.common.domain.states import BroadcastState, SkipReason
from libs.common.errors import EmptyDraw, NotApproved, Unrenderable
from libs.common.messaging import outbox
from libs.common.observability import telemetry
from libs.common.settings.planner import PlannerSettings
from services.planner import queries
from services.planner.phase import FinishPhase, PlanBatches, SkipForQuietHours, SkipHeldBack, Step, Wait, next_step

log = structlog.stdlib.get_logger(__name__)


async def advance(connection: Connection, broadcast_id: int, now: datetime, settings: PlannerSettings) -> None:
    """Take every step of a broadcast that is due; none while a restore is not settled. Raise NotFound."""
    if await restore_hold.held(connection):
        return  # the watchdog comes back once it is
    broadcast: Broadcast | None = await repository.load(connection, broadcast_id)
    while broadcast is not None:
        broadcast = await _step(connection, broadcast, now, settings)


async def _step(
    connection: Connection, broadcast: Broadcast, now: datetime, settings: PlannerSettings
) -> Broadcast | None:
    """Take the step of a broadcast that is due; return the broadcast as it is then, None where it has to wait."""
    match broadcast.state:
        case BroadcastState.SCHEDULED if broadcast.run_at <= now and not broadcast.is_draft:
            return await _make_or_miss(connection, broadcast, now, settings)
        case BroadcastState.SENDING_FIRST | BroadcastState.SENDING_SECOND:
            sent = await _send(connection, broadcast, now, settings)
            if sent is None:
                await _listen(connection, broadcast.id, now, settings)
            return sent
        case BroadcastState.WAITING:
            started = start_second_phase(broadcast, now)
            if not started:
                await _listen(connection, broadcast.id, now, settings)
                return None
            await unwanted_messages.skip_unwanted(connection, broadcast.id, now, is_second=True)
            return await repository.save(connection, broadcast, started, now)
        case BroadcastState.SYNCING | BroadcastState.CANCELLED:
            await _sync(connection, broadcast, now, settings)
    return None


async def _make_or_miss(
    connection: Connection, broadcast: Broadcast, now: datetime, settings: PlannerSettings
) -> Broadcast:
    """Make a broadcast whose time has come, late if need be, but not on another day."""
    schedule = making.Schedule(
        zone=settings.zone,
        calendar=settings.calendar,
        needs_approval=settings.approval_required,
        hold_at_its_time=settings.hold_at_its_time,
        cap=settings.cap,
        send_rate=settings.send_rate,
    )
    reason = "day_over"
    if wall_clock.same_day(broadcast.run_at, now, settings.zone):
        try:
            async with connection.begin_nested():
                hold = schedule.hold_at_its_time
                made = await making.make(connection, broadcast, schedule, now, by_hand=False, hold=hold)
        except EmptyDraw:
            reason = "empty_draw"
        except Unrenderable:
            reason = "unrenderable"
        except NotApproved:
            reason = "not_approved"
        else:
            return made.broadcast
    successor = await making.schedule_successor(connection, broadcast, schedule, now)
    missed = miss(broadcast, reason, successor.broadcast_id if successor else None)
    log.warning("broadcast_missed", broadcast_id=broadcast.id, reason=reason)
    return await repository.save(connection, broadcast, missed, now)


async def _send(
    connection: Connection, broadcast: Broadcast, now: datetime, settings: PlannerSettings
) -> Broadcast | None:
    """Plan the next batches of a phase, or finish it; return the broadcast as it is then, None where it has to wait."""
    is_second = broadcast.state == BroadcastState.SENDING_SECOND
    steps: list[Step] = []
    for index in range(len(broadcast.numbers)):
        facts = await queries.phase(connection, broadcast, index, now, settings)
        steps.append(step := next_step(facts, now))
        match step:
            case PlanBatches():
                for _ in range(step.missing(facts.batches_due)):
                    await scheduling.plan_batch(
                        connection, broadcast.id, step.due, now, is_second=is_second, pool_index=index
                    )
            case SkipForQuietHours():
                await messages.skip_pending_to(
                    connection, broadcast.id, step.places, step.reason, now, is_second=is_second, pool_index=index
                )
    # Where one number has messages to send or to skip, the phase goes on; without any, all see the same.
    step = next(
        (each for kind in (SkipForQuietHours, PlanBatches) for each in steps if isinstance(each, kind)), steps[0]
    )
    match step:
        case SkipForQuietHours():
            return broadcast
        case SkipHeldBack():
            await unwanted_messages.skip_held(connection, broadcast.id, now, is_second=is_second)
            return broadcast
        case FinishPhase():
            last = await queries.last_started(connection, broadcast.id)
            finished = finish_phase(broadcast, last_started_at=last, now=now, uncertain=step.uncertain)
            moved_on = await repository.save(connection, broadcast, finished, now)
            for event in finished:
                if isinstance(event, e.PhaseFinished) and event.second_due_at is not None:
                    command = StartSecondPhase(broadcast_id=broadcast.id)
                    await outbox.write(connection, [command], now=now, deliver_at=event.second_due_at)
            if moved_on.state == BroadcastState.SYNCING:
                await scheduling.plan_sync(connection, broadcast.id, now, now)
            return moved_on
        case PlanBatches() | Wait():
            return None


async def _listen(connection: Connection, broadcast_id: int, now: datetime, settings: PlannerSettings) -> None:
    """Plan the next look at what the log says meanwhile: carriers that turn messages away are to be heard at once."""
    if (await queries.passes(connection, broadcast_id)).due_at is None:
        await scheduling.plan_sync(connection, broadcast_id, now + timedelta(seconds=settings.sync_interval), now)


async def _sync(connection: Connection, broadcast: Broadcast, now: datetime, settings: PlannerSettings) -> None:
    """Plan the next pass over the carrier's log, or close the ledger."""
    if broadcast.sync_started_at is None or broadcast.completed_at is not None:
        return
    passes = await queries.passes(connection, broadcast.id)
    over = now >= broadcast.sync_started_at + timedelta(seconds=settings.sync_deadline)
    if passes.due_at is not None and not over:
        return
    is_cancelled = broadcast.state == BroadcastState.CANCELLED
    leftover = SkipReason.CANCELLED if is_cancelled else SkipReason.PHASE_OVER
    await messages.skip_unsent(connection, broadcast.id, leftover, now)
    unsettled = await queries.is_unsettled(connection, broadcast.id)
    if passes.number is None or (passes.next_page and not over):
        await scheduling.plan_sync(connection, broadcast.id, now, now)
    elif unsettled and not over:
        await scheduling.plan_sync(connection, broadcast.id, now + timedelta(seconds=settings.sync_interval), now)
    else:
        counted = await ledger.count(connection, broadcast.id)
        if not ledger.adds_up(counted):
            # A request is still out; its answer, or the watchdog that stops waiting for it, comes back here.
            if passes.due_at is None:
                await scheduling.plan_sync(
                    connection, broadcast.id, now + timedelta(seconds=settings.sync_interval), now
                )
                telemetry.LEDGER_MISMATCHES.inc()
                log.error("ledger_does_not_add_up", broadcast_id=broadcast.id)
            return
        count = await queries.count_unsettled(connection, broadcast.id)
        completed = e.BroadcastCompleted(broadcast_id=broadcast.id, ledger=counted, unsettled=count)
        await repository.save(connection, broadcast, [completed], now)
