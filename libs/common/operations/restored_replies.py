"""What people wrote since the point of a restore, from the carrier's log: taken as if it came now."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common import database
from libs.common.broadcasts import replies
from libs.common.broadcasts.inbound import Inbound, judge, strip_nul
from libs.common.carriers import addresses
from libs.common.carriers.clocks import RESOLUTION, Offset
from libs.common.carriers.twilio import LogEntry
from libs.common.database import Connection, Engine
from libs.common.domain.keywords import Wish
from libs.common.domain.states import BY_A_PERSON, ReplyKind
from libs.common.operations.restore_matching import HANDED_OVER, NO_TIME, latest, time

AT_ONCE = 200  # replies a transaction

#: Whether a reply came in under Missive's id instead of Twilio's sid.
KNOWN = text("""
SELECT EXISTS (SELECT FROM replies WHERE phone_number = :number AND body = :body
               AND received_at >= CAST(:at AS timestamptz) - interval '1 minute'
               AND received_at <= CAST(:at AS timestamptz) + interval '1 minute'
               AND provider_id !~ '^(SM|MM)[0-9a-f]{32}$')
""")


@dataclass(slots=True, kw_only=True)
class Received:
    """What was recorded."""

    #: Replies that the database did not have, and those that it had without knowing what they answered.
    new: int = 0
    attributed: int = 0
    opted_out: int = 0
    opted_in: int = 0


async def receive(
    engine: Engine,
    entries: Sequence[LogEntry],
    since: datetime,
    offset: Offset,
    clock: Callable[[], datetime],
    *,
    ended_by: Collection[ReplyKind] = BY_A_PERSON,
) -> Received:
    """Take what people wrote since a time, in order; what is on record is known by its id.

    Some of it was written before: a webhook that was late, or was tried again, came after the point.
    """
    late = since - HANDED_OVER
    missing = sorted(
        (entry for entry in entries if latest(entry, offset) >= late), key=lambda entry: (time(entry), entry.sid)
    )
    received = Received()
    for start in range(0, len(missing), AT_ONCE):
        async with database.transaction(engine) as connection:
            for entry in missing[start : start + AT_ONCE]:
                await _take(connection, entry, offset, clock(), received, ended_by)
    async with database.transaction(engine) as connection:
        received.attributed = await replies.attribute(connection, since - timedelta(minutes=1), clock())
    return received


async def _take(
    connection: Connection,
    entry: LogEntry,
    offset: Offset,
    now: datetime,
    received: Received,
    ended_by: Collection[ReplyKind],
) -> None:
    who = addresses.parse(entry.from_number)
    number = who.phone_number
    body = strip_nul(entry.body)
    at = _written_at(entry, offset, now)
    if (await connection.execute(KNOWN, {"number": number, "body": body, "at": at})).scalar_one():
        return
    inbound = Inbound(
        provider_id=entry.sid,
        phone_number=number,
        body=body,
        received_at=at,
        to=entry.to,
        channel=who.channel,
        provider="log",
        sender=None if who.sender is None else strip_nul(who.sender),
        service=entry.service or None,
    )
    if await replies.receive(connection, inbound, now, ended_by=ended_by):
        received.new += 1
        match judge(inbound).wish:
            case Wish.STOP:
                received.opted_out += 1
            case Wish.START:
                received.opted_in += 1
            case _:
                pass


def _written_at(entry: LogEntry, offset: Offset, now: datetime) -> datetime:
    """Return when a reply was written, by our clock; never a time to come.

    The latest time counts that it may have been: a reply at once must not seem to come before its message.
    """
    log_time = time(entry)
    return now if log_time == NO_TIME else min(log_time + RESOLUTION - offset.low, now)
