"""Emits again what is overdue, so that a step that was lost, with the broker or with a worker, costs seconds.

It looks at the tables: a batch whose lease ran out, a pass over the log that nobody made, messages whose answer nobody
waits for any more. The broker is asked only how many steps wait their turn in its queues. Every planner runs one; they
pass over what another holds.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import erasure, file_words, messages, scheduling, traces
from libs.common.carriers import clock_records
from libs.common.database import Connection, Engine
from libs.common.domain.cause import Cause
from libs.common.errors import ConcurrencyError
from libs.common.messaging import consumer, inbox, outbox, topology
from libs.common.observability import telemetry, tracing
from libs.common.rate_limits import daily
from libs.common.runtime import queue_supervision
from services.planner import watchdog_queries
from services.planner.advance import advance
from services.planner.context import Planner
from services.planner.watchdog_queries import OverdueBatch, OverduePass

log = structlog.stdlib.get_logger(__name__)

KEYS_KEPT = timedelta(days=2)  # how long an Idempotency-Key is remembered
TRACES_KEPT = timedelta(days=2)  # how long after its end a broadcast's trace is remembered
PRUNE_EVERY = timedelta(hours=1)
BROKER_PATIENCE = 2.0  # seconds for the broker to answer about its queues
SETTLE_AGAIN = timedelta(seconds=30)  # least time between two looks for the same broadcast that the watchdog asks for


async def run(worker: Planner) -> None:
    """Look again and again until cancelled. A look that fails, the database being away, is made good by the next."""
    pruned = worker.clock()
    settled: dict[int, datetime] = {}
    while True:
        await asyncio.sleep(worker.settings.watchdog_interval)
        try:
            await look(worker, worker.clock(), settled)
            if worker.clock() - pruned > PRUNE_EVERY:
                pruned = worker.clock()  # a pruning that fails is not to be a part of every look
                await _prune(worker)
        except consumer.TRANSIENT as error:
            log.warning("watchdog_waits", error=type(error).__name__)


async def look(worker: Planner, now: datetime, settled: dict[int, datetime]) -> None:
    """Emit what is overdue and take each broadcast as far as it can go."""
    cause = Cause()
    with structlog.contextvars.bound_contextvars(correlation_id=str(cause.correlation_id)):
        await _look(worker, now, settled, cause)


async def _look(worker: Planner, now: datetime, settled: dict[int, datetime], cause: Cause) -> None:
    settings = worker.settings
    grace = timedelta(seconds=2 * settings.watchdog_interval)
    async with database.transaction(worker.engine, cause) as connection:
        # An answer is awaited for `request_timeout` by a worker that may have been stopped for `lease`.
        patience = timedelta(seconds=settings.request_timeout + settings.lease)
        lost = await messages.give_up_waiting(connection, now - patience, now)
        if lost:
            log.warning("messages_uncertain", messages=lost)
    await _emit_overdue(worker, now, grace, settled, cause)
    async with database.transaction(worker.engine) as connection:
        under_way = await watchdog_queries.under_way(connection, now)
    for broadcast in under_way:
        engine = worker.long_work if broadcast.is_to_be_made else worker.engine
        await _advance(worker, broadcast.id, now, engine, cause)


async def _advance(worker: Planner, broadcast_id: int, now: datetime, engine: Engine, cause: Cause) -> None:
    """Take one broadcast as far as it can go; what is wrong with it must not keep the others.

    One that somebody else holds, for a draw of minutes perhaps, is left for the next look.
    """
    try:
        async with database.transaction(engine, cause) as connection:
            await watchdog_queries.wait_briefly(connection)
            await advance(connection, broadcast_id, now, worker.settings)
    except (database.Collision, database.StatementTimeout, ConcurrencyError) as error:
        log.warning("broadcast_left_for_later", broadcast_id=broadcast_id, error=type(error).__name__)
    except consumer.TRANSIENT:
        raise
    except Exception:
        log.exception("broadcast_not_advanced", broadcast_id=broadcast_id)


async def _emit_overdue(
    worker: Planner, now: datetime, grace: timedelta, settled: dict[int, datetime], cause: Cause
) -> None:
    ready = await _ready(worker)
    async with database.transaction(worker.engine, cause) as connection:
        waiting = ready + await watchdog_queries.steps_to_publish(connection, now)

        before = now - grace
        wait = waiting["SendBatch"] >= await watchdog_queries.count_unopened_batches(connection, before)
        for batch in await watchdog_queries.take_overdue_batches(connection, now, before=before, wait=wait):
            await _emit_again(connection, batch, now)

        # A pass may wait for an answer of the carrier as long as a request may take.
        before = now - grace - timedelta(seconds=worker.settings.request_timeout)
        if waiting["SyncStatuses"] < await watchdog_queries.count_overdue_passes(connection, before):
            for sync in await watchdog_queries.take_overdue_passes(connection, now, before=before):
                await _emit_again(connection, sync, now)

        before = now - timedelta(seconds=worker.settings.settle_after) - grace
        unsettled = await watchdog_queries.overdue_settling(connection, before=before, due_before=now - grace)
        for broadcast_id in unsettled if waiting["SettleUncertain"] < len(unsettled) else ():
            if now - settled.get(broadcast_id, now - SETTLE_AGAIN) >= min(SETTLE_AGAIN, 4 * grace):
                settled[broadcast_id] = now
                await scheduling.plan_settling_again(connection, broadcast_id, now)
                database.on_commit(connection, telemetry.REEMITTED.labels("SettleUncertain").inc)


async def _ready(worker: Planner) -> Counter[str]:
    """Return how many steps of each type wait in the broker's queues for a worker that is free.

    If as many wait as are overdue, none is lost. Where the broker cannot be asked, what it has counts as lost; emitted
    again once, it waits in the outbox and is counted there.
    """
    if worker.broker is None:
        return Counter()
    names = {work.name: str(work.command) for work in topology.WORK if work.command}
    try:
        found = await queue_supervision.look_up(worker.broker, list(names), seconds=BROKER_PATIENCE)
    except consumer.BROKER_AWAY:
        return Counter()
    return Counter({names[name]: queue.ready for name, queue in found.items()})


async def _emit_again(connection: Connection, step: OverdueBatch | OverduePass, now: datetime) -> None:
    """Emit a step again, in the trace of its broadcast, with a link to what planned it."""
    name = type(step.command).__name__
    links = (step.traceparent,)
    with tracing.span(f"emit {name} again", parent=step.trace, links=links, broadcast_id=step.command.broadcast_id):
        await outbox.write(connection, [step.command], now=now)
    database.on_commit(connection, telemetry.REEMITTED.labels(name).inc)


async def _prune(worker: Planner) -> None:
    """Remove what is too old, each kind in a transaction of its own: what is done stays done if the next one fails."""
    now = worker.clock()
    prunings: tuple[Callable[[Connection], Awaitable[object]], ...] = (
        lambda connection: watchdog_queries.prune_keys(connection, now - KEYS_KEPT),
        lambda connection: inbox.prune(connection, now),
        lambda connection: traces.prune(connection, now - TRACES_KEPT),
        lambda connection: clock_records.prune(connection, now),
        lambda connection: daily.prune(connection, now, worker.settings.zone),
        erasure.forget_settled,
        erasure.forget_left_uncertain,
    )
    for prune in prunings:
        async with database.transaction(worker.engine) as connection:
            await prune(connection)
    is_more = True
    while is_more:
        async with database.transaction(worker.engine) as connection:
            is_more = await file_words.forget(connection, now)
