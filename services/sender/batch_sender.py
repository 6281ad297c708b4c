"""Sending a batch: the one place where a commit, a request and another commit follow each other.

Everywhere else one message is one transaction. Here that cannot be: the carrier has no idempotency key, so the attempt
is committed, then the request made, then its answer committed. Whatever stops the worker in between leaves a message
that was started and not answered. It is never simply sent again; `twilio_sync` looks it up in the carrier's log.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from libs.common import database
from libs.common.broadcasts import sending_numbers
from libs.common.carriers import Carrier
from libs.common.carriers.clock_records import Sharer
from libs.common.domain.cause import Cause
from libs.common.domain.commands import SendBatch
from libs.common.domain.quiet_hours import Window
from libs.common.domain.sending_numbers import CarrierName, SendingNumber
from libs.common.messaging import consumer
from libs.common.messaging.consumer import Delivered, Delivery
from libs.common.observability import spans, telemetry, tracing
from libs.common.rate_limits import concurrency, daily, rate, slots
from libs.common.rate_limits.rate import Limit
from libs.common.rate_limits.slots import Slot, Turn
from libs.common.runtime import tasks
from libs.common.runtime.worker import Worker
from libs.common.settings import BATCHES_IN_FLIGHT, CarrierSettings
from services.sender import batches
from services.sender.answer_recorder import AnswerRecorder
from services.sender.batches import Batch, StartedAttempt
from services.sender.labelling import Labelling

log = structlog.stdlib.get_logger(__name__)

SLOT_WAIT = 5.0  # seconds that a batch waits for a slot, at least
PERMIT_POLL = 0.02  # seconds between two tries while all permits are held
WITHOUT_KEYS = 60.0  # seconds that a number waits whose carrier this sender has no keys of
LATE = 0.25  # seconds, or one slot, after which a slot is lost: whoever waited together would start together


@dataclass(slots=True)
class _Run:
    """One worker's go at one batch."""

    batch: Batch
    number: SendingNumber
    #: Whom its messages go through.
    carrier: Carrier
    cause: Cause
    #: Monotonic time at which the batch starts nothing more.
    ends: float
    #: Claimed messages that have not started; some may have been taken out since.
    remaining: int
    #: Until when messages may leave for the places that it has messages for.
    windows: dict[str, Window]
    started: int = 0
    #: What each message is labelled with, by Missive's ids.
    labels: tuple[str, ...] = ()
    #: Set when the batch is somebody else's: nothing more may start.
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    requests: set[asyncio.Task[None]] = field(default_factory=set)


class Sender:
    """Sends batches, each through the carrier of its number."""

    def __init__(
        self, worker: Worker, settings: CarrierSettings, *carriers: Carrier, labelling: Labelling | None = None
    ) -> None:
        self._worker = worker
        self._settings = settings
        self._carriers = {carrier.name: carrier for carrier in carriers}
        self._clocks = {each.name: Sharer(worker.engine, each.name, each.meter) for each in carriers}
        self._answers = AnswerRecorder(worker, settings)
        self._labelling = labelling

    async def send_batch(self, message: SendBatch, delivery: Delivered) -> None:
        """Send one batch; a batch that is over, or that another worker has, is left alone."""
        taken = await self._take(message, delivery)
        if taken is None:
            log.info("batch_left_alone", batch=str(message.batch_id))
            return
        batch, number, carrier, remaining, windows = taken
        ends = time.monotonic() + self._settings.batch_seconds
        run = _Run(batch, number, carrier, delivery.cause, ends=ends, remaining=remaining, windows=windows)
        heartbeat = asyncio.create_task(self._keep(run))
        try:
            if self._labelling is not None and run.remaining and carrier.name == CarrierName.MISSIVE:
                run.labels = await self._labelling.ids(batch.label)
            await self._start_all(run)
            if run.requests:
                await asyncio.gather(*run.requests)
            async with database.transaction(self._worker.engine, delivery.cause) as connection:
                closed = await batches.close(connection, batch, started=run.started, now=self._worker.clock())
        finally:
            # A heartbeat that outlived this would keep everybody else from a batch that nobody works on.
            await tasks.cancel_and_wait([heartbeat])
            # Whatever stopped the batch, an answer that is under way is worth having.
            await asyncio.gather(*run.requests, return_exceptions=True)
        log.info("batch_sent" if closed else "batch_lost", broadcast_id=batch.broadcast_id, started=run.started)

    async def _take(
        self, message: SendBatch, delivery: Delivery
    ) -> tuple[Batch, SendingNumber, Carrier, int, dict[str, Window]] | None:
        """Take the batch and claim its messages.

        Return the batch, its number, whom it goes through, how many messages, and until when they may leave.
        """
        settings = self._settings
        now = self._worker.clock()
        async with database.transaction(self._worker.engine, delivery.cause) as connection:
            batch = await batches.take(
                connection, message.batch_id, lease=settings.lease, redelivered=delivery.redelivered, now=now
            )
            if batch is None:
                return None
            number = await sending_numbers.one(connection, batch.sending_number_id)
            await rate.prepare(connection, [limit.key for limit in rate.limits(settings, number)])
            carrier = self._carriers.get(number.carrier_or(settings.carrier))
            if carrier is None:
                # Nothing goes another way than it should: its messages wait until a sender has the keys.
                log.error("carrier_without_keys", sending_number_id=number.id, carrier=number.carrier)
                await rate.back_off(connection, rate.number_key(number.id), WITHOUT_KEYS)
                await batches.close(connection, batch, started=0, now=now)
                return None
            await rate.release(connection, rate.number_key(number.id))
            day = daily.today(number, now, settings.zone)
            if day is not None:
                await daily.prepare(connection, day)
            await concurrency.prepare(connection, carrier.name, settings.send_concurrency)
            size = settings.batch_messages_at(number.pace_or(settings.send_rate))
            held = await batches.claim(connection, batch, size=size, rules=settings.rules, now=now)
            return batch, number, carrier, held, await batches.windows(connection, batch, settings.rules, now)

    async def _keep(self, run: _Run) -> None:
        """Renew the lease for as long as this worker stirs, but not for longer than a batch can take.

        Whatever it may hang in then, another worker takes what it has not started; what it has is settled.
        """
        longest = run.ends + self._settings.request_timeout + self._settings.lease
        while time.monotonic() < longest:
            await asyncio.sleep(self._settings.lease / 4)
            try:
                async with database.transaction(self._worker.engine) as connection:
                    kept = await batches.renew(
                        connection, run.batch, lease=self._settings.lease, now=self._worker.clock()
                    )
            except consumer.TRANSIENT as error:
                log.warning("lease_not_renewed", error=type(error).__name__)
                continue
            if not kept:
                break
        run.lost.set()

    async def _start_all(self, run: _Run) -> None:
        """Start message after message, each in its slot, until none remains, time is up, or the batch must stop."""
        settings = self._settings
        rates = rate.limits(settings, run.number)
        allowances = [limit for limit in rates if limit.interval]
        spacing = max(limit.interval for limit in allowances)
        block = max(1, int(rate.BLOCK_SECONDS / spacing))
        # A slot further off than all batches in flight can wait for means that everybody is held back.
        longest = max(SLOT_WAIT, 2 * BATCHES_IN_FLIGHT * block * spacing)
        # No slot is taken that the batch has no message for: it would be lost to the others.
        while run.remaining and not self._must_stop(run):
            slot = await self._slot(run, rates, min(block, run.remaining), longest)
            if slot is None:
                return
            held = await self._permits(run, min(block, run.remaining))
            try:
                # Permits are the bottleneck then, and another slot is soon to be had.
                if held and time.monotonic() > min(slot.begins + max(LATE, spacing), slot.over()):
                    slot = await self._slot(run, rates, len(held), SLOT_WAIT)
                    if slot is None:
                        return
                # Others reckon with an attempt by when it began, so this comes before the wait for its commit.
                until = time.monotonic() + settings.lease
                starting = await self._start(run, len(held))
                if not starting:
                    return
                for limit in allowances:
                    telemetry.PACE_USED.labels(limit.key).inc(len(starting) * limit.share)
                for position, started in enumerate(starting):
                    turn = Turn(self._worker.engine, slot, position)
                    request = self._request(run, started, held.pop(), turn, after=position * spacing, until=until)
                    task = asyncio.create_task(request)
                    run.requests.add(task)
                    task.add_done_callback(run.requests.discard)
            finally:
                await concurrency.release(self._worker.engine, run.carrier.name, held)

    async def _slot(self, run: _Run, rates: list[Limit], count: int, longest: float) -> Slot | None:
        """Wait for `count` slots, not longer than `longest`; None if the batch must stop."""
        with tracing.span("wait for a slot", count=count) as span:
            within = max(0.0, min(longest, run.ends - time.monotonic()))
            slot = await slots.reserve(self._worker.engine, rates, count=count, within=within)
            if slot is None:
                span.set(outcome="held back")
                return None
            delay = max(0.0, slot.begins - time.monotonic())
            span.set(delay=delay)
            return None if await self._pause(run, delay) else slot

    async def _permits(self, run: _Run, want: int) -> list[int]:
        """Wait until requests may be made, and give up to `want` permits; none if the batch must stop.

        They come right before the attempt is committed: what has started must not wait for others to be answered.
        """
        settings = self._settings
        while not self._must_stop(run):
            held = await concurrency.acquire(
                self._worker.engine,
                run.carrier.name,
                count=settings.send_concurrency,
                want=want,
                seconds=settings.request_timeout + settings.lease,
            )
            if held:
                return held
            await self._pause(run, PERMIT_POLL)
        return []

    def _must_stop(self, run: _Run) -> bool:
        return run.lost.is_set() or self._worker.stopping.is_set() or time.monotonic() >= run.ends

    async def _pause(self, run: _Run, seconds: float) -> bool:
        """Wait for a slot; return whether the batch must stop instead."""
        waits = [asyncio.create_task(event.wait()) for event in (run.lost, self._worker.stopping)]
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self, run: _Run, count: int) -> list[StartedAttempt]:
        settings, engine, number = self._settings, self._worker.engine, run.number
        now = self._worker.clock()
        is_closed = not number.enabled or number.closed_until(now, settings.zone) is not None
        # What was claimed a moment before the quiet hours must not leave in them.
        open_ = [] if is_closed else [place for place, window in run.windows.items() if window.has_time(now)]
        day = daily.today(number, now, settings.zone) if open_ else None
        granted = count if day is None else await day.take(engine, count)
        if not granted or not open_:
            return []
        starting = await batches.start_alone(engine, run.cause, run.batch, count=granted, open_=open_, now=now)
        if day is not None:
            await day.give_back(engine, granted - len(starting))
        run.started += len(starting)
        run.remaining -= len(starting)
        return starting

    async def _request(
        self, run: _Run, started: StartedAttempt, permit: int, turn: Turn, *, after: float, until: float
    ) -> None:
        """Make the request of an attempt, `after` seconds from now and not past `until`, and record its answer."""
        attempt = started.attempt
        with tracing.span(
            "send message",
            broadcast_id=attempt.broadcast_id,
            batch_id=str(run.batch.id),
            outgoing_message_id=attempt.message_id,
            attempt=attempt.number,
            carrier=run.carrier.name,
        ) as span:
            await self._ask(run, started, permit, turn, span, after=after, until=until)

    async def _ask(
        self,
        run: _Run,
        started: StartedAttempt,
        permit: int,
        turn: Turn,
        span: spans.Span,
        *,
        after: float,
        until: float,
    ) -> None:
        held = [permit]
        window = run.windows[started.place]
        try:
            await asyncio.sleep(after)
            valid_for = window.valid_for(self._worker.clock())
            outcome = await run.carrier.send(
                to=started.attempt.to,
                from_number=run.number.sender(run.carrier.name),
                body=started.body,
                may_still_send=lambda: (
                    time.monotonic() < until and not turn.missed() and window.holds(self._worker.clock(), valid_for)
                ),
                ready=turn.ready,
                labels=run.labels,
                valid_for=valid_for,
            )
            # An answer for which others may have to wait is on record before the next request can have its permit.
            try:
                recorded = await self._answers.record(started, outcome, run.cause, held, carrier=run.carrier.name)
                span.set(outcome=recorded)
            except Exception:
                # The message stays started; it is settled like that of a worker that died.
                log.exception("answer_not_recorded", message_id=started.attempt.message_id)
                return
        finally:
            await concurrency.release(self._worker.engine, run.carrier.name, held)
        try:
            with suppress(*consumer.TRANSIENT):
                await self._clocks[run.carrier.name].share()
        except Exception:
            log.exception("clock_not_shared")
