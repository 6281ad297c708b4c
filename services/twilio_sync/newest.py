"""The newest page of the account's log: whatever is newest proves most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.carriers import clock_records
from libs.common.carriers.clocks import Offset
from libs.common.carriers.log_evidence import has_got_past
from libs.common.carriers.twilio import MAX_PAGE_SIZE, LogEntry, Twilio
from libs.common.runtime.worker import Worker
from services.twilio_sync.status_sync import may_ask

log = structlog.stdlib.get_logger(__name__)

#: How far back the newest page is of interest.
BACK = timedelta(days=2)


@dataclass(slots=True, kw_only=True)
class Newest:
    """The newest entries of the account's log, and how far its clock has been from ours since the oldest message."""

    entries: Sequence[LogEntry]
    offset: Offset | None

    def proves(self, attempt_started_at: datetime, within: timedelta, now: datetime) -> bool:
        """Whether the log has got past a message. By a clock that is too far off, or unknown, nothing can be told."""
        arrived_by = attempt_started_at + within
        offset = self.offset
        return offset is not None and not offset.is_far and has_got_past(self.entries, arrived_by, offset, now)


async def read(worker: Worker, twilio: Twilio, since: datetime) -> Newest:
    """Read the newest page of the account's log. Raise CarrierUnreadable."""
    await may_ask(worker.engine)
    page = await twilio.everything(since=since - BACK, page_size=MAX_PAGE_SIZE)
    async with database.transaction(worker.engine) as connection:
        now = worker.clock()
        await clock_records.share(connection, "twilio", twilio.meter, now)
        offset = await clock_records.since(connection, "twilio", since, now)
    if offset is None or offset.is_far:
        log.error("carrier_clock_unknown" if offset is None else "carrier_clock_far", carrier="twilio")
    return Newest(entries=page.entries, offset=offset)
