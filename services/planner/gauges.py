"""Measures what the database and the broker hold, for all services: one place, a few cheap queries.

Each reads what remains to do by a partial index, never what is done, and counts up to a bound. What could not be
measured is left out of the metrics after a while, so that nobody takes an old figure for a new one. Every planner
measures the same; dashboards and alerts take the highest, never the sum (docs/metrics.md).
"""

import asyncio
from datetime import datetime

import structlog

from libs.common import database
from libs.common.broadcasts import restore_hold
from libs.common.carriers import clock_records
from libs.common.database import Connection
from libs.common.domain import quiet_hours
from libs.common.domain.quiet_hours import Place
from libs.common.domain.states import BroadcastState
from libs.common.messaging import consumer, topology
from libs.common.observability.collectors import ExpiringGauges, GaugeSpec, Value
from libs.common.rate_limits import rate
from libs.common.runtime import queue_supervision
from libs.common.runtime.worker import Worker
from libs.common.settings import WorkerSettings
from services.planner import gauge_queries

log = structlog.stdlib.get_logger(__name__)

LOOKS = 3  # of the watchdog between two measurements
KEEP = 3.5  # intervals for which a figure is exposed
LEAST_KEEP = 20.0  # seconds; longer than a scrape interval
PATIENCE = 5.0  # seconds that the broker gets to answer
MOST = 100_000  # rows that are counted at most

GAUGES = ExpiringGauges(
    broadsheet_outbox_due=GaugeSpec(text=f"Commands and events that are due and not published, counted up to {MOST}"),
    broadsheet_outbox_lag_seconds=GaugeSpec(text="How long the oldest of them has been due"),
    broadsheet_pending_messages=GaugeSpec(
        text=f"Messages of the phases under way that are not claimed, counted up to {MOST} a broadcast", label="phase"
    ),
    broadsheet_queue_age_seconds=GaugeSpec(text="How long ago the oldest phase began that has such messages"),
    broadsheet_broadcasts=GaugeSpec(text="Broadcasts that are not over", label="state"),
    broadsheet_overdue_seconds=GaugeSpec(text="How long the step of a broadcast that is due longest has been due"),
    broadsheet_sync_age_seconds=GaugeSpec(text="How long ago the oldest status sync began that is not over"),
    broadsheet_uncertain_messages=GaugeSpec(text="Messages whose fate only the carrier's log can tell"),
    broadsheet_uncertain_age_seconds=GaugeSpec(text="How long ago the oldest attempt of these began"),
    broadsheet_carrier_clock_offset_seconds=GaugeSpec(
        text="How far a carrier's clock is ahead of ours, by its last answers", label="carrier"
    ),
    broadsheet_carrier_clock_uncertainty_seconds=GaugeSpec(
        text="By how much that may be more or less", label="carrier"
    ),
    broadsheet_replies_to_review=GaugeSpec(text="Likely opt-outs that wait for a person to look"),
    broadsheet_replies_to_review_age_seconds=GaugeSpec(text="How long the oldest of these has waited"),
    broadsheet_carrier_held_seconds=GaugeSpec(text="For how long nothing may start, since it fails", label="carrier"),
    broadsheet_carrier_failures=GaugeSpec(text="Failures in a row that were the carrier's", label="carrier"),
    broadsheet_number_daily_cap=GaugeSpec(
        text="Attempts that a number may start a day, of those with a cap", label="number"
    ),
    broadsheet_number_enabled=GaugeSpec(text="1 where a number sends, 0 where it is switched off", label="number"),
    broadsheet_number_started_today=GaugeSpec(
        text="Attempts that a number has started today, of those with a cap", label="number"
    ),
    broadsheet_quiet_hours=GaugeSpec(text="1 while it is a quiet hour wherever messages are pending for"),
    broadsheet_restore_unsettled=GaugeSpec(text="1 after a restore until `broadsheet reconcile`: nothing may start"),
    broadsheet_schema_info=GaugeSpec(text="1; the database's revision", label="revision"),
    broadsheet_archive_fails=GaugeSpec(text="1 while PostgreSQL's last try to archive its log failed"),
    broadsheet_archive_age_seconds=GaugeSpec(text="How long ago PostgreSQL last archived a segment of its log"),
    broadsheet_dead_letters_waiting=GaugeSpec(
        text="Commands and events put aside, by the broker's count", label="queue"
    ),
)

#: States of broadcasts that are not over; one that was cancelled may still be synced.
STATES = tuple(state for state in BroadcastState if state not in (BroadcastState.COMPLETED, BroadcastState.MISSED))


async def run(worker: Worker) -> None:
    """Measure again and again until cancelled."""
    interval = LOOKS * worker.settings.watchdog_interval
    keep = max(LEAST_KEEP, KEEP * interval)
    waiting: dict[str, datetime] = {}
    while True:
        try:
            GAUGES.set(keep=keep, **await measure(worker, worker.clock(), waiting))
        except consumer.TRANSIENT as error:
            log.warning("not_measured", what="database", error=type(error).__name__)
        try:
            GAUGES.set(keep=keep, broadsheet_dead_letters_waiting=await dead_letters(worker))
        except consumer.BROKER_AWAY as error:
            log.warning("not_measured", what="broker", error=type(error).__name__)
        await asyncio.sleep(interval)


async def measure(worker: Worker, now: datetime, waiting: dict[str, datetime] | None = None) -> dict[str, Value]:
    """Return what the database holds. `waiting` keeps from one call to the next since when each step has been due.

    The watchdog, which emits again what is overdue, makes it due anew: the tables tell the last time, not the first.
    """
    settings: WorkerSettings = worker.settings
    waiting = {} if waiting is None else waiting
    async with database.transaction(worker.engine) as connection:
        outbox = await gauge_queries.outbox(connection, now, most=MOST)
        pending = await gauge_queries.pending(connection, now, most=MOST)
        broadcasts = await gauge_queries.broadcasts(connection, now)
        untaken = await gauge_queries.steps(connection, now)
        uncertain = await gauge_queries.uncertain(connection, now)
        clocks = await clock_records.latest(connection, now)
        to_review = await gauge_queries.to_review(connection, now)
        numbers = await gauge_queries.numbers(connection, now.astimezone(settings.zone).date())
        in_use = sorted({settings.carrier, *(each.carrier for each in numbers if each.carrier is not None)})
        holds = {carrier: await rate.backoff(connection, [carrier]) for carrier in in_use}
        unsettled = await restore_hold.held(connection)
        quiet = await _is_quiet(connection, settings, now)
        revision = await gauge_queries.revision(connection)
        archived = await archive(connection)
    since = {each.step: min(each.due, waiting.get(each.step, each.due)) for each in untaken}
    waiting.clear()
    waiting.update(since)
    overdue = [each.overdue or 0.0 for each in broadcasts] + [(now - due).total_seconds() for due in since.values()]
    unclaimed = {each.is_second: each.count for each in pending}
    counts = {each.state: each.count for each in broadcasts}
    return {
        "broadsheet_outbox_due": outbox.count,
        "broadsheet_outbox_lag_seconds": outbox.age,
        "broadsheet_pending_messages": {"first": unclaimed.get(False, 0.0), "second": unclaimed.get(True, 0.0)},
        "broadsheet_queue_age_seconds": max([0.0, *(each.age for each in pending)]),
        "broadsheet_broadcasts": {state: counts.get(state, 0.0) for state in STATES},
        "broadsheet_overdue_seconds": max([0.0, *overdue]),
        "broadsheet_sync_age_seconds": max([0.0, *(each.syncing or 0.0 for each in broadcasts)]),
        "broadsheet_uncertain_messages": uncertain.count,
        "broadsheet_uncertain_age_seconds": uncertain.age,
        "broadsheet_carrier_clock_offset_seconds": {
            each.carrier: each.offset.middle.total_seconds() for each in clocks
        },
        "broadsheet_carrier_clock_uncertainty_seconds": {
            each.carrier: (each.offset.high - each.offset.middle).total_seconds() for each in clocks
        },
        "broadsheet_replies_to_review": to_review.count,
        "broadsheet_replies_to_review_age_seconds": to_review.age,
        "broadsheet_carrier_held_seconds": {carrier: held for carrier, (held, _) in holds.items()},
        "broadsheet_carrier_failures": {carrier: float(failures) for carrier, (_, failures) in holds.items()},
        "broadsheet_number_daily_cap": {
            each.id: float(each.daily_cap) for each in numbers if each.daily_cap is not None
        },
        "broadsheet_number_enabled": {each.id: float(each.enabled) for each in numbers},
        "broadsheet_number_started_today": {
            each.id: float(each.started) for each in numbers if each.daily_cap is not None
        },
        "broadsheet_quiet_hours": float(quiet),
        "broadsheet_restore_unsettled": float(unsettled),
        "broadsheet_schema_info": {revision: 1.0},
        **archived,
    }


async def _is_quiet(connection: Connection, settings: WorkerSettings, now: datetime) -> bool:
    """Whether no message that is pending may leave, by the clocks of whom it goes to; without any, by our own."""
    found = await gauge_queries.pending_places(connection)
    known = [quiet_hours.parse(place) for place in found] or [Place()]
    return not any(quiet_hours.is_allowed(place, settings.rules, now) for place in known)


async def archive(connection: Connection) -> dict[str, Value]:
    """Return how PostgreSQL's archive of its log fares; nothing where it keeps none."""
    found = await gauge_queries.archive(connection)
    if found is None:
        return {}
    return {"broadsheet_archive_fails": float(found.fails), "broadsheet_archive_age_seconds": found.age}


async def dead_letters(worker: Worker) -> dict[str, float]:
    """Ask the broker how many messages wait in the dead letters. Raise what the loss of the broker raises."""
    assert worker.broker is not None
    names = [topology.dead_letters(service).name for service in topology.SERVICES]
    found = await queue_supervision.look_up(worker.broker, names, seconds=PATIENCE)
    return {name: float(queue.ready) for name, queue in found.items()}
