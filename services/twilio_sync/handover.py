"""Ask Missive which messages Twilio has: for the sids of those that the log does not show, and for what is missing.

A message counts as not handed over once Missive, asked when the time for it was over, has the message and no sid for
it, and Twilio's log has nothing to that number that might be it. Missive's word alone would not do: were the field to
change its name one day, everybody would seem to have opted out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from libs.common import database
from libs.common.broadcasts.missive_room import room
from libs.common.carriers import message_log
from libs.common.carriers.clocks import Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.missive import Missive
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.domain.states import Outcome
from libs.common.runtime.worker import Worker
from libs.common.settings import CarrierSettings
from services.twilio_sync import queries
from services.twilio_sync.queries import MessageWithoutSid, SyncedBroadcast

log = structlog.stdlib.get_logger(__name__)

ASK_AT_ONCE = 20  # messages of Missive's that one request asks about


@dataclass(frozen=True, slots=True, kw_only=True)
class MissiveReport:
    """What Missive says of some messages."""

    #: Twilio's sid, by message.
    sids: Mapping[int, str] = field(default_factory=dict)
    #: What Twilio's log has from our number to that of each message that has no sid for so long that it will get none.
    missing: Mapping[int, Sequence[LogEntry]] = field(default_factory=dict)

    @property
    def entries(self) -> list[LogEntry]:
        """What was read of the log."""
        return [entry for entries in self.missing.values() for entry in entries]

    def not_handed_over(self, known: Mapping[str, int]) -> list[int]:
        """Return the messages of which no entry of the log can be one; `known` has the messages of known sids."""
        return [
            message_id
            for message_id, entries in self.missing.items()
            if all(known.get(entry.sid, message_id) != message_id for entry in entries)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks Missive; its requests have their slots like those that send."""

    worker: Worker
    settings: CarrierSettings
    missive: Missive
    twilio: Twilio

    async def ask(self, broadcast: SyncedBroadcast, offset: Offset, *, overdue_only: bool) -> MissiveReport:
        """Ask about messages of a broadcast that Missive has taken and whose sid is not known.

        `overdue_only` asks only about those whose time is over: while messages leave, the log shows most.
        """
        now = self.worker.clock()
        overdue = now - timedelta(seconds=self.settings.handover_after)
        before = overdue if overdue_only else max(overdue, now - timedelta(seconds=self.settings.settle_after))
        async with database.transaction(self.worker.engine) as connection:
            asked = await queries.without_sid(
                connection, broadcast.id, before=before, again=not overdue_only, limit=ASK_AT_ONCE
            )
        if not asked:
            return MissiveReport()
        found = await self._external_ids(broadcast.id, [message.missive_id for message in asked])
        sids = {message.message_id: sid for message in asked if (sid := found.get(message.missive_id))}
        missing: dict[int, Sequence[LogEntry]] = {}
        for message in asked:
            # Missive knows the message, and has no sid for it.
            is_without = message.missive_id in found and message.message_id not in sids
            if is_without and message.outcome is Outcome.ACCEPTED and message.attempt_started_at <= overdue:
                try:
                    missing[message.message_id] = await self._log(message, offset)
                except CarrierUnreadable as error:
                    log.warning("log_unreadable", broadcast_id=broadcast.id, code=error.code)
                    break
        return MissiveReport(sids=sids, missing=missing)

    async def _log(self, message: MessageWithoutSid, offset: Offset) -> list[LogEntry]:
        """Read what was sent for the number of a message since its attempt began. Raise CarrierUnreadable."""
        if message.number is None:
            return []  # erased since: there is no follow-up, and Missive's word has to do
        since = offset.log_time_from(message.attempt_started_at)
        entries = await message_log.read_between(self.twilio, since, from_number=message.from_number, to=message.number)
        return [entry for entry in entries if not entry.direction.startswith("inbound")]

    async def _external_ids(self, broadcast_id: int, missive_ids: Sequence[str]) -> dict[str, str | None]:
        """Ask for sids, if a request may be made now; messages go first, and the next pass asks again."""
        try:
            async with room(self.worker.engine, self.settings) as ready:
                return await self.missive.external_ids(missive_ids, ready=ready) if ready else {}
        except CarrierUnreadable as error:
            log.warning("missive_unreadable", broadcast_id=broadcast_id, code=error.code)
            return {}
