"""Settles a database that was restored to a point in the past against the carrier's log, and lifts the mark.

The log holds every text that left, and every reply. All of it since the point is read before anything is recorded, and
what was read must be whole: what it does not show counts as never sent. Then broadcasts whose making the restore has
undone are made again, as of the first of their texts; each entry finds its text, which is accepted; replies, STOP and
START are taken as if they came now. Each step leaves a legal database and finds its own work done when it comes again:
one that was cut off, or is run twice, does nothing twice.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from libs.common import consent, database, delivery, lifecycle, making, restored, store
from libs.common import events as e
from libs.common.carriers import whole_log
from libs.common.carriers.bodies import normalise
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.consent import Inbound
from libs.common.database import Connection, Pool
from libs.common.errors import EmptyDraw, NoSegments
from libs.common.matching import SKEW
from libs.common.restored import Mark
from libs.common.retrace import HANDED_OVER, NO_TIME, Planned, retrace, time
from libs.common.settings import e164
from libs.common.workdays import same_day

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 200  # texts or replies a transaction
PAUSED = "reconciled"
#: For how long after the making first messages may leave; what left later is a later broadcast's.
A_DAY = timedelta(days=1)

NUMBERS = "SELECT phone_number FROM sending_numbers ORDER BY id"

#: From when on the log is read: attempts on record whose answer is not, and what was being handed over, may be in it.
READ_FROM = """
SELECT least(%(since)s, min(attempt_started_at)) AS at FROM outgoing_messages WHERE state IN ('started', 'uncertain')
"""

#: Texts to some numbers of which no entry is known. A second one cannot have left before the first.
PLANNED = """
SELECT m.id AS text, m.broadcast_id AS broadcast, m.is_second, m.state, n.phone_number AS from_number,
       m.recipient_phone_number AS number, CASE WHEN m.is_second THEN b.second_message ELSE b.first_message END AS body,
       CASE WHEN m.state IN ('pending', 'claimed') THEN greatest(b.made_at, f.attempt_started_at)
            ELSE m.attempt_started_at END AS not_before
FROM outgoing_messages m
JOIN broadcasts b ON b.id = m.broadcast_id
JOIN sending_numbers n ON n.id = b.sending_number_id
LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
LEFT JOIN outgoing_messages f ON m.is_second AND f.broadcast_id = m.broadcast_id AND f.contact_id = m.contact_id
                             AND NOT f.is_second
WHERE m.recipient_phone_number = ANY(%(numbers)s)
  AND (m.state IN ('pending', 'claimed', 'started', 'uncertain') OR (m.state = 'accepted' AND s.twilio_id IS NULL))
"""

#: Entries that are known to be a text's.
TAKEN = "SELECT twilio_id FROM broadcast_sent_message_status WHERE twilio_id = ANY(%(sids)s)"

#: Locks texts that are about to be found; one that somebody else has settled meanwhile is left out.
STILL_OPEN = """
SELECT m.id, m.state FROM outgoing_messages m LEFT JOIN broadcast_sent_message_status s ON s.outgoing_message_id = m.id
WHERE m.id = ANY(%(texts)s)
  AND (m.state IN ('pending', 'claimed', 'started', 'uncertain') OR (m.state = 'accepted' AND s.twilio_id IS NULL))
ORDER BY m.id FOR NO KEY UPDATE OF m
"""

#: Broadcasts that may have been made since the point of the restore, the latest first: an entry is the latest's that
#: was due when it left. `alone` is one of whose text no other broadcast was made.
UNMADE = """
SELECT b.id, b.run_at, b.first_message AS body, n.phone_number AS from_number, NOT EXISTS (
    SELECT FROM broadcasts o WHERE o.made_at IS NOT NULL AND o.sending_number_id = b.sending_number_id
    AND o.first_message = b.first_message) AS alone
FROM broadcasts b JOIN sending_numbers n ON n.id = b.sending_number_id
WHERE b.state IN ('scheduled', 'missed') ORDER BY b.run_at DESC, b.id DESC
"""

#: Whether a reply came in under Missive's id instead of Twilio's sid.
KNOWN = """
SELECT EXISTS (SELECT FROM replies WHERE phone_number = %(number)s AND body = %(body)s
               AND received_at BETWEEN %(at)s - interval '1 minute' AND %(at)s + interval '1 minute'
               AND provider_id !~ '^(SM|MM)[0-9a-f]{32}$') AS known
"""


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done."""

    since: datetime
    #: Entries of the log that were read.
    outbound: int = 0
    inbound: int = 0
    #: By broadcast and whether it is the second message: texts that the database had not known to have left.
    accepted: Counter[tuple[int, bool]] = field(default_factory=Counter)
    #: The same: texts known to be accepted, whose entry was found now.
    named: Counter[tuple[int, bool]] = field(default_factory=Counter)
    #: Broadcasts made again, to the number of their recipients.
    made: dict[int, int] = field(default_factory=dict)
    #: Those of them whose time had not come: somebody had made them early, and they are paused.
    paused: list[int] = field(default_factory=list)
    #: Replies that the database did not have, and replies that it had without knowing what they answered.
    replies: int = 0
    attributed: int = 0
    opted_out: int = 0
    opted_in: int = 0
    #: Entries that are no text of this database: typed by hand, or of a broadcast that it has never heard of.
    strangers: int = 0
    #: Whether broadcasts may go on from here.
    lifted: bool = False


async def reconcile(pool: Pool, twilio: Twilio, schedule: making.Schedule, clock: Callable[[], datetime]) -> Report:
    """Settle everything since the mark, which must have been set. Broadcasts may go on once this has returned.

    Where the mark was lifted before, it looks again and makes no broadcast. Raises CarrierUnreadable where the log
    cannot be read as a whole; then the mark stands.
    """
    async with pool.connection() as connection:
        mark = await restored.read(connection)
        assert mark is not None, "the mark is set first"
        numbers = [row["phone_number"] for row in await (await connection.execute(NUMBERS)).fetchall()]
        near = {"since": mark.since - HANDED_OVER}
        begin = (await (await connection.execute(READ_FROM, near)).fetchall())[0]["at"]
    found = await whole_log.read(twilio, numbers, begin - SKEW)
    report = Report(since=mark.since, outbound=len(found.outbound), inbound=len(found.inbound))
    held = mark.reconciled_at is None
    while held and await _make_one(pool, found.outbound, schedule, mark, clock, report):
        pass
    matched, report.strangers = await _match(pool, found.outbound, mark)
    by_broadcast: dict[int, list[tuple[Planned, LogEntry]]] = defaultdict(list)
    for text, entry in matched:
        by_broadcast[text.broadcast].append((text, entry))
    for broadcast_id, pairs in sorted(by_broadcast.items()):
        for start in range(0, len(pairs), AT_ONCE):
            async with database.transaction(pool) as connection:
                await _record(connection, broadcast_id, pairs[start : start + AT_ONCE], clock(), report)
    await _receive(pool, found.inbound, mark, clock, report)
    if held:
        async with database.transaction(pool) as connection:
            await restored.lift(connection, mark, clock())
    async with pool.connection() as connection:
        report.lifted = not await restored.held(connection)
    log.info("reconciled", texts=report.accepted.total(), replies=report.replies, lifted=report.lifted)
    return report


async def _match(pool: Pool, entries: Sequence[LogEntry], mark: Mark) -> tuple[list[tuple[Planned, LogEntry]], int]:
    """Find the texts of the entries that are nobody's yet; give them, and how many are no text's."""
    found, left = await _retrace(pool, entries)
    # What left before the point, and is in the database with another sid or none, is no stranger.
    return found, sum(time(entry) >= mark.since for entry in left)


async def _retrace(pool: Pool, entries: Sequence[LogEntry]) -> tuple[list[tuple[Planned, LogEntry]], list[LogEntry]]:
    async with pool.connection() as connection:
        sids = [entry.sid for entry in entries]
        taken = {row["twilio_id"] for row in await (await connection.execute(TAKEN, {"sids": sids})).fetchall()}
        free = [entry for entry in entries if entry.sid not in taken]
        cursor = await connection.execute(PLANNED, {"numbers": sorted({entry.to for entry in free})})
        planned = {row["text"]: Planned(**row) for row in await cursor.fetchall()}
    silent = {entry.to for entry in free if not entry.body}
    if any(text.number in silent for text in planned.values()):
        raise CarrierUnreadable("the log keeps no bodies: which text is which cannot be told", code="no_bodies")
    found = retrace(free, list(planned.values()))
    used = {entry.sid for entry in found.values()}
    return [(planned[text], entry) for text, entry in found.items()], [one for one in free if one.sid not in used]


async def _make_one(
    pool: Pool,
    entries: Sequence[LogEntry],
    schedule: making.Schedule,
    mark: Mark,
    clock: Callable[[], datetime],
    report: Report,
) -> bool:
    """Make one broadcast whose making was undone, as of its first text; False if there is none left."""
    _, left = await _retrace(pool, entries)
    async with pool.connection() as connection:
        unmade = await (await connection.execute(UNMADE)).fetchall()
    for row in unmade:
        if row["id"] in report.made:
            continue
        own = [entry for entry in left if _is_of(entry, row, schedule) and time(entry) >= mark.since - SKEW]
        if not own:
            continue
        first = min(map(time, own))
        as_of = mark.since if first == NO_TIME else max(first, mark.since)
        numbers = sorted({entry.to for entry in own if entry.created_at is None or entry.created_at < as_of + A_DAY})
        async with database.transaction(pool) as connection:
            try:
                async with connection.transaction():
                    made = await making.make_again(
                        connection, row["id"], schedule, as_of - SKEW, by_hand=True, numbers=numbers
                    )
            except (NoSegments, EmptyDraw) as error:
                # Nobody is left to text: nobody can be texted twice.
                log.warning("not_made_again", broadcast_id=row["id"], reason=type(error).__name__)
                continue
            if row["run_at"] > clock():
                _, version = await lifecycle.load(connection, row["id"])
                paused = e.BroadcastPaused(broadcast_id=row["id"], reason=PAUSED)
                await lifecycle.record(connection, row["id"], version, [paused], clock())
                report.paused.append(row["id"])
        report.made[row["id"]] = made.recipients
        return True
    return False


def _is_of(entry: LogEntry, row: dict[str, Any], schedule: making.Schedule) -> bool:
    """Tell whether an entry that is no known text's may be the first text of a broadcast."""
    if entry.from_number != row["from_number"] or normalise(entry.body) != normalise(row["body"]):
        return False
    at = time(entry)
    # Where the same was sent before, what left before its day is a text of that, to somebody the draw has passed over.
    return bool(row["alone"]) or at >= row["run_at"] or same_day(at, row["run_at"], schedule.zone)


async def _record(
    connection: Connection,
    broadcast_id: int,
    pairs: Sequence[tuple[Planned, LogEntry]],
    now: datetime,
    report: Report,
) -> None:
    """Record that some texts of a broadcast are in the log, and what it says of them."""
    await lifecycle.load(connection, broadcast_id)
    cursor = await connection.execute(STILL_OPEN, {"texts": [text.text for text, _ in pairs]})
    states = {row["id"]: row["state"] for row in await cursor.fetchall()}
    settled: list[e.Event] = []
    statuses: list[e.TextStatus] = []
    for text, entry in pairs:
        if text.text not in states:
            continue
        kind = report.named if states[text.text] == "accepted" else report.accepted
        kind[broadcast_id, text.is_second] += 1
        if states[text.text] != "accepted":
            on_record = states[text.text] in ("started", "uncertain")
            accepted = e.TextAccepted(
                broadcast_id=broadcast_id,
                text=text.text,
                missive_id=None,
                missive_conversation_id=None,
                twilio_id=entry.sid,
                twilio_status=entry.status,
                settled=True,
                left_at=None if on_record else min(time(entry), now),
            )
            settled.append(accepted)
        status = e.TextStatus(
            text=text.text,
            twilio_id=entry.sid,
            status=entry.status,
            error_code=entry.error_code,
            sent_at=entry.sent_at,
        )
        statuses.append(status)
    await lifecycle.note(connection, store.stream(broadcast_id, "texts"), settled, now)
    if statuses:
        synced = e.StatusesSynced(broadcast_id=broadcast_id, statuses=tuple(statuses), number=None)
        await delivery.record(connection, synced, now)


async def _receive(
    pool: Pool, entries: Sequence[LogEntry], mark: Mark, clock: Callable[[], datetime], report: Report
) -> None:
    """Take what people wrote since, in order, as if it came now; what is on record is known by its id.

    Some of it was written before: a webhook that was late, or was tried again, came after the point.
    """
    late = mark.since - HANDED_OVER
    missing = sorted((entry for entry in entries if time(entry) >= late), key=lambda entry: (time(entry), entry.sid))
    for start in range(0, len(missing), AT_ONCE):
        async with database.transaction(pool) as connection:
            for entry in missing[start : start + AT_ONCE]:
                await _take(connection, entry, clock(), report)
    async with database.transaction(pool) as connection:
        report.attributed = await consent.attribute(connection, mark.since - timedelta(minutes=1), clock())


async def _take(connection: Connection, entry: LogEntry, now: datetime, report: Report) -> None:
    try:
        number = e164(entry.from_number)
    except ValueError:  # a short code, or a name
        return
    body = consent.storable(entry.body)
    at = min(time(entry), now)
    known = await (await connection.execute(KNOWN, {"number": number, "body": body, "at": at})).fetchone()
    if known is not None and known["known"]:
        return
    inbound = Inbound(provider_id=entry.sid, phone_number=number, body=body, received_at=at, to=entry.to)
    if await consent.receive(connection, inbound, now):
        report.replies += 1
        match consent.wish(body):
            case "stop":
                report.opted_out += 1
            case "start":
                report.opted_in += 1
            case None:
                pass
