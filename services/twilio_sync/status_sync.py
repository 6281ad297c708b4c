"""One pass over the carrier's log: one page is read, matched and recorded.

A page is read outside any transaction. It is recorded in one transaction, which also moves the place in the log: a pass
that dies is made again from the same place. Pages may shift while they are read. An entry that is seen twice changes
nothing, because a status never goes backwards. An entry that was missed is seen by a later pass, because passes go on
while a message is unsettled.

While messages are being sent, a pass reads only the newest page and does not move the place. It is there to notice
failures early (`delivery_status.py`), and its work does not grow with the broadcast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import delivery_status, handover, repository, restore_hold, sending_numbers, single_log
from libs.common.carriers import clock_records, statuses
from libs.common.carriers.clocks import SAME, Offset
from libs.common.carriers.errors import CarrierUnreadable, UntrustedPage
from libs.common.carriers.log_matching import match
from libs.common.carriers.missive import Missive
from libs.common.carriers.twilio import LogEntry, LogPage, Twilio
from libs.common.database import Connection, Engine
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.commands import SyncStatuses
from libs.common.domain.states import DeliveryStatus, MessageState
from libs.common.messaging import outbox
from libs.common.messaging.consumer import Delivered
from libs.common.rate_limits import rate
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import queries
from services.twilio_sync.handover import Asker, MissiveReport
from services.twilio_sync.queries import SyncedBroadcast

log = structlog.stdlib.get_logger(__name__)

#: The key of `pace` under which whoever reads the log is held back.
LOG = "twilio:log"


class Sync:
    """Reads the carrier's log for broadcasts."""

    def __init__(self, worker: Worker, settings: CarrierSettings, twilio: Twilio, missive: Missive | None) -> None:
        self._worker = worker
        self._settings = settings
        self._twilio = twilio
        self._missive = missive

    async def sync_statuses(self, message: SyncStatuses, delivery: Delivered) -> None:
        """Make one pass; one that is over already does nothing."""
        async with database.transaction(self._worker.engine) as connection:
            broadcast = await queries.broadcast(connection, message.broadcast_id)
            held = await restore_hold.held(connection)
            offset = await self._offset(connection, broadcast)
            self._twilio.services = await sending_numbers.services(connection)
        # What was sent after the point of a restore is not known yet: its entries would be taken for others'.
        if held or not _is_wanted(broadcast, message):
            return
        newest_only = message.number is not None and broadcast.sync_started_at is None
        try:
            await may_ask(self._worker.engine)
            page = await self._page(broadcast, offset, message.number or 0, newest_only=newest_only)
        except CarrierUnreadable as error:
            await self._again(message, error, delivery.cause)
            return
        reported = await self._ask_missive(broadcast, page, offset, newest_only=newest_only)
        now = self._worker.clock()
        async with database.transaction(self._worker.engine, delivery.cause) as connection:
            await repository.lock(connection, message.broadcast_id)
            if not _is_wanted(await queries.broadcast(connection, message.broadcast_id), message):
                return
            await clock_records.share(connection, "twilio", self._twilio.meter, now)
            if self._missive is not None:
                await clock_records.share(connection, "missive", self._missive.meter, now)
            offset = await self._offset(connection, broadcast)
            entries = [*page.entries, *reported.entries]
            changes = await changed(connection, message.broadcast_id, broadcast.phone_numbers, entries, offset)
            changes += await _named(connection, reported.sids, changes)
            event = e.StatusesSynced(
                broadcast_id=message.broadcast_id,
                statuses=tuple(changes),
                number=None if newest_only else message.number or 0,
                next_page=None if newest_only else page.next_page_uri,
            )
            await delivery_status.record(connection, event, now, publish=True)
            missing = reported.not_handed_over(await _messages_of(connection, reported.entries))
            await handover.give_up(connection, message.broadcast_id, missing, now)
            if message.number is not None:
                await queries.end_pass(connection, message.broadcast_id)
        log.info(
            "statuses_synced",
            broadcast_id=message.broadcast_id,
            entries=len(page.entries),
            changed=len(changes),
            unreadable=page.unreadable,
        )

    async def _offset(self, connection: Connection, broadcast: SyncedBroadcast) -> Offset:
        """Return how far Twilio's clock has been ahead of ours since a broadcast was made."""
        now = self._worker.clock()
        return await clock_records.since(connection, "twilio", broadcast.made_at or now, now) or SAME

    async def _page(self, broadcast: SyncedBroadcast, offset: Offset, number: int, *, newest_only: bool) -> LogPage:
        """Read a page for a pass: the newest one, of another of its numbers each time, or that which comes next.

        The log is read number by number; behind the last page of one comes the first of the next.
        """
        numbers = broadcast.phone_numbers
        if newest_only:
            return await self._newest(numbers[number % len(numbers)], broadcast, offset)
        page, asked = await self._read(broadcast, offset)
        # A number that a service sends for is read with all others.
        is_whole = asked is None or self._twilio.is_served(asked)
        following = numbers[numbers.index(asked) + 1 :] if asked in numbers and not is_whole else []
        if page.next_page_uri is not None or not following:
            return page
        first = self._twilio.first_page_uri(following[0], _since(broadcast, offset), self._settings.sync_page_size)
        return replace(page, next_page_uri=first)

    async def _read(self, broadcast: SyncedBroadcast, offset: Offset) -> tuple[LogPage, str | None]:
        """Read the page that the broadcast is at; from the beginning, where that page is not to be had or trusted.

        Return it with the number whose log it is of; None for that of all numbers.
        """
        if broadcast.twilio_paging:
            try:
                page = await self._twilio.page(broadcast.twilio_paging, since=_since(broadcast, offset))
            except CarrierUnreadable as error:
                is_gone = error.http_status is not None and 400 <= error.http_status < 500 and error.http_status != 429
                if not is_gone and not isinstance(error, UntrustedPage):
                    raise
                log.warning("page_gone", broadcast_id=broadcast.id, code=error.code)
            else:
                return page, self._twilio.number_of(broadcast.twilio_paging)
        first = broadcast.phone_numbers[0]
        return await self._newest(first, broadcast, offset), first

    async def _newest(self, from_number: str, broadcast: SyncedBroadcast, offset: Offset) -> LogPage:
        """Read the first page of the log of a number, which has the messages that were sent last."""
        return await self._twilio.messages(
            from_number=from_number,
            since=_since(broadcast, offset),
            page_size=self._settings.sync_page_size,
        )

    async def _again(self, message: SyncStatuses, error: CarrierUnreadable, cause: Cause) -> None:
        """Plan the pass anew, from the same page, after the interval or when the carrier says so."""
        now = self._worker.clock()
        due = now + timedelta(seconds=max(self._settings.sync_interval, error.retry_after or 0.0))
        log.warning("log_unreadable", broadcast_id=message.broadcast_id, code=error.code)
        async with database.transaction(self._worker.engine, cause) as connection:
            await repository.lock(connection, message.broadcast_id)
            await leave_alone(connection, error)
            broadcast = await queries.broadcast(connection, message.broadcast_id)
            if message.number is not None and _is_wanted(broadcast, message):
                await queries.put_off_pass(connection, message.broadcast_id, due)
                await outbox.write(connection, [message], now=now, deliver_at=due)

    async def _ask_missive(
        self, broadcast: SyncedBroadcast, page: LogPage, offset: Offset, *, newest_only: bool
    ) -> MissiveReport:
        """Ask Missive about messages that the log does not show; while messages leave, about those that are overdue."""
        if self._missive is None or (page.next_page_uri and not newest_only):
            return MissiveReport()
        asker = Asker(worker=self._worker, settings=self._settings, missive=self._missive, twilio=self._twilio)
        return await asker.ask(broadcast, offset, overdue_only=newest_only)


async def may_ask(engine: Engine) -> None:
    """Check that Twilio may be asked for its log. Raise CarrierUnreadable while it asks callers to wait."""
    async with database.transaction(engine) as connection:
        seconds, _ = await rate.backoff(connection, [LOG])
    if seconds:
        raise CarrierUnreadable("the log is left alone for a while", code="left_alone", retry_after=seconds)


async def leave_alone(connection: Connection, error: CarrierUnreadable) -> None:
    """Have nobody ask for the log for as long as the answer said, whatever makes them ask."""
    if error.retry_after is not None:
        await rate.prepare(connection, [LOG])
        await rate.back_off(connection, LOG, error.retry_after)


def _since(broadcast: SyncedBroadcast, offset: Offset) -> datetime:
    """Return from when on the log has messages of a broadcast, by the carrier's clock."""
    assert broadcast.made_at is not None  # _is_wanted
    return offset.log_time_from(broadcast.made_at)


def _is_wanted(broadcast: SyncedBroadcast, message: SyncStatuses) -> bool:
    """Return whether a pass is still wanted."""
    if broadcast.made_at is None:
        return False
    return message.number is None or (message.number == broadcast.sync_number and broadcast.sync_due_at is not None)


async def changed(
    connection: Connection, broadcast_id: int, from_numbers: Sequence[str], entries: Sequence[LogEntry], offset: Offset
) -> list[e.MessageStatus]:
    """Return what the entries say that is news of the broadcast's accepted messages.

    By sid where it is known, else one to one by number, body and time. Other broadcasts' entries are theirs.
    """
    known = await queries.lock_known(connection, [entry.sid for entry in entries])
    taken = {*known, *await single_log.known_sids(connection, [entry.sid for entry in entries])}
    unknown = [
        entry
        for entry in entries
        # Of a number that a Messaging Service sends for, the log is read with what others have sent.
        if entry.from_number in from_numbers and entry.sid not in taken and not entry.direction.startswith("inbound")
    ]
    numbers = sorted({entry.to for entry in unknown})
    unmatched = await queries.lock_open(connection, from_numbers, numbers)
    matched: dict[int, LogEntry] = {}
    for from_number in sorted({entry.from_number for entry in unknown}):
        # An entry may be that of a message of no broadcast, with the same words to the same number.
        rivals = await single_log.candidates(connection, from_number, numbers)
        ours = [each.candidate for each in unmatched.values() if each.from_number == from_number]
        sent = [entry for entry in unknown if entry.from_number == from_number]
        matched |= match(sent, [*ours, *rivals], offset)
    news = [
        status(message.message_id, entry)
        for entry in entries
        if (message := known.get(entry.sid)) and message.broadcast_id == broadcast_id
        and (message.status is None or statuses.advances(message.status, entry.status))
    ]  # fmt: skip
    news += [
        status(message_id, entry)
        for message_id, entry in matched.items()
        if (one := unmatched.get(message_id))
        and one.state is MessageState.ACCEPTED
        and one.broadcast_id == broadcast_id
    ]
    # A page may show an entry twice, at two moments.
    return list({item.message_id: item for item in sorted(news, key=lambda item: statuses.rank(item.status))}.values())


async def _messages_of(connection: Connection, entries: Sequence[LogEntry]) -> dict[str, int]:
    """Return whose messages entries are known to be, by sid."""
    known = await queries.lock_known(connection, [entry.sid for entry in entries])
    return {sid: message.message_id for sid, message in known.items()}


async def _named(
    connection: Connection, sids: Mapping[int, str], changes: Sequence[e.MessageStatus]
) -> list[e.MessageStatus]:
    """Return what the provider's own word for a message's sid adds to the changes; a sid is one message's alone."""
    asked = list(sids.values())
    taken = {*await queries.lock_known(connection, asked), *await single_log.known_sids(connection, asked)}
    taken |= {change.twilio_id for change in changes}
    changed = {change.message_id for change in changes}
    free = {sid: message_id for message_id, sid in sids.items() if sid not in taken and message_id not in changed}
    return [
        e.MessageStatus(
            message_id=message_id, twilio_id=sid, status=DeliveryStatus.ACCEPTED, error_code=None, sent_at=None
        )
        for sid, message_id in free.items()
    ]


def status(message_id: int, entry: LogEntry) -> e.MessageStatus:
    """Return what an entry says of a message."""
    return e.MessageStatus(
        message_id=message_id,
        twilio_id=entry.sid,
        status=entry.status,
        error_code=entry.error_code,
        sent_at=entry.sent_at,
    )
