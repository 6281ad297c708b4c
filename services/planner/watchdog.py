"""Emits again what is overdue, so that a step that was lost, with the broker or with a worker, costs seconds.

It looks at the tables, not at the broker: a batch whose lease ran out, a pass over the log that nobody made, texts
whose answer nobody waits for any more. Every planner runs one; they pass over what another holds.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import structlog
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from libs.common import causation, database, inbox, messaging, outbox, steps, telemetry, texts, traces, tracing
from libs.common.commands import SendBatch, SyncStatuses
from libs.common.database import Connection
from libs.common.errors import ConcurrencyError
from libs.common.worker import Worker
from services.planner import facts
from services.planner.advance import advance

log = structlog.stdlib.get_logger(__name__)

KEYS_KEPT = timedelta(days=2)  # how long an Idempotency-Key is remembered
TRACES_KEPT = timedelta(days=2)  # how long after its end a broadcast's trace is remembered
PRUNE_EVERY = timedelta(hours=1)
SHORT_WAIT = "SELECT set_config('lock_timeout', '1s', true)"
SETTLE_AGAIN = timedelta(seconds=30)  # least time between two looks for the same broadcast that the watchdog asks for


async def run(worker: Worker) -> None:
    """Look again and again until cancelled. A look that fails, the database being away, is made good by the next."""
    pruned = worker.clock()
    settled: dict[int, datetime] = {}
    while True:
        await asyncio.sleep(worker.settings.watchdog_interval)
        with causation.caused_by(causation.current()):
            try:
                await look(worker, worker.clock(), settled)
                if worker.clock() - pruned > PRUNE_EVERY:
                    pruned = worker.clock()  # a pruning that fails is not to be a part of every look
                    await _prune(worker)
            except messaging.TRANSIENT as error:
                log.warning("watchdog_waits", error=type(error).__name__)


async def look(worker: Worker, now: datetime, settled: dict[int, datetime]) -> None:
    """Emit what is overdue and take each broadcast as far as it can go."""
    settings = worker.settings
    grace = timedelta(seconds=2 * settings.watchdog_interval)
    async with database.transaction(worker.pool) as connection:
        # An answer is awaited for `request_timeout` by a worker that may have been stopped for `lease`.
        patience = timedelta(seconds=settings.request_timeout + settings.lease)
        lost = await texts.give_up_waiting(connection, now - patience, now)
        if lost:
            log.warning("texts_uncertain", texts=lost)
    await _emit_overdue(worker, now, grace, settled)
    async with worker.pool.connection() as connection:
        cursor = await connection.execute(facts.UNDER_WAY, {"now": now})
        under_way = [row["id"] for row in await cursor.fetchall()]
    for broadcast_id in under_way:
        await _advance(worker, broadcast_id, now)


async def _advance(worker: Worker, broadcast_id: int, now: datetime) -> None:
    """Take one broadcast as far as it can go; what is wrong with it must not keep the others.

    One that somebody else holds, for a draw of minutes perhaps, is left for the next look.
    """
    try:
        async with database.transaction(worker.pool) as connection:
            await connection.execute(SHORT_WAIT)
            await advance(connection, broadcast_id, now, worker.settings)
    except (LockNotAvailable, QueryCanceled, DeadlockDetected, ConcurrencyError) as error:
        log.warning("broadcast_left_for_later", broadcast_id=broadcast_id, error=type(error).__name__)
    except messaging.TRANSIENT:
        raise
    except Exception:
        log.exception("broadcast_not_advanced", broadcast_id=broadcast_id)


async def _emit_overdue(worker: Worker, now: datetime, grace: timedelta, settled: dict[int, datetime]) -> None:
    async with database.transaction(worker.pool) as connection:
        cursor = await connection.execute(facts.OVERDUE_BATCHES, {"now": now, "before": now - grace})
        for row in await cursor.fetchall():
            command = SendBatch(broadcast_id=row["broadcast_id"], batch_id=row["id"], is_second=row["is_second"])
            await _emit_again(connection, command, row, now)
        # A pass may wait for an answer of the carrier as long as a request may take.
        before = now - grace - timedelta(seconds=worker.settings.request_timeout)
        cursor = await connection.execute(facts.OVERDUE_SYNCS, {"now": now, "before": before})
        for row in await cursor.fetchall():
            again = SyncStatuses(broadcast_id=row["broadcast_id"], number=row["number"])
            await _emit_again(connection, again, row, now)
        before = now - timedelta(seconds=worker.settings.settle_after) - grace
        cursor = await connection.execute(facts.OVERDUE_SETTLING, {"before": before})
        for row in await cursor.fetchall():
            broadcast_id = row["broadcast_id"]
            if now - settled.get(broadcast_id, now - SETTLE_AGAIN) >= min(SETTLE_AGAIN, 4 * grace):
                settled[broadcast_id] = now
                await steps.plan_settling(connection, broadcast_id, now, now)
                database.when_committed(telemetry.REEMITTED.labels("SettleUncertain").inc)


async def _emit_again(
    connection: Connection, command: SendBatch | SyncStatuses, row: dict[str, Any], now: datetime
) -> None:
    """Emit a step again, in the trace of its broadcast, with a link to what planned it."""
    name = type(command).__name__
    links = (row["traceparent"],)
    with tracing.span(f"emit {name} again", parent=row["trace"], links=links, broadcast_id=command.broadcast_id):
        await outbox.write(connection, [command], now=now)
    database.when_committed(telemetry.REEMITTED.labels(name).inc)


async def _prune(worker: Worker) -> None:
    now = worker.clock()
    async with worker.pool.connection() as connection:
        await connection.execute(facts.PRUNE_KEYS, {"before": now - KEYS_KEPT})
        await inbox.prune(connection, now)
        await traces.prune(connection, now - TRACES_KEPT)
        await connection.execute(facts.FORGET_ERASED)
