"""Finds out from the carrier's log what became of messages that are of no broadcast.

One that got no answer is looked for like any other (`settling.py`): found, it was accepted; where the log proves that
it was never sent, it has failed, and whoever asked for it may ask again. Nothing sends it again by itself. Of one that
was accepted the log says whether it was delivered, where no delivery report does.
"""

import asyncio
from collections.abc import Sequence

import structlog

from libs.common import database
from libs.common.broadcasts import restore_hold, sending_numbers, single_log
from libs.common.broadcasts.single_log import Tracked
from libs.common.carriers import message_log
from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.log_evidence import arrives_within, may_be
from libs.common.carriers.log_matching import match
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.database import Connection
from libs.common.domain.states import MessageState
from libs.common.messaging import consumer
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import newest, queries
from services.twilio_sync.newest import Newest
from services.twilio_sync.status_sync import leave_alone, may_ask

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 50  # messages that one look is for


class SettleSingles:
    """Looks for messages of no broadcast in the carrier's log."""

    def __init__(self, settings: CarrierSettings, twilio: Twilio) -> None:
        self._settings = settings
        self._twilio = twilio
        self._within = arrives_within(settings)

    async def run(self, worker: Worker) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.watchdog_interval)
            try:
                await self.look(worker)
            except consumer.TRANSIENT as error:
                log.warning("single_messages_wait", error=type(error).__name__)

    async def look(self, worker: Worker) -> None:
        """Look for the messages that are due."""
        now = worker.clock()
        async with database.transaction(worker.engine) as connection:
            if await restore_hold.held(connection):
                return  # what was sent after the point of a restore is not known yet
            tracked = await single_log.to_look_for(connection, now, AT_ONCE)
            await single_log.look_later(connection, tracked, now)
            self._twilio.services = await sending_numbers.services(connection)
        if not tracked:
            return
        since = min(message.attempt_started_at for message in tracked)
        try:
            page = await newest.read(worker, self._twilio, since)
            missing = [message for message in tracked if not await self._find(worker, message, page, page.entries)]
            for message in missing:
                if page.proves(message.attempt_started_at, self._within, worker.clock()):
                    await self._look_closer(worker, message, page)
        except CarrierUnreadable as error:
            log.warning("log_unreadable", code=error.code)
            async with database.transaction(worker.engine) as connection:
                await leave_alone(connection, error)

    async def _look_closer(self, worker: Worker, message: Tracked, page: Newest) -> None:
        """Read all that there is to the message's number; if it is not there, ask whether the log is believed still."""
        if message.phone_number is None:
            return
        await may_ask(worker.engine)
        since = (page.offset or SAME).log_time_from(message.attempt_started_at)
        entries = await message_log.read_between(
            self._twilio, since, from_number=message.from_number, to=message.phone_number
        )
        if await self._find(worker, message, page, entries) or message.state is not MessageState.UNCERTAIN:
            return
        again = await newest.read(worker, self._twilio, message.attempt_started_at)
        if again.proves(message.attempt_started_at, self._within, worker.clock()):
            known = {entry.sid: entry for entry in (*entries, *again.entries)}
            await self._give_up(worker, message, list(known.values()), again.offset or SAME)

    async def _find(self, worker: Worker, message: Tracked, page: Newest, entries: Sequence[LogEntry]) -> bool:
        """Record what the entries say of a message; False if it is in none."""
        try:
            async with database.transaction(worker.engine) as connection:
                held = await single_log.lock(connection, message.id)
                if held is None or held.number != message.number:
                    return True  # somebody else is at it
                entry = await _entry(connection, held, entries, page.offset or SAME)
                if entry is None:
                    return False
                await single_log.learn(
                    connection,
                    held,
                    sid=entry.sid,
                    status=entry.status,
                    code=entry.error_code,
                    sent_at=entry.sent_at,
                    now=worker.clock(),
                )
        except database.NotUnique:  # somebody else has just found that the entry is another message's
            return False
        return True

    async def _give_up(self, worker: Worker, message: Tracked, entries: Sequence[LogEntry], offset: Offset) -> None:
        """Record that a message was never sent, unless an entry may be it after all."""
        async with database.transaction(worker.engine) as connection:
            held = await single_log.lock(connection, message.id)
            if held is None or held.state is not MessageState.UNCERTAIN or held.number != message.number:
                return
            candidate = held.candidate
            free = await _free(connection, held, entries)
            silent = any(entry.to == held.phone_number and not entry.body for entry in free)
            if candidate is None or silent or any(may_be(each, candidate, self._within, offset) for each in free):
                return
            await single_log.never_sent(connection, held, worker.clock())


async def _entry(
    connection: Connection, message: Tracked, entries: Sequence[LogEntry], offset: Offset
) -> LogEntry | None:
    """Return the entry of a message: by its sid where that is known, else by number, words and time."""
    if message.twilio_id is not None:
        return next((entry for entry in entries if entry.sid == message.twilio_id), None)
    if message.phone_number is None:
        return None
    # All that an entry to that number may be is compared: the other messages like it, and those of broadcasts.
    open_ones = await queries.lock_open(connection, [message.from_number], [message.phone_number])
    singles = await single_log.candidates(connection, message.from_number, [message.phone_number])
    found = match(
        await _free(connection, message, entries), [*(each.candidate for each in open_ones.values()), *singles], offset
    )
    return found.get(-message.id)


async def _free(connection: Connection, message: Tracked, entries: Sequence[LogEntry]) -> list[LogEntry]:
    """Return the entries that may be a message's, and are not known to be another's."""
    ours = [
        entry
        for entry in entries
        if entry.from_number == message.from_number and not entry.direction.startswith("inbound")
    ]
    sids = [entry.sid for entry in ours]
    taken = {*await queries.lock_known(connection, sids), *await single_log.known_sids(connection, sids)}
    return [entry for entry in ours if entry.sid not in taken]
