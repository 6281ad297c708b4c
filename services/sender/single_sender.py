"""Sends messages that are of no broadcast, one by one: in their slot, with a permit, once.

As in `batch_sender.py` a commit, a request and another commit follow each other, for the same reason. What is due is
looked for again and again: whoever asks for a message needs no broker, and whatever is lost comes again.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import single_attempts
from libs.common.broadcasts.single_attempts import Due, Started
from libs.common.carriers import Carrier
from libs.common.carriers.outcomes import Outcome
from libs.common.domain import number_places, quiet_hours
from libs.common.domain.quiet_hours import ALWAYS, Window
from libs.common.domain.states import MessageState, SinglePurpose
from libs.common.messaging import consumer
from libs.common.rate_limits import concurrency, rate, slots
from libs.common.rate_limits.slots import Turn
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.sender import answer_recorder
from services.sender.batch_sender import PERMIT_POLL

log = structlog.stdlib.get_logger(__name__)

POLL = 1.0  # seconds between two looks at what is due
SLOT_WAIT = 60.0  # seconds that a message waits for a slot: broadcasts of the same number share them


class SingleSender:
    """Sends messages of no broadcast with one carrier."""

    def __init__(self, settings: CarrierSettings, carrier: Carrier) -> None:
        self._settings = settings
        self._carrier = carrier

    async def run(self, worker: Worker) -> None:
        """Send what is due again and again, until cancelled."""
        while not worker.stopping.is_set():
            try:
                while await self.send_next(worker):
                    pass
            except consumer.TRANSIENT as error:
                log.warning("single_messages_wait", error=type(error).__name__)
            await asyncio.sleep(POLL)

    async def send_next(self, worker: Worker) -> bool:
        """Send the message that is due longest; False if none is, or nothing may be sent now."""
        now = worker.clock()
        # An answer is awaited for `request_timeout` by a worker that may have been stopped for `lease`.
        patience = timedelta(seconds=self._settings.request_timeout + self._settings.lease)
        async with database.transaction(worker.engine) as connection:
            await single_attempts.give_up_waiting(connection, now - patience, now)
            message = await single_attempts.due(connection, now)
            if message is None:
                return False
            rates = rate.limits(self._settings, message.sending_number_id)
            await rate.prepare(connection, [limit.key for limit in rates])
            await concurrency.prepare(connection, self._settings.carrier, self._settings.send_concurrency)
        slot = await slots.reserve(worker.engine, rates, within=SLOT_WAIT)
        if slot is None:
            return False
        await asyncio.sleep(max(0.0, slot.begins - time.monotonic()))
        held = await self._permit(worker)
        try:
            sending = asyncio.create_task(self._send(worker, message, Turn(worker.engine, slot)))
            try:
                return await asyncio.shield(sending)
            finally:
                # What was started gets its answer before the process ends, however often that is told to end.
                while not sending.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([sending])
        finally:
            await concurrency.release(worker.engine, self._settings.carrier, held)

    async def _permit(self, worker: Worker) -> list[int]:
        """Wait for a permit to make one request."""
        settings = self._settings
        while True:
            held = await concurrency.acquire(
                worker.engine,
                settings.carrier,
                count=settings.send_concurrency,
                want=1,
                seconds=settings.request_timeout + settings.lease,
            )
            if held:
                return held
            await asyncio.sleep(PERMIT_POLL)

    async def _send(self, worker: Worker, message: Due, turn: Turn) -> bool:
        """Start an attempt, make its request and record the answer; False if the process is to end first."""
        if worker.stopping.is_set():
            return False
        until = time.monotonic() + self._settings.lease
        now = worker.clock()
        window = self._window(message, now)
        quiet_until = None if window.has_time(now) else window.opens
        async with database.transaction(worker.engine) as connection:
            started = await single_attempts.start(connection, message, quiet_until=quiet_until, now=now)
        if started is None:
            return True
        valid_for = window.valid_for(worker.clock())
        outcome = await self._carrier.send(
            to=started.to_number,
            from_number=started.from_number,
            body=started.body,
            may_still_send=lambda: (
                time.monotonic() < until and not turn.missed() and window.holds(worker.clock(), valid_for)
            ),
            ready=turn.ready,
            valid_for=valid_for,
        )
        await self._record(worker, started, outcome)
        return True

    def _window(self, message: Due, now: datetime) -> Window:
        """Return when a message may leave, by the clocks of whom it goes to. A test goes to colleagues, at any hour.

        Hours of regions are for what is sent to people unasked: an answer is none of that.
        """
        if message.purpose is SinglePurpose.TEST:
            return ALWAYS
        place = number_places.with_zone(message.phone_number, message.time_zone)
        return quiet_hours.next_window(place, replace(self._settings.rules, regional=False), now)

    async def _record(self, worker: Worker, started: Started, outcome: Outcome) -> None:
        """Record an answer. One that is lost leaves the message started: it is looked up like a dead worker's."""

        async def record(known: Outcome) -> MessageState:
            async with database.transaction(worker.engine) as connection:
                return await single_attempts.record(
                    connection,
                    started,
                    known,
                    carrier=self._settings.carrier,
                    max_attempts=self._settings.max_attempts,
                    look_after=self._settings.settle_after,
                    now=worker.clock(),
                )

        state = await answer_recorder.keep(record, outcome, single_id=started.id)
        if state is not None:
            log.info("single_message_answered", single_id=started.id, state=state)
