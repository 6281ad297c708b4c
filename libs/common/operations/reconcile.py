"""Settles a database that was restored to a point in the past against the carrier's log, and lifts the mark.

The log holds every message that was sent, and every reply. All of it since the point is read before anything is
recorded, and what was read must be whole: what it does not show counts as never sent. Then broadcasts whose making the
restore has undone are made again, as of the first of their messages; each entry finds its message, which is accepted;
replies, STOP and START are taken as if they came now. Each step can be done
again: one that was cut off, or is run twice, does nothing twice.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from libs.common import database
from libs.common.broadcasts import (
    delivery_status,
    file_words,
    making,
    number_pool,
    personal_words,
    repository,
    restore_hold,
    sending_numbers,
    single_attempts,
)
from libs.common.broadcasts.restore_hold import Mark
from libs.common.carriers.clocks import MARGIN, Offset
from libs.common.carriers.errors import CarrierUnreadable
from libs.common.carriers.twilio import LogEntry, Twilio
from libs.common.database import Connection, Engine, all_rows
from libs.common.domain import events as e
from libs.common.domain import templates
from libs.common.domain.broadcast import Broadcast
from libs.common.domain.states import BY_A_PERSON, UNANSWERED, MessageState, PauseReason, ReplyKind
from libs.common.domain.text_normalization import normalise
from libs.common.domain.wall_clock import same_day
from libs.common.errors import EmptyDraw, NoSegments
from libs.common.eventstore import store
from libs.common.operations import reconcile_queries as queries
from libs.common.operations import restored_log, restored_replies
from libs.common.operations.restore_matching import (
    HANDED_OVER,
    NO_TIME,
    Planned,
    earliest,
    latest,
    match,
)
from libs.common.operations.telling import Tell, nobody

log = structlog.stdlib.get_logger(__name__)

AT_ONCE = 200  # messages a transaction
#: For how long after the making first messages may leave; what was sent later is a later broadcast's.
A_DAY = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done."""

    since: datetime
    #: Entries of the log that were read.
    outbound: int = 0
    inbound: int = 0
    #: By broadcast and whether it is the second message: messages that the database had not known to have been sent.
    accepted: Counter[tuple[int, bool]] = field(default_factory=Counter)
    #: The same: messages known to be accepted, whose entry was found now.
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
    #: Entries that are no message of this database: typed by hand, or of a broadcast that it has never heard of.
    strangers: int = 0
    #: Whether broadcasts may go on from here.
    lifted: bool = False


async def reconcile(
    engine: Engine,
    twilio: Twilio,
    schedule: making.Schedule,
    clock: Callable[[], datetime],
    own_numbers: Sequence[str] = (),
    *,
    within: timedelta | None = None,
    ended_by: Collection[ReplyKind] = BY_A_PERSON,
    tell: Tell = nobody,
) -> Report:
    """Settle everything since the mark, which must have been set. Broadcasts may go on once this has returned.

    `own_numbers` are ours by the settings: people write to them although no broadcast was sent from them.

    Where the mark was lifted before, it looks again and makes no broadcast. Raise CarrierUnreadable where the log
    cannot be read as a whole; then the mark stands. The same, where the log does not prove, before and after it is
    read, that it has got past what may have been sent `within` the time after the mark was set.
    """
    async with database.transaction(engine) as connection:
        mark = await restore_hold.read(connection)
        assert mark is not None, "the mark is set first"
        twilio.services = await sending_numbers.services(connection)
        sent_from: list[str] = list((await connection.execute(queries.NUMBERS)).scalars())
        begin: datetime = (
            await connection.execute(queries.READ_FROM, {"since": mark.since - HANDED_OVER})
        ).scalar_one()
    numbers = list(dict.fromkeys((*own_numbers, *sent_from)))
    held = mark.reconciled_at is None
    arrived_by = mark.held_at + within if held and within is not None else None
    found, offset = await restored_log.read(engine, twilio, numbers, begin, clock, arrived_by=arrived_by)
    report = Report(since=mark.since, outbound=len(found.outbound), inbound=len(found.inbound))
    while held and await _make_one(engine, found.outbound, schedule, mark, offset, clock, report):
        pass
    matched, report.strangers = await _match(engine, found.outbound, mark, offset)
    by_broadcast: dict[int, list[tuple[Planned, LogEntry]]] = defaultdict(list)
    for planned, entry in matched:
        by_broadcast[planned.broadcast].append((planned, entry))
    settled = 0
    for broadcast_id, pairs in sorted(by_broadcast.items()):
        # What was sent comes first, all of it: what became of a first message skips the second one, if that was not.
        parts = [pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE)]
        for at_once in parts:
            async with database.transaction(engine) as connection:
                await _record_sent(connection, broadcast_id, at_once, offset, clock(), report)
            settled += len(at_once)
            tell(settled, len(matched))
        for at_once in parts:
            async with database.transaction(engine) as connection:
                await _record_statuses(connection, broadcast_id, at_once, clock())
    received = await restored_replies.receive(engine, found.inbound, mark.since, offset, clock, ended_by=ended_by)
    report.replies, report.attributed = received.new, received.attributed
    report.opted_out, report.opted_in = received.opted_out, received.opted_in
    if held:
        async with database.transaction(engine) as connection:
            await single_attempts.doubt(connection, clock())
            await restore_hold.lift(connection, mark, clock())
    async with database.transaction(engine) as connection:
        report.lifted = not await restore_hold.held(connection)
    log.info("reconciled", messages=report.accepted.total(), replies=report.replies, lifted=report.lifted)
    return report


async def _match(
    engine: Engine, entries: Sequence[LogEntry], mark: Mark, offset: Offset
) -> tuple[list[tuple[Planned, LogEntry]], int]:
    """Find the messages of the entries that are nobody's yet; return them, and how many are no message's."""
    found, strangers = await _split(engine, entries, offset)
    # What was sent before the point, and is in the database with another sid or none, is no stranger.
    return found, sum(latest(entry, offset) >= mark.since for entry in strangers)


async def _split(
    engine: Engine, entries: Sequence[LogEntry], offset: Offset
) -> tuple[list[tuple[Planned, LogEntry]], list[LogEntry]]:
    """Return the entries that are a message's, each with its message, and the others."""
    async with database.transaction(engine) as connection:
        sids = [entry.sid for entry in entries]
        taken = set((await connection.execute(queries.TAKEN, {"sids": sids})).scalars())
        free = [entry for entry in entries if entry.sid not in taken]
        cursor = await connection.execute(queries.PLANNED, {"numbers": sorted({entry.to for entry in free})})
        planned = {message.message_id: message for message in all_rows(cursor, Planned)}
    silent = {entry.to for entry in free if not entry.body}
    if any(message.number in silent for message in planned.values()):
        raise CarrierUnreadable("the log keeps no bodies: which message is which cannot be told", code="no_bodies")
    found = match(free, list(planned.values()), offset)
    used = {entry.sid for entry in found.values()}
    return [(planned[message_id], entry) for message_id, entry in found.items()], [
        one for one in free if one.sid not in used
    ]


async def _make_one(
    engine: Engine,
    entries: Sequence[LogEntry],
    schedule: making.Schedule,
    mark: Mark,
    offset: Offset,
    clock: Callable[[], datetime],
    report: Report,
) -> bool:
    """Make one broadcast whose making was undone, as of its first message; False if none remains."""
    _, strangers = await _split(engine, entries, offset)
    async with database.transaction(engine) as connection:
        unmade = all_rows(await connection.execute(queries.UNMADE), queries.Unmade)
    for candidate in unmade:
        if candidate.id in report.made:
            continue
        words = await _words(engine, candidate, strangers)
        own = [
            entry
            for entry in strangers
            if latest(entry, offset) >= mark.since and _is_of(entry, candidate, words, schedule, offset)
        ]
        if not own:
            continue
        first = min(earliest(entry, offset) for entry in own)
        as_of = mark.since if first == NO_TIME else max(first, mark.since - MARGIN)
        numbers = sorted(
            {entry.to for entry in own if entry.created_at is None or offset.earliest(entry.created_at) < as_of + A_DAY}
        )
        async with database.transaction(engine) as connection:
            broadcast = await repository.load(connection, candidate.id)
            try:
                async with connection.begin_nested():
                    made = await making.remake_for_restore(connection, broadcast, schedule, as_of, numbers=numbers)
                    await _keep_what_was_sent(connection, broadcast, strangers)
                    sent = {entry.to: entry.from_number for entry in own}
                    await number_pool.keep(connection, broadcast, sent, as_of)
                    await personal_words.skip_wordless(connection, made.broadcast, as_of)
            except (NoSegments, EmptyDraw) as error:
                # There is nobody to send to, so nobody can get it twice.
                log.warning("not_made_again", broadcast_id=broadcast.id, reason=type(error).__name__)
                continue
            if broadcast.run_at > clock():
                paused = e.BroadcastPaused(broadcast_id=broadcast.id, reason=PauseReason.RECONCILED)
                await repository.save(connection, made.broadcast, [paused], clock())
                report.paused.append(broadcast.id)
        report.made[broadcast.id] = made.recipients
        return True
    return False


async def _words(engine: Engine, broadcast: queries.Unmade, entries: Sequence[LogEntry]) -> dict[str, str]:
    """Return the first message of a broadcast as the numbers of some entries would get it now, where it is theirs."""
    template = templates.parse(broadcast.body)
    if not template.is_personal:
        return {}
    async with database.transaction(engine) as connection:
        file = await file_words.of_broadcast(connection, broadcast.id)
        return await personal_words.render_for(connection, template, sorted({entry.to for entry in entries}), file)


async def _keep_what_was_sent(connection: Connection, broadcast: Broadcast, entries: Sequence[LogEntry]) -> None:
    """Put what people got, by the log, in the place of what was rendered anew: their values may have changed since."""
    for is_second, body in ((False, broadcast.first_message), (True, broadcast.second_message)):
        template = templates.parse(body or "")
        sent = {entry.to: entry.body for entry in entries if template.is_personal and template.may_be(entry.body)}
        if sent:
            await personal_words.replace(connection, broadcast.id, sent, is_second=is_second)


def _is_of(
    entry: LogEntry,
    broadcast: queries.Unmade,
    words: Mapping[str, str],
    schedule: making.Schedule,
    offset: Offset,
) -> bool:
    """Return whether an entry that is no known message's may be the first message of a broadcast.

    `words` are what numbers would get of it now, where each gets their own.
    """
    if entry.from_number not in broadcast.from_numbers:
        return False
    is_same = normalise(entry.body) == normalise(words.get(entry.to, broadcast.body))
    if not is_same and not (words and templates.parse(broadcast.body).may_be(entry.body)):
        return False
    at = latest(entry, offset)
    # Where the same was sent before, what was sent before its day is a message of that, to somebody the draw has passed
    # over.
    return broadcast.alone or at >= broadcast.run_at or same_day(at, broadcast.run_at, schedule.zone)


async def _record_sent(
    connection: Connection,
    broadcast_id: int,
    pairs: Sequence[tuple[Planned, LogEntry]],
    offset: Offset,
    now: datetime,
    report: Report,
) -> None:
    """Record that some messages of a broadcast are in the log."""
    await repository.lock(connection, broadcast_id)
    cursor = await connection.execute(queries.STILL_OPEN, {"message_ids": [planned.message_id for planned, _ in pairs]})
    states: dict[int, MessageState] = dict(cursor.tuples().all())
    settled: list[e.Event] = []
    for planned, entry in pairs:
        if planned.message_id not in states:
            continue
        state = states[planned.message_id]
        kind = report.named if state == MessageState.ACCEPTED else report.accepted
        kind[broadcast_id, planned.is_second] += 1
        if state != MessageState.ACCEPTED:
            on_record = state in UNANSWERED
            accepted = e.MessageAccepted(
                broadcast_id=broadcast_id,
                message_id=planned.message_id,
                missive_id=None,
                missive_conversation_id=None,
                twilio_id=entry.sid,
                twilio_status=entry.status,
                settled=True,
                left_at=None if on_record else _left_at(planned, entry, offset, now),
            )
            settled.append(accepted)
    await repository.append_events(connection, store.stream(broadcast_id, "messages"), settled, now)


async def _record_statuses(
    connection: Connection, broadcast_id: int, pairs: Sequence[tuple[Planned, LogEntry]], now: datetime
) -> None:
    """Record what the log says of some messages of a broadcast that were sent, and do what it asks for."""
    await repository.lock(connection, broadcast_id)
    cursor = await connection.execute(queries.SENT, {"message_ids": [planned.message_id for planned, _ in pairs]})
    sent = set(cursor.scalars())
    statuses = [
        e.MessageStatus(
            message_id=planned.message_id,
            twilio_id=entry.sid,
            status=entry.status,
            error_code=entry.error_code,
            sent_at=entry.sent_at,
        )
        for planned, entry in pairs
        if planned.message_id in sent
    ]
    if statuses:
        synced = e.StatusesSynced(broadcast_id=broadcast_id, statuses=tuple(statuses), number=None)
        await delivery_status.record(connection, synced, now)


def _left_at(planned: Planned, entry: LogEntry, offset: Offset, now: datetime) -> datetime:
    """Return when the attempt of a message began, as far as the log shows it: not after what it shows."""
    return min(max(earliest(entry, offset), planned.not_before), now)
