"""Settling: find out from the carrier's log what became of messages whose answer was lost.

A look-up reads the newest page of the account's whole log. A message that is in it was accepted, and its sid is known.
The others are looked up by their number, once that page proves that the log has got past them
(`libs/common/carriers/log_evidence.py`). They count as not found only if the page proves it again afterwards. Then they
were never sent, and go back to the pool, or are given up after three times the attempts of any message. An attempt
counts only if the carrier has taken another message since it began; if the carrier took none, the message is not to
blame.

Without a proof a message stays uncertain, and the page is read again after a while. There is one chain of look-ups for
each broadcast (`scheduling.plan_settling`). It ends with the broadcast: what is uncertain then stays so in its ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import (
    delivery_status,
    messages,
    repository,
    restore_hold,
    scheduling,
    sending_numbers,
    single_log,
)
from libs.common.carriers import message_log
from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.log_evidence import arrives_within, may_be
from libs.common.carriers.log_matching import match
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.database import Connection
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.commands import SettleUncertain
from libs.common.domain.states import BroadcastState, MessageState, SkipReason
from libs.common.eventstore import store
from libs.common.messaging.consumer import Delivered
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import newest, queries
from services.twilio_sync.log_findings import to_number, verdict
from services.twilio_sync.newest import Newest
from services.twilio_sync.queries import SyncedBroadcast, UncertainMessage
from services.twilio_sync.status_sync import leave_alone, may_ask, status

log = structlog.stdlib.get_logger(__name__)

#: Lost answers before a message is given up, as a multiple of the attempts: nobody has refused it.
MORE = 3
AT_ONCE = 50  # messages that one look asks for by number
KNOWN_AT_ONCE = 1000  # messages that one look knows of
#: How long after the making lost answers may be an outage's; later they are the message's own, so that a broadcast
#: ends.
OUTAGE = timedelta(hours=24)
#: Seconds between two looks at least; a share of how old the newest is that waits for proof; `sync_interval` at most.
LEAST_WAIT = 5.0
SHARE_OF_AGE = 1 / 8
#: What is wrong with the entries to one number, and says nothing of the others.
OF_ONE_NUMBER = ("no_bodies", "unreadable_entry")


@dataclass(slots=True, kw_only=True)
class _Look:
    """One look at what is uncertain of a broadcast."""

    #: Its place in the chain of looks.
    number: int
    broadcast: SyncedBroadcast
    cause: Cause
    #: Messages that began before this are old enough.
    before: datetime
    found: int = 0
    not_found: int = 0
    unreadable: CarrierUnreadable | None = None
    #: Whether there is more that can be looked up at once.
    is_cut_short: bool = False


class Settle:
    """Settles uncertain messages."""

    def __init__(self, worker: Worker, settings: CarrierSettings, twilio: Twilio) -> None:
        self._worker = worker
        self._settings = settings
        self._twilio = twilio
        self._within = arrives_within(settings)

    async def settle_uncertain(self, message: SettleUncertain, delivery: Delivered) -> None:
        """Look up the uncertain messages of a broadcast that are old enough, and plan the next look."""
        now = self._worker.clock()
        async with database.transaction(self._worker.engine) as connection:
            if await restore_hold.held(connection):
                return  # what was sent after the point of a restore is not known yet; the watchdog asks again
            number = await scheduling.take_settling(connection, message.broadcast_id, message.number, self._until())
            if number is None:
                log.info("settling_left_alone", broadcast_id=message.broadcast_id)
                return
            broadcast = await queries.broadcast(connection, message.broadcast_id)
            self._twilio.services = await sending_numbers.services(connection)
            before = now - timedelta(seconds=self._settings.settle_after)
            uncertain = await queries.uncertain(connection, broadcast.id, before=before, limit=KNOWN_AT_ONCE)
        look = _Look(number=number, broadcast=broadcast, cause=delivery.cause, before=before)
        if uncertain and broadcast.completed_at is None:
            try:
                await self._look_up(look, uncertain)
            except CarrierUnreadable as error:
                log.warning("log_unreadable", broadcast_id=message.broadcast_id, code=error.code)
                look.unreadable = error
        await self._finish(look)

    async def _look_up(self, look: _Look, uncertain: Sequence[UncertainMessage]) -> None:
        """Settle what can be settled. Raise CarrierUnreadable."""
        page = await self._newest(uncertain[0].attempt_started_at)
        unresolved = []
        for message in uncertain:
            shown = to_number(page.entries, message)
            if not (shown and await self._settle(look, message, shown, page.offset, proven=False)):
                unresolved.append(message)
        proven = [
            message
            for message in unresolved
            if page.proves(message.attempt_started_at, self._within, self._worker.clock())
        ]
        # Another one is the first in each look: who cannot be settled must not keep the others.
        start = look.number % len(proven) if proven else 0
        turn = (proven[start:] + proven[:start])[:AT_ONCE]
        look.is_cut_short = len(turn) < len(proven)
        missing: list[tuple[UncertainMessage, list[LogEntry]]] = []
        for message in turn:
            if not await self._keep(look):
                return
            try:
                entries = await self._log(message, page.offset)
            except CarrierUnreadable as error:
                if error.code not in OF_ONE_NUMBER:
                    raise
                log.warning(
                    "log_unreadable", broadcast_id=look.broadcast.id, code=error.code, message_id=message.message_id
                )
            else:
                if not await self._settle(look, message, entries, page.offset, proven=False):
                    missing.append((message, entries))
        if not missing:
            return
        # Asked before and after: a log that falls behind in between is not believed either.
        again = await self._newest(uncertain[0].attempt_started_at)
        for message, entries in missing:
            known = {entry.sid: entry for entry in (*entries, *to_number(again.entries, message))}
            proves = again.proves(message.attempt_started_at, self._within, self._worker.clock())
            await self._settle(look, message, list(known.values()), again.offset, proven=proves)

    async def _newest(self, since: datetime) -> Newest:
        return await newest.read(self._worker, self._twilio, since)

    async def _log(self, message: UncertainMessage, offset: Offset | None) -> list[LogEntry]:
        """Read all that the log has on messages to one number since its attempt began. Raise CarrierUnreadable."""
        await may_ask(self._worker.engine)
        since = (offset or SAME).log_time_from(message.attempt_started_at)
        entries = await message_log.read_between(
            self._twilio, since, from_number=message.from_number, to=message.number
        )
        if any(not entry.body and not entry.direction.startswith("inbound") for entry in entries):
            # One without words might be this message: "not found" cannot be concluded.
            raise CarrierUnreadable("the log keeps no bodies", code="no_bodies")
        return entries

    async def _settle(
        self,
        look: _Look,
        message: UncertainMessage,
        entries: Sequence[LogEntry],
        offset: Offset | None,
        *,
        proven: bool,
    ) -> bool:
        """Record what the log says of one message; False if it says nothing, and the message is still uncertain.

        `proven` says that the log has got past it: then one that is not there was never sent.
        """
        try:
            async with database.transaction(self._worker.engine, look.cause) as connection:
                found = await self._record(connection, look.broadcast, message, entries, offset or SAME, proven=proven)
        except database.NotUnique:  # somebody else has just found that an entry is another message's
            return False
        look.found += found is True
        look.not_found += found is False
        return found is not None

    async def _record(
        self,
        connection: Connection,
        about: SyncedBroadcast,
        message: UncertainMessage,
        entries: Sequence[LogEntry],
        offset: Offset,
        *,
        proven: bool,
    ) -> bool | None:
        """Record that a message was found, or, if that is proven, that it was not; None if neither is so."""
        now = self._worker.clock()
        broadcast = await repository.load(connection, about.id)
        sids = [entry.sid for entry in entries]
        taken = {*await queries.lock_known(connection, sids), *await single_log.known_sids(connection, sids)}
        free = [entry for entry in entries if entry.sid not in taken and not entry.direction.startswith("inbound")]
        unmatched = await queries.lock_open(connection, [message.from_number], [message.number])
        found = unmatched.get(message.message_id)
        # What was read is about the attempt that it was read for, not of a newer one.
        if found is None or found.state is not MessageState.UNCERTAIN or found.attempts != message.attempts:
            return None
        # An entry may be that of a message of no broadcast, with the same words to the same number.
        rivals = await single_log.candidates(connection, message.from_number, [message.number])
        open_ones = [*(each.candidate for each in unmatched.values()), *rivals]
        entry = match(free, open_ones, offset).get(message.message_id)
        if entry is None and (not proven or any(may_be(item, found.candidate, self._within, offset) for item in free)):
            return None
        assert about.made_at is not None  # a message of it was sent
        counts = entry is None and (
            now > about.made_at + OUTAGE
            or await queries.taken_since(connection, broadcast.id, found.attempt_started_at)
        )
        give_up_after = MORE * self._settings.max_attempts
        event = verdict(found, entry, now, counts=counts, give_up_after=give_up_after)
        await repository.append_events(connection, store.stream(broadcast.id, "messages"), [event], now)
        if entry is not None:
            # Times and codes, too: a pass would take a status that is known already for no news.
            synced = e.StatusesSynced(
                broadcast_id=broadcast.id, statuses=(status(message.message_id, entry),), number=None
            )
            await delivery_status.record(connection, synced, now)
        phase = BroadcastState.SENDING_SECOND if found.is_second else BroadcastState.SENDING_FIRST
        if isinstance(event, e.MessageReturned) and phase not in (broadcast.state, broadcast.paused_from):
            is_cancelled = broadcast.state == BroadcastState.CANCELLED
            reason = SkipReason.CANCELLED if is_cancelled else SkipReason.PHASE_OVER
            await messages.skip(connection, broadcast.id, [message.message_id], reason, now)
        return entry is not None

    def _until(self) -> datetime:
        """Return until when nobody else is to make this look: a request may take its time."""
        return self._worker.clock() + timedelta(seconds=2 * self._settings.request_timeout + LEAST_WAIT)

    async def _keep(self, look: _Look) -> bool:
        """Be left alone for longer; False if somebody else has this look now."""
        async with database.transaction(self._worker.engine) as connection:
            return await scheduling.keep_settling(connection, look.broadcast.id, look.number, self._until())

    async def _finish(self, look: _Look) -> None:
        """Publish the result for the planner, and plan the next look."""
        broadcast_id = look.broadcast.id
        now = self._worker.clock()
        async with database.transaction(self._worker.engine, look.cause) as connection:
            if look.unreadable is not None:
                await leave_alone(connection, look.unreadable)
            if look.found or look.not_found:
                event = e.UncertainSettled(broadcast_id=broadcast_id, found=look.found, not_found=look.not_found)
                await repository.append_events(
                    connection, store.stream(broadcast_id, "messages"), [event], now, publish=True
                )
            # Locked first: what becomes uncertain from here on plans its look itself.
            if await scheduling.keep_settling(connection, broadcast_id, look.number, now):
                due = await self._next(connection, look, now)
                await scheduling.end_settling(connection, broadcast_id, look.number, due, now)
        if look.found or look.not_found:
            log.info("uncertain_settled", broadcast_id=broadcast_id, found=look.found, not_found=look.not_found)

    async def _next(self, connection: Connection, look: _Look, now: datetime) -> datetime | None:
        """Return when the next look is due; None if nothing remains to look up."""
        if look.broadcast.completed_at is not None:
            return None
        remaining = await queries.left_uncertain(connection, look.broadcast.id, before=look.before)
        interval = self._settings.sync_interval
        dues = []
        if remaining.young is not None:
            dues.append(remaining.young + timedelta(seconds=self._settings.settle_after))
        if remaining.old is not None:
            age = (now - remaining.old).total_seconds()
            wait = 0.0 if look.is_cut_short else min(interval, SHARE_OF_AGE * age)
            dues.append(now + timedelta(seconds=wait))
        least = min(LEAST_WAIT, interval)
        if look.unreadable is not None:
            least = max(interval, look.unreadable.retry_after or 0.0)
        return max(min(dues), now + timedelta(seconds=least)) if dues else None
