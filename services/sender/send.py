"""Sending a batch: the one place where a commit, a request and another commit follow each other.

Everywhere else one message is one transaction. Here that cannot be: the carrier has no idempotency key, so the attempt
is committed, then the request made, then its answer committed. Whatever stops the worker in between leaves a text that
was started and not answered. It is never simply sent again; `twilio_sync` looks it up in the carrier's log.
"""

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from libs.common import database, ending, messaging, pace, permits, telemetry, tracing, workdays
from libs.common.carriers import Carrier
from libs.common.carriers.outcomes import Deferred, Outcome, Unknown
from libs.common.commands import SendBatch
from libs.common.pace import Limit
from libs.common.settings import LANES, CarrierSettings
from libs.common.worker import Worker
from services.sender import answers, batches
from services.sender.batches import Batch, Started

log = structlog.stdlib.get_logger(__name__)

BLOCK_SECONDS = 0.1  # texts due within this share one statement and one reservation
SLOT_WAIT = 5.0  # seconds that a batch waits for a slot, at least
PERMIT_POLL = 0.02  # seconds between two tries while all permits are held
LATE = 0.25  # seconds, or one slot, after which a slot is lost: whoever waited together would start together
KEEP_ANSWER = 120.0  # seconds for which an answer is held while the database is away


def limits(settings: CarrierSettings, sending_number_id: int) -> list[Limit]:
    """Give all rates that a text from a number must keep: the number's, and the provider's windows."""
    return [pace.number_limit(sending_number_id, settings.send_rate), *pace.provider_limits(settings)]


@dataclass(slots=True)
class _Run:
    """One worker's go at one batch."""

    batch: Batch
    #: Monotonic time at which the batch starts nothing more.
    ends: float
    #: Claimed texts that have not started; some may have been taken out since.
    left: int
    started: int = 0
    #: Set when the batch is somebody else's: nothing more may start.
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    requests: set[asyncio.Task[None]] = field(default_factory=set)


class Sender:
    """Sends batches with one carrier."""

    def __init__(self, worker: Worker, settings: CarrierSettings, carrier: Carrier) -> None:
        self._worker = worker
        self._settings = settings
        self._carrier = carrier
        self._block = max(1, int(settings.send_rate * BLOCK_SECONDS))

    async def send_batch(self, message: SendBatch) -> None:
        """Send one batch; a batch that is over, or that another worker has, is left alone."""
        taken = await self._take(message)
        if taken is None:
            log.info("batch_left_alone", batch=str(message.batch_id))
            return
        batch, left = taken
        run = _Run(batch, ends=time.monotonic() + self._settings.batch_seconds, left=left)
        heartbeat = asyncio.create_task(self._keep(run))
        try:
            await self._start_all(run)
            if run.requests:
                await asyncio.gather(*run.requests)
            async with database.transaction(self._worker.pool) as connection:
                closed = await batches.close(connection, batch, started=run.started, now=self._worker.clock())
        finally:
            # A heartbeat that outlived this would keep everybody else from a batch that nobody works on.
            await ending.end([heartbeat])
            # Whatever stopped the batch, an answer that is under way is worth having.
            await asyncio.gather(*run.requests, return_exceptions=True)
        log.info("batch_sent" if closed else "batch_lost", broadcast_id=batch.broadcast_id, started=run.started)

    async def _take(self, message: SendBatch) -> tuple[Batch, int] | None:
        """Take the batch and claim its texts; give both, the texts as their number."""
        settings = self._settings
        now = self._worker.clock()
        async with database.transaction(self._worker.pool) as connection:
            batch = await batches.take(
                connection, message.batch_id, lease=settings.lease, redelivered=messaging.redelivered(), now=now
            )
            if batch is None:
                return None
            await pace.prepare(connection, [limit.key for limit in limits(settings, batch.sending_number_id)])
            await permits.prepare(connection, settings.carrier, settings.send_concurrency)
            return batch, await batches.claim(connection, batch, size=settings.batch_texts, now=now)

    async def _keep(self, run: _Run) -> None:
        """Renew the lease for as long as this worker stirs, but not for longer than a batch can take.

        Whatever it may hang in then, another worker takes what it has not started; what it has is settled.
        """
        longest = run.ends + self._settings.request_timeout + self._settings.lease
        while time.monotonic() < longest:
            await asyncio.sleep(self._settings.lease / 4)
            try:
                async with database.transaction(self._worker.pool) as connection:
                    kept = await batches.renew(
                        connection, run.batch, lease=self._settings.lease, now=self._worker.clock()
                    )
            except messaging.TRANSIENT as error:
                log.warning("lease_not_renewed", error=type(error).__name__)
                continue
            if not kept:
                break
        run.lost.set()

    async def _start_all(self, run: _Run) -> None:
        """Start text after text, each in its slot, until none is left, time is up, or the batch must stop."""
        settings = self._settings
        rates = limits(settings, run.batch.sending_number_id)
        allowances = [limit for limit in rates if limit.interval]
        spacing = max(limit.interval for limit in allowances)
        # A slot further off than all lanes can be waiting for means that everybody is held back.
        longest = max(SLOT_WAIT, 2 * LANES * self._block * spacing)
        # No slot is taken that the batch has no text for: it would be lost to the others.
        while run.left and not self._must_stop(run):
            count = min(self._block, run.left)
            if not await self._slot(run, rates, count, longest):
                return
            due = time.monotonic()
            held = await self._permits(run, count)
            try:
                # Permits are the bottleneck then, and another slot is soon to be had.
                is_late = held and time.monotonic() > due + max(LATE, spacing)
                if is_late and not await self._slot(run, rates, len(held), SLOT_WAIT):
                    return
                # Others reckon with an attempt by when it began, so this comes before the wait for its commit.
                until = time.monotonic() + settings.lease
                starting = await self._start(run, len(held))
                if not starting:
                    return
                for limit in allowances:
                    telemetry.PACE_USED.labels(limit.key).inc(len(starting) * limit.interval * pace.UTILISATION)
                for position, started in enumerate(starting):
                    request = self._request(run, started, held.pop(), after=position * spacing, until=until)
                    task = asyncio.create_task(request)
                    run.requests.add(task)
                    task.add_done_callback(run.requests.discard)
            finally:
                await permits.give_back(self._worker.pool, settings.carrier, held)

    async def _slot(self, run: _Run, rates: list[Limit], count: int, longest: float) -> bool:
        """Wait for `count` slots, not longer than `longest`; False if the batch must stop."""
        with tracing.span("wait for a slot", count=count) as span:
            async with self._worker.pool.connection() as connection:
                within = max(0.0, min(longest, run.ends - time.monotonic()))
                delay = await pace.reserve(connection, rates, count=count, within=within)
            if delay is None:
                span.set(outcome="held back")
                return False
            span.set(delay=delay)
            return not await self._pause(run, delay)

    async def _permits(self, run: _Run, want: int) -> list[int]:
        """Wait until requests may be made, and give up to `want` permits; none if the batch must stop.

        They come right before the attempt is committed: what has started must not wait for others to be answered.
        """
        settings = self._settings
        while not self._must_stop(run):
            held = await permits.take(
                self._worker.pool,
                settings.carrier,
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
        """Wait for a slot; tell whether the batch must stop instead."""
        waits = [asyncio.create_task(event.wait()) for event in (run.lost, self._worker.stopping)]
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()

    async def _start(self, run: _Run, count: int) -> list[Started]:
        now = self._worker.clock()
        quiet = workdays.quiet_until(now, self._settings.quiet, self._settings.zone) is not None
        async with database.transaction(self._worker.pool) as connection:
            starting = await batches.start(connection, run.batch, count=count, quiet=quiet, now=now)
        run.started += len(starting)
        run.left -= len(starting)
        return starting

    async def _request(self, run: _Run, started: Started, permit: int, *, after: float, until: float) -> None:
        """Make the request of an attempt, `after` seconds from now and not past `until`, and record its answer."""
        attempt = started.attempt
        with tracing.span(
            "send text",
            broadcast_id=attempt.broadcast_id,
            batch_id=str(run.batch.id),
            text_id=attempt.text,
            attempt=attempt.number,
            carrier=self._settings.carrier,
        ) as span:
            await self._ask(run, started, permit, span, after=after, until=until)

    async def _ask(
        self, run: _Run, started: Started, permit: int, span: tracing.Span, *, after: float, until: float
    ) -> None:
        try:
            await asyncio.sleep(after)
            outcome = await self._carrier.send(
                to=started.attempt.to,
                from_number=run.batch.from_number,
                body=run.batch.body,
                may_still_send=lambda: time.monotonic() < until,
            )
        finally:
            await permits.give_back(self._worker.pool, self._settings.carrier, [permit])
        try:
            span.set(outcome=await self._record(started, outcome))
        except Exception:
            # The text stays started; it is settled like that of a worker that died.
            log.exception("answer_not_recorded", text=started.attempt.text)

    async def _record(self, started: Started, outcome: Outcome) -> str:
        """Record an answer, trying again while the database is away: an answer is worth keeping. Gives its name."""
        give_up = time.monotonic() + KEEP_ANSWER
        wait = 0.05
        while True:
            try:
                async with database.transaction(self._worker.pool) as connection:
                    what = await answers.record(
                        connection,
                        started,
                        outcome,
                        carrier=self._settings.carrier,
                        max_attempts=self._settings.max_attempts,
                        now=self._worker.clock(),
                    )
            except messaging.TRANSIENT as error:
                if time.monotonic() > give_up:
                    log.error("answer_lost", text=started.attempt.text, error=type(error).__name__)  # noqa: TRY400
                    return "lost"
                await asyncio.sleep(wait)
                wait = min(2.0, wait * 2)
            else:
                telemetry.TEXTS.labels(what.outcome).inc()
                if isinstance(outcome, Deferred | Unknown):
                    log.warning("text_not_taken", text=started.attempt.text, outcome=what.outcome, why=outcome.reason)
                return what.outcome
