"""All of Twilio's log since a time: every message that was sent, by either carrier, and every reply.

Held in memory as a whole, about a kilobyte an entry: what is done with it must not begin before the last page was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.twilio import MAX_PAGE_SIZE, LogEntry, Twilio

MOST_READINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeLog:
    """What was read."""

    outbound: tuple[LogEntry, ...]
    inbound: tuple[LogEntry, ...]


async def read(twilio: Twilio, numbers: Sequence[str], since: datetime) -> WholeLog:
    """Read what was sent from and to our numbers. Raise CarrierUnreadable unless all of it was read."""
    outbound: dict[str, LogEntry] = {}
    inbound: dict[str, LogEntry] = {}
    for number in numbers:
        for entry in await read_between(twilio, since, from_number=number):
            if not entry.direction.startswith("inbound"):
                outbound[entry.sid] = entry
        for entry in await read_between(twilio, since, to=number):
            if entry.direction.startswith("inbound"):
                inbound[entry.sid] = entry
    return WholeLog(outbound=tuple(outbound.values()), inbound=tuple(inbound.values()))


async def read_between(
    twilio: Twilio, since: datetime, *, from_number: str | None = None, to: str | None = None
) -> list[LogEntry]:
    """Read all there is from one number, or to one, or both. Raise CarrierUnreadable unless all of it was read.

    Pages may shift while they are read: what takes several is read until a reading shows nothing new, and each reading
    cuts them elsewhere.
    """
    known: dict[str, LogEntry] = {}
    for reading in range(MOST_READINGS):
        before, pages = len(known), 1
        size = MAX_PAGE_SIZE - 7 * reading
        page = await twilio.everything(from_number=from_number, to=to, since=since, page_size=size)
        while True:
            if page.unreadable:
                # What cannot be read might be any message: that another did not leave cannot be concluded.
                raise CarrierUnreadable("an entry of the log cannot be read", code="unreadable_entry")
            known |= {
                entry.sid: entry for entry in page.entries if from_number is None or entry.from_number == from_number
            }
            if page.next_page_uri is None:
                break
            page = await twilio.page(page.next_page_uri, since=since)
            pages += 1
        if pages == 1 or (reading > 0 and len(known) == before):
            return list(known.values())
    raise CarrierUnreadable("the log does not come to rest", code="log_moves")
