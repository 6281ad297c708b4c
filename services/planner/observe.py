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
from libs.common.database import Connection
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
    broadsheet_archive_fails=Meaning(text="1 while PostgreSQL's last try to archive its log failed"),
    broadsheet_archive_age_seconds=Meaning(text="How long ago PostgreSQL last archived a segment of its log"),
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

#: Steps that are due and that nobody has taken; a batch under way renews its lease. What the watchdog emits again is
#: due now by its clock, which may be a moment ahead.
WAITING = """
SELECT * FROM (
    SELECT 'batch ' || s.id || ' ' || s.fence AS step, coalesce(s.lease_until, s.due_at) AS due
    FROM broadcasts b JOIN batches s ON s.broadcast_id = b.id
    WHERE b.completed_at IS NULL AND b.state IN ('sending_first', 'sending_second') AND s.closed_at IS NULL
    UNION ALL
    SELECT 'pass ' || s.broadcast_id || ' ' || s.number, s.due_at
    FROM broadcasts b JOIN syncs s ON s.broadcast_id = b.id
    WHERE b.completed_at IS NULL AND b.state IN ('sending_first', 'waiting', 'sending_second', 'syncing', 'cancelled')
) AS steps WHERE due <= %(now)s + interval '1 second'
"""

UNCERTAIN = """
SELECT count(*)::float8 AS texts, coalesce(extract(epoch FROM %(now)s - min(attempt_started_at)), 0)::float8 AS age
FROM outgoing_messages WHERE state = 'uncertain'
"""

REVISION = "SELECT version_num FROM alembic_version"

#: No row where nothing is archived; by the clock of the server, which keeps no count of failures since a success.
ARCHIVE = """
SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS fails,
       extract(epoch FROM clock_timestamp() - coalesce(last_archived_time, pg_postmaster_start_time()))::float8 AS age
FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
"""


async def run(worker: Worker) -> None:
    """Measure again and again until cancelled."""
    interval = LOOKS * worker.settings.watchdog_interval
    keep = max(LEAST_KEEP, KEEP * interval)
    waiting: dict[str, datetime] = {}
    while True:
        try:
            GAUGES.set(keep=keep, **await measure(worker, worker.clock(), waiting))
        except messaging.TRANSIENT as error:
            log.warning("not_measured", what="database", error=type(error).__name__)
        try:
            with nodes.losing():
                GAUGES.set(keep=keep, broadsheet_dead_letters_waiting=await dead_letters(worker))
        except messaging.BROKER_AWAY as error:
            log.warning("not_measured", what="broker", error=type(error).__name__)
        await asyncio.sleep(interval)


async def measure(worker: Worker, now: datetime, waiting: dict[str, datetime] | None = None) -> dict[str, Value]:
    """Give what the database holds. `waiting` keeps from one call to the next since when each step has been due.

    The watchdog, which emits again what is overdue, makes it due anew: the tables tell the last time, not the first.
    """
    settings: Settings = worker.settings
    waiting = {} if waiting is None else waiting
    parameters: dict[str, Any] = {"now": now, "most": MOST}
    async with database.transaction(worker.pool) as connection:
        outbox = await facts.one(connection, OUTBOX, **parameters)
        pending = await (await connection.execute(PENDING, parameters)).fetchall()
        broadcasts = await (await connection.execute(BROADCASTS, parameters)).fetchall()
        untaken = await (await connection.execute(WAITING, parameters)).fetchall()
        uncertain = await facts.one(connection, UNCERTAIN, now=now)
        held, failures = await pace.held(connection, [settings.carrier])
        unsettled = await restored.held(connection)
        revision = await facts.one(connection, REVISION)
        archived = await archive(connection)
    since = {row["step"]: min(row["due"], waiting.get(row["step"], row["due"])) for row in untaken}
    waiting.clear()
    waiting.update(since)
    overdue = [row["overdue"] or 0.0 for row in broadcasts] + [(now - due).total_seconds() for due in since.values()]
    texts = {row["is_second"]: row["texts"] for row in pending}
    counts = {row["state"]: row["broadcasts"] for row in broadcasts}
    return {
        "broadsheet_outbox_due": outbox["due"],
        "broadsheet_outbox_lag_seconds": outbox["lag"],
        "broadsheet_pending_texts": {"first": texts.get(False, 0.0), "second": texts.get(True, 0.0)},
        "broadsheet_queue_age_seconds": max([0.0, *(row["age"] for row in pending)]),
        "broadsheet_broadcasts": {state: counts.get(state, 0.0) for state in STATES},
        "broadsheet_overdue_seconds": max([0.0, *overdue]),
        "broadsheet_sync_age_seconds": max([0.0, *(row["syncing"] or 0.0 for row in broadcasts)]),
        "broadsheet_uncertain_texts": uncertain["texts"],
        "broadsheet_uncertain_age_seconds": uncertain["age"],
        "broadsheet_carrier_held_seconds": {settings.carrier: held},
        "broadsheet_carrier_failures": {settings.carrier: float(failures)},
        "broadsheet_quiet_hours": float(workdays.quiet_until(now, settings.quiet, settings.zone) is not None),
        "broadsheet_restore_unsettled": float(unsettled),
        "broadsheet_schema_info": {revision["version_num"]: 1.0},
        **archived,
    }


async def archive(connection: Connection) -> dict[str, Value]:
    """Give how PostgreSQL's archive of its log fares; nothing where it keeps none."""
    row = await (await connection.execute(ARCHIVE)).fetchone()
    if row is None:
        return {}
    return {"broadsheet_archive_fails": float(row["fails"]), "broadsheet_archive_age_seconds": row["age"]}


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
