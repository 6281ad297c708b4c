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
from libs.common.broadcasts import sending_numbers, single_attempts
from libs.common.broadcasts.single_attempts import Due, Started
from libs.common.carriers import Carrier
from libs.common.carriers.outcomes import Outcome
from libs.common.database import Connection
from libs.common.domain import number_places, quiet_hours
from libs.common.domain.quiet_hours import ALWAYS, Window
from libs.common.domain.sending_numbers import SendingNumber
from libs.common.domain.states import MessageState, SinglePurpose
from libs.common.messaging import consumer
from libs.common.rate_limits import concurrency, daily, rate, slots
from libs.common.rate_limits.slots import Turn
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.sender import answer_recorder
from services.sender.batch_sender import PERMIT_POLL

log = structlog.stdlib.get_logger(__name__)

LATER = timedelta(minutes=1)  # before it is looked again whether a number sends that nobody knows when it will
POLL = 1.0  # seconds between two looks at what is due
SLOT_WAIT = 60.0  # seconds that a message waits for a slot: broadcasts of the same number share them


class SingleSender:
    """Sends messages of no broadcast, each through the carrier of its number."""

    def __init__(self, settings: CarrierSettings, *carriers: Carrier) -> None:
        self._settings = settings
        self._carriers = {carrier.name: carrier for carrier in carriers}

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
            number = await sending_numbers.one(connection, message.sending_number_id)
            carrier = self._carriers.get(number.carrier_or(self._settings.carrier))
            again = await self._closed_until(connection, number, now)
            if again is not None or carrier is None:
                # It makes way for those of other numbers.
                await single_attempts.wait(connection, message, again or now + LATER, now)
                return True
            rates = rate.limits(self._settings, number)
            await rate.prepare(connection, [limit.key for limit in rates])
            await concurrency.prepare(connection, carrier.name, self._settings.send_concurrency)
            day = daily.today(number, now, self._settings.zone)
            if day is not None:
                await daily.prepare(connection, day)
        slot = await slots.reserve(worker.engine, rates, within=SLOT_WAIT)
        if slot is None:
            return False
        await asyncio.sleep(max(0.0, slot.begins - time.monotonic()))
        held = await self._permit(worker, carrier.name)
        try:
            sending = asyncio.create_task(self._send(worker, message, number, carrier, Turn(worker.engine, slot)))
            try:
                return await asyncio.shield(sending)
            finally:
                # What was started gets its answer before the process ends, however often that is told to end.
                while not sending.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([sending])
        finally:
            await concurrency.release(worker.engine, carrier.name, held)

    async def _closed_until(self, connection: Connection, number: SendingNumber, now: datetime) -> datetime | None:
        """Return when it is to be looked again whether a number sends; None where it does now."""
        if not number.enabled:
            return now + LATER
        closed = number.closed_until(now, self._settings.zone)
        return closed or await daily.used_up_until(connection, number, now, self._settings.zone)

    async def _permit(self, worker: Worker, carrier: str) -> list[int]:
        """Wait for a permit to make one request."""
        settings = self._settings
        while True:
            held = await concurrency.acquire(
                worker.engine,
                carrier,
                count=settings.send_concurrency,
                want=1,
                seconds=settings.request_timeout + settings.lease,
            )
            if held:
                return held
            await asyncio.sleep(PERMIT_POLL)

    async def _send(self, worker: Worker, message: Due, number: SendingNumber, carrier: Carrier, turn: Turn) -> bool:
        """Start an attempt, make its request and record the answer; False if the process is to end first."""
        if worker.stopping.is_set():
            return False
        until = time.monotonic() + self._settings.lease
        now = worker.clock()
        window = self._window(message, now)
        quiet_until = None if window.has_time(now) else window.opens
        day = daily.today(number, now, self._settings.zone)
        if day is not None and not await day.take(worker.engine, 1):
            return True  # somebody else has taken the day's last one: it is put off at the next look
        async with database.transaction(worker.engine) as connection:
            started = await single_attempts.start(connection, message, quiet_until=quiet_until, now=now)
        if started is None and day is not None:
            await day.give_back(worker.engine, 1)
        if started is None:
            return True
        valid_for = window.valid_for(worker.clock())
        outcome = await carrier.send(
            to=started.to_number,
            from_number=number.sender(carrier.name),
            body=started.body,
            may_still_send=lambda: (
                time.monotonic() < until and not turn.missed() and window.holds(worker.clock(), valid_for)
            ),
            ready=turn.ready,
            valid_for=valid_for,
        )
        await self._record(worker, started, outcome, carrier.name)
        return True

    def _window(self, message: Due, now: datetime) -> Window:
        """Return when a message may leave, by the clocks of whom it goes to.

        A test goes to colleagues at any hour, and who has just written a keyword is awake.

        Hours of regions are for what is sent to people unasked: an answer is none of that.
        """
        if message.purpose is not SinglePurpose.ANSWER:
            return ALWAYS
        place = number_places.with_zone(message.phone_number, message.time_zone)
        return quiet_hours.next_window(place, replace(self._settings.rules, regional=False), now)

    async def _record(self, worker: Worker, started: Started, outcome: Outcome, carrier: str) -> None:
        """Record an answer. One that is lost leaves the message started: it is looked up like a dead worker's."""

        async def record(known: Outcome) -> MessageState:
            async with database.transaction(worker.engine) as connection:
                return await single_attempts.record(
                    connection,
                    started,
                    known,
                    carrier=carrier,
                    max_attempts=self._settings.max_attempts,
                    look_after=self._settings.settle_after,
                    now=worker.clock(),
                )

        state = await answer_recorder.keep(record, outcome, single_id=started.id)
        if state is not None:
            log.info("single_message_answered", single_id=started.id, state=state)
