"""Measures what the database and the broker hold, for all services: one place, a few cheap queries.

Each reads what is left to do by a partial index, never what is done, and counts up to a bound. What could not be
measured is left out of the metrics after a while, so that nobody takes an old figure for a new one. Every planner
measures the same; dashboards and alerts take the highest, never the sum (docs/metrics.md).
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from libs.common import database, messaging, nodes, pace, restored, topology, workdays
from libs.common.metrics import Meaning, Measured, Value
from libs.common.settings import Settings
from libs.common.worker import Worker
from services.planner import facts

log = structlog.stdlib.get_logger(__name__)

LOOKS = 3  # of the watchdog between two measurements
KEEP = 3.5  # intervals for which a figure is told
LEAST_KEEP = 20.0  # seconds; longer than a scrape interval
PATIENCE = 5.0  # seconds that the broker gets to answer
MOST = 100_000  # texts or messages that are counted at most

GAUGES = Measured(
    broadsheet_outbox_due=Meaning(text=f"Messages that are due and not yet published, counted up to {MOST}"),
    broadsheet_outbox_lag_seconds=Meaning(text="How long the oldest of them has been due"),
    broadsheet_pending_texts=Meaning(
        text=f"Texts of the phases under way that nobody has claimed, counted up to {MOST} a broadcast", label="phase"
    ),
    broadsheet_queue_age_seconds=Meaning(text="How long ago the oldest phase began that has such texts"),
    broadsheet_broadcasts=Meaning(text="Broadcasts that are not over", label="state"),
    broadsheet_overdue_seconds=Meaning(text="How long the step of a broadcast that is due longest has been due"),
    broadsheet_sync_age_seconds=Meaning(text="How long ago the oldest status sync began that is not over"),
    broadsheet_uncertain_texts=Meaning(text="Texts whose fate only the carrier's log can tell"),
    broadsheet_uncertain_age_seconds=Meaning(text="How long ago the oldest attempt of these began"),
    broadsheet_carrier_held_seconds=Meaning(text="For how long nothing may start, since it fails", label="carrier"),
    broadsheet_carrier_failures=Meaning(text="Failures in a row that were the carrier's", label="carrier"),
    broadsheet_quiet_hours=Meaning(text="1 in quiet hours, when no text may start"),
    broadsheet_restore_unsettled=Meaning(text="1 after a restore until `broadsheet reconcile`: nothing may start"),
    broadsheet_schema_info=Meaning(text="1; the database's revision", label="revision"),
    broadsheet_dead_letters_waiting=Meaning(text="Messages put aside, as the broker counts them", label="queue"),
)

STATES = ("scheduled", "sending_first", "waiting", "sending_second", "syncing", "paused", "cancelled")

OUTBOX = """
SELECT count(*) AS due, coalesce(extract(epoch FROM %(now)s - min(deliver_at)), 0)::float8 AS lag
FROM (SELECT deliver_at FROM outbox WHERE deliver_at <= %(now)s ORDER BY deliver_at, id LIMIT %(most)s) AS oldest
"""

PENDING = """
SELECT b.state = 'sending_second' AS is_second, sum(p.texts)::float8 AS texts,
       coalesce(extract(epoch FROM %(now)s - min(CASE WHEN b.state = 'sending_second' THEN b.second_due_at
                                                 ELSE b.made_at END) FILTER (WHERE p.texts > 0)), 0)::float8 AS age
FROM broadcasts b CROSS JOIN LATERAL (
    SELECT count(*) AS texts FROM (
        SELECT FROM outgoing_messages m
        WHERE m.broadcast_id = b.id AND m.is_second = (b.state = 'sending_second') AND m.state = 'pending'
        LIMIT %(most)s) AS counted) AS p
WHERE b.completed_at IS NULL AND b.state IN ('sending_first', 'sending_second')
GROUP BY 1
"""

#: A broadcast that was cancelled before it was made is over, although it was never completed.
BROADCASTS = """
SELECT state, count(*)::float8 AS broadcasts,
       extract(epoch FROM %(now)s - min(CASE state WHEN 'scheduled' THEN run_at WHEN 'waiting' THEN second_due_at
                                                   END))::float8 AS overdue,
       extract(epoch FROM %(now)s - min(CASE state WHEN 'syncing' THEN sync_started_at END))::float8 AS syncing
FROM broadcasts
WHERE completed_at IS NULL AND state <> 'missed' AND (state <> 'cancelled' OR made_at IS NOT NULL)
GROUP BY state
"""

UNCERTAIN = """
SELECT count(*)::float8 AS texts, coalesce(extract(epoch FROM %(now)s - min(attempt_started_at)), 0)::float8 AS age
FROM outgoing_messages WHERE state = 'uncertain'
"""

REVISION = "SELECT version_num FROM alembic_version"


async def run(worker: Worker) -> None:
    """Measure again and again until cancelled."""
    interval = LOOKS * worker.settings.watchdog_interval
    keep = max(LEAST_KEEP, KEEP * interval)
    while True:
        try:
            GAUGES.set(keep=keep, **await measure(worker, worker.clock()))
        except messaging.TRANSIENT as error:
            log.warning("not_measured", what="database", error=type(error).__name__)
        try:
            with nodes.losing():
                GAUGES.set(keep=keep, broadsheet_dead_letters_waiting=await dead_letters(worker))
        except messaging.BROKER_AWAY as error:
            log.warning("not_measured", what="broker", error=type(error).__name__)
        await asyncio.sleep(interval)


async def measure(worker: Worker, now: datetime) -> dict[str, Value]:
    """Give what the database holds."""
    settings: Settings = worker.settings
    parameters: dict[str, Any] = {"now": now, "most": MOST}
    async with database.transaction(worker.pool) as connection:
        outbox = await facts.one(connection, OUTBOX, **parameters)
        pending = await (await connection.execute(PENDING, parameters)).fetchall()
        broadcasts = await (await connection.execute(BROADCASTS, parameters)).fetchall()
        uncertain = await facts.one(connection, UNCERTAIN, now=now)
        held, failures = await pace.held(connection, [settings.carrier])
        unsettled = await restored.held(connection)
        revision = await facts.one(connection, REVISION)
    texts = {row["is_second"]: row["texts"] for row in pending}
    counts = {row["state"]: row["broadcasts"] for row in broadcasts}
    return {
        "broadsheet_outbox_due": outbox["due"],
        "broadsheet_outbox_lag_seconds": outbox["lag"],
        "broadsheet_pending_texts": {"first": texts.get(False, 0.0), "second": texts.get(True, 0.0)},
        "broadsheet_queue_age_seconds": max([0.0, *(row["age"] for row in pending)]),
        "broadsheet_broadcasts": {state: counts.get(state, 0.0) for state in STATES},
        "broadsheet_overdue_seconds": max([0.0, *(row["overdue"] or 0.0 for row in broadcasts)]),
        "broadsheet_sync_age_seconds": max([0.0, *(row["syncing"] or 0.0 for row in broadcasts)]),
        "broadsheet_uncertain_texts": uncertain["texts"],
        "broadsheet_uncertain_age_seconds": uncertain["age"],
        "broadsheet_carrier_held_seconds": {settings.carrier: held},
        "broadsheet_carrier_failures": {settings.carrier: float(failures)},
        "broadsheet_quiet_hours": float(workdays.quiet_until(now, settings.quiet, settings.zone) is not None),
        "broadsheet_restore_unsettled": float(unsettled),
        "broadsheet_schema_info": {revision["version_num"]: 1.0},
    }


async def dead_letters(worker: Worker) -> dict[str, float]:
    """Ask the broker how many messages wait in the dead letters. Raises what the loss of the broker raises."""
    assert worker.broker is not None
    # A broker that is away has everybody wait who asks; the database is to be measured meanwhile.
    async with asyncio.timeout(PATIENCE):
        connection = await worker.broker.connect()
        # A channel of its own: to ask for a queue that is gone closes the channel.
        channel = await nodes.open_channel(connection, publisher_confirms=False)
    try:
        async with asyncio.timeout(PATIENCE):
            queues = [
                await channel.declare_queue(topology.dead_letters(service).name, passive=True)
                for service in topology.SERVICES
            ]
    finally:
        with suppress(*messaging.BROKER_AWAY):
            async with asyncio.timeout(PATIENCE):
                await channel.close()
    return {queue.name: float(queue.declaration_result.message_count or 0) for queue in queues}
