"""How fast a broadcast may go now, by which limit, why it waits, and when its last message is likely to leave.

It only reads. What the planner and the sender go by (pace, holds, quiet hours, what may be claimed) is read as they
read it. `settings` of the API are those of the sender: number, rate, carrier and windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import text

from libs.common.broadcasts import messages, places, restore_hold, sending_numbers
from libs.common.broadcasts.places import Outlooks
from libs.common.broadcasts.suppression import held
from libs.common.database import Connection, EnumText, all_rows, first_row, literals
from libs.common.domain.quiet_hours import Standing
from libs.common.domain.sending_numbers import SendingNumber, day_ends
from libs.common.domain.states import BroadcastState, Late, MessageState
from libs.common.eventstore import store
from libs.common.rate_limits import daily, rate
from libs.common.rate_limits.rate import Limit
from libs.common.settings import Settings
from services.api.broadcasts import pace, wait_reasons
from services.api.broadcasts.counts import InState
from services.api.broadcasts.pace import Course
from services.api.broadcasts.wait_reasons import PATIENCE, Claimable, Phase, Slot, Wait, WaitReason
from services.api.http.fields import Moment

#: States in which messages leave.
GOING = (BroadcastState.SENDING_FIRST, BroadcastState.SENDING_SECOND)
#: What has not left yet.
REMAINING = (MessageState.PENDING, MessageState.CLAIMED)
LONGEST = timedelta(days=30)  # nobody is told an end that is further off

#: What decides whether a phase goes on: which broadcasts share its pace, and what of its messages may be claimed.
FACTS = text(f"""
SELECT b.state = '{BroadcastState.SENDING_SECOND}' AS is_second, b.sending_number_id || b.pool AS numbers,
    b.made_at, b.late, b.hold_until, {restore_hold.HOLDS} AS is_restored,
    greatest(b.made_at, b.hold_until, (SELECT reconciled_at FROM restored),
             (SELECT occurred_at FROM events WHERE stream = :stream ORDER BY version DESC LIMIT 1)) AS since,
    (SELECT count(*) FROM broadcasts o WHERE o.completed_at IS NULL AND o.state IN {literals(GOING)}) AS going,
    ARRAY(SELECT (SELECT count(*) FROM broadcasts o WHERE o.completed_at IS NULL AND o.state IN {literals(GOING)}
                  AND p.id = ANY(o.sending_number_id || o.pool))
          FROM unnest(b.sending_number_id || b.pool) WITH ORDINALITY AS p (id, place) ORDER BY p.place)
        AS going_from_numbers
FROM broadcasts b WHERE b.id = :broadcast_id AND b.state IN {literals(GOING)}
""").columns(late=EnumText(Late))

#: How many messages of a phase have not left, by which of the broadcast's numbers they leave from, and by the place
#: that they go to; without a place those that a batch has.
REMAIN = text(f"""
SELECT pool_index, place, count(*) FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND state = '{MessageState.PENDING}'
GROUP BY pool_index, place
UNION ALL
SELECT pool_index, NULL, count(*) FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND state = '{MessageState.CLAIMED}'
GROUP BY pool_index
""")

#: What might have been claimed long ago, as `m`.
LONG = "AND m.not_before <= :long_ago AND m.place = ANY(CAST(:long AS text[]))"

#: Whether something may be claimed now; if not, when the first that waits may be, and how many are held back: only then
#: are they looked for, one by one. Whether something might have been claimed long ago.
CLAIMABLE = text(f"""
WITH now AS (SELECT EXISTS (SELECT FROM {messages.claimable("1")}) AS claimable)
SELECT now.claimable,
    CASE WHEN NOT now.claimable THEN
        (SELECT min(m.not_before) FROM outgoing_messages m
         WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.pool_index = :pool_index
           AND m.state = '{MessageState.PENDING}' AND m.place = ANY(CAST(:open AS text[]))
           AND m.not_before > :now AND NOT {held("m.recipient_phone_number")}) END AS first_not_before,
    CASE WHEN NOT now.claimable THEN
        (SELECT count(*) FROM outgoing_messages m
         WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.state = '{MessageState.PENDING}'
           AND {held("m.recipient_phone_number")}) ELSE 0 END AS held_back,
    EXISTS (SELECT FROM {messages.claimable("1", LONG)})
        AS claimable_long
FROM now
""")

#: How far off the next slot of each limit is, and how long it holds everybody back, in seconds: by the clock that the
#: slots are given out by.
SLOTS = text("""
SELECT key, extract(epoch FROM greatest(next_at, clock_timestamp()) - clock_timestamp())::float8 AS next_in,
       extract(epoch FROM greatest(held_until, clock_timestamp()) - clock_timestamp())::float8 AS held_for,
       failures, extract(epoch FROM clock_timestamp() - failing_since)::float8 AS failing_for,
       extract(epoch FROM clock_timestamp())::float8 - extract(epoch FROM
           CASE WHEN key = :number THEN greatest(next_at, held_until) ELSE held_until END)::float8 AS free_for
FROM pace WHERE key = ANY(:keys)
""")


class PaceLimit(Struct, frozen=True, kw_only=True):
    """The limit that decides: one of the sending number's, or a window of the carrier's."""

    #: `missive` for a window of Missive's; null for a limit of the sending number, a second or a minute.
    carrier: str | None
    messages: float
    seconds: float

    @property
    def a_minute(self) -> float:
        """How many messages a minute it allows."""
        return self.messages * 60 / self.seconds


class Going(Struct, frozen=True, kw_only=True):
    """How a phase goes on now."""

    remaining: int
    #: Messages that began to leave in the last minute.
    started_lately: int
    #: Whom the texts go through.
    carrier: str
    limit: PaceLimit
    #: Broadcasts that send under that limit now, this one included.
    shared_by: int
    waits_for: WaitReason | None
    #: When it goes on; null where nobody can tell, or it does not wait.
    until: Moment | None
    #: Since when the carrier answers with errors, or nothing has left though it might.
    since: Moment | None
    #: When the last message is likely to leave; null where nothing remains, or nobody can tell.
    expected_end: Moment | None
    #: From when on something is not sent any more: quiet hours begin then for which nobody waits. Null where all is
    #: likely to have left before.
    cut_off_at: Moment | None = None
    #: How many of those that remain the numbers may still start today; null where they have no such limit.
    left_today: int | None = None
    #: How many messages the reason is about, where it is not about all that remain.
    about: int = 0
    #: How many wait for the morning where they are, and when it comes to the first of them.
    asleep: int = 0
    wakes_at: Moment | None = None

    @property
    def version(self) -> tuple[object, ...]:
        """What it is worth to be told of at once: times in steps, since they are measured anew at each look."""
        until = self.until and round(self.until.timestamp() / wait_reasons.LONG)
        since = self.since and round(self.since.timestamp() / 60)
        return self.waits_for, until, since, self.started_lately > 0, self.asleep


class Pace(Struct, kw_only=True):
    """How a broadcast goes on now; null where it does not send."""

    broadcast_id: int
    state: BroadcastState
    now: Going | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """A broadcast that sends, and who shares its pace."""

    is_second: bool
    #: The numbers that it is sent from, its own first.
    numbers: list[int]
    made_at: datetime
    late: Late
    hold_until: datetime | None
    is_restored: bool
    #: Since when it is as it is: nobody has resumed it since, for one.
    since: datetime
    going: int
    going_from_numbers: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfNumber:
    """What remains of a phase for one of the broadcast's numbers."""

    pool_index: int
    number: SendingNumber
    #: To how many people messages have still to leave, by place.
    people: dict[str, int]
    #: How those stand that are pending.
    found: Outlooks
    #: How many it may still start today; None where it has no daily cap.
    left_today: int | None
    #: Broadcasts that send from it now.
    shared_by: int

    @property
    def remaining(self) -> int:
        return sum(self.people.values())


async def read(
    connection: Connection, broadcast_id: int, settings: Settings, now: datetime, counted: Sequence[InState]
) -> Going | None:
    """Return how a broadcast goes on at `now`, whose messages were counted; None where it does not send."""
    known = {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id)}
    facts = first_row(await connection.execute(FACTS, known), _Facts)
    if facts is None:
        return None
    phase = _phase([each for each in counted if each.is_second is facts.is_second])
    which = {"broadcast_id": broadcast_id, "is_second": facts.is_second}
    sent_from = await _numbers(connection, facts, which, phase, settings, now)
    one = _deciding_number(sent_from, settings, now)
    number = one.number
    limits, sharing = _limits(one, facts, settings)
    patience = PATIENCE * facts.going
    long = [place for place in one.found.open if one.found.by_place[place].window.opens <= now - patience]
    values = {**which, "pool_index": one.pool_index, "now": now, "long_ago": now - patience}
    values |= {"open": one.found.open, "long": long}
    claimable = first_row(await connection.execute(CLAIMABLE, values), Claimable)
    assert claimable is not None  # it counts
    keys = [limit.key for limit in limits]
    slots = all_rows(await connection.execute(SLOTS, {"keys": keys, "number": rate.number_key(number.id)}), Slot)
    closed = _closed(one, now, settings)
    rooms = [each.remaining if each.left_today is None else min(each.remaining, each.left_today) for each in sent_from]
    left_today = sum(rooms) if any(each.left_today is not None for each in sent_from) else None
    was_quiet = bool(one.found.by_place) and not long
    was_closed = was_quiet or number.closed_until(now - patience, settings.zone) is not None
    stuck_since = None if was_closed else wait_reasons.stuck(phase, claimable, slots, facts.since, now, patience)
    wait = wait_reasons.why(
        phase, claimable, slots, one.found.all_quiet_until, now,
        hold=facts.hold_until, is_restored=facts.is_restored, number=closed, stuck_since=stuck_since,
    )  # fmt: skip
    decides = _deciding(limits, sharing, wait)
    # What a day has no room for leaves on another one, and nobody knows who else sends by then.
    course = None
    if left_today is None or left_today >= phase.remaining:
        course = _slowest([_course(each, wait, settings, now, facts) for each in sent_from if each.remaining])
    asleep = [each.people[place] for each in sent_from for place in each.found.of(Standing.WAITS)]
    return Going(
        remaining=phase.remaining,
        started_lately=phase.started_lately,
        carrier=number.carrier_or(settings.carrier),
        limit=_named(decides, number, settings),
        shared_by=sharing[decides.key],
        waits_for=wait.reason if wait else None,
        until=wait.until if wait else None,
        since=wait.since if wait else None,
        about=wait.about if wait else 0,
        left_today=left_today,
        expected_end=course.ends if course is not None else None,
        cut_off_at=course.cut_off_at if course is not None else None,
        asleep=sum(asleep),
        wakes_at=min((each.found.opens_at for each in sent_from if each.found.opens_at), default=None),
    )


def _phase(messages: Sequence[InState]) -> Phase:
    return Phase(
        remaining=sum(each.count for each in messages if each.state in REMAINING),
        uncertain=sum(each.count for each in messages if each.state is MessageState.UNCERTAIN),
        started_lately=sum(each.started_lately for each in messages),
        claimed=sum(each.count for each in messages if each.state is MessageState.CLAIMED),
        last_started=max((each.last_started_at for each in messages if each.last_started_at), default=None),
    )


def _deciding(limits: Sequence[Limit], sharing: dict[str, int], wait: Wait | None) -> Limit:
    """Return the limit that decides: the one whose slot is waited for, or else the slowest for one of those who share.

    The sending number's comes first: it is everybody's own.
    """
    spaced = [limit for limit in limits if limit.interval]
    awaited = [limit for limit in spaced if wait is not None and limit.key == wait.key]
    return awaited[0] if awaited else max(spaced, key=lambda limit: round(limit.share * sharing[limit.key], 6))


def _named(limit: Limit, number: SendingNumber, settings: Settings) -> PaceLimit:
    if limit.window is None:
        return PaceLimit(carrier=None, messages=number.rate_or(settings.send_rate), seconds=1)
    is_own = limit.key.startswith(rate.NUMBER)
    carrier = None if is_own else number.carrier_or(settings.carrier)
    return PaceLimit(carrier=carrier, messages=limit.window.requests, seconds=limit.window.seconds)


async def _numbers(
    connection: Connection, facts: _Facts, which: Mapping[str, Any], phase: Phase, settings: Settings, now: datetime
) -> list[_OfNumber]:
    """Return what remains of a phase for each of the broadcast's numbers, its own first."""
    outlooks = [
        await places.outlooks(
            connection, which["broadcast_id"], settings.rules, now,
            is_second=facts.is_second, made_at=facts.made_at, late=facts.late, pool_index=index,
        )
        for index in range(len(facts.numbers))
    ]  # fmt: skip
    if len(outlooks) == 1 and len(outlooks[0].by_place) <= 1:
        pending = [(0, place, phase.remaining - phase.claimed) for place in outlooks[0].by_place]
        remain: Sequence[tuple[int, str | None, int]] = [*pending, (0, None, phase.claimed)]
    else:
        remain = (await connection.execute(REMAIN, which)).tuples().all()
    sent_from = []
    for index, (number_id, shared_by, found) in enumerate(
        zip(facts.numbers, facts.going_from_numbers, outlooks, strict=True)
    ):
        people = dict.fromkeys(found.by_place, 0)
        for place, count in [(place, count) for at, place, count in remain if at == index]:
            # What a batch has is going where it is day.
            goes_to = place if place is not None else next(iter(found.open or found.by_place), "")
            people[goes_to] = people.get(goes_to, 0) + count
        number = await sending_numbers.one(connection, number_id)
        day = daily.today(number, now, settings.zone)
        left = None if day is None else max(0, day.cap - await daily.started(connection, number.id, day.day))
        sent_from.append(
            _OfNumber(pool_index=index, number=number, people=people, found=found, left_today=left, shared_by=shared_by)
        )
    return sent_from


def _deciding_number(numbers: Sequence[_OfNumber], settings: Settings, now: datetime) -> _OfNumber:
    """Return the number that decides how a phase goes on: that with most work left, of those that send if any does."""
    left = [each for each in numbers if each.remaining] or numbers[:1]
    not_closed = [each for each in left if _closed(each, now, settings) is None] or left
    sending = [each for each in not_closed if each.found.all_quiet_until is None] or not_closed
    return max(sending, key=lambda each: (each.remaining / each.number.pace_or(settings.send_rate), -each.pool_index))


def _limits(one: _OfNumber, facts: _Facts, settings: Settings) -> tuple[Sequence[Limit], dict[str, int]]:
    """Return the limits that hold for a number, and how many broadcasts share each of them."""
    limits = rate.limits(settings, one.number)
    own = {limit.key for limit in rate.number_limits(settings, one.number)}
    return limits, {limit.key: one.shared_by if limit.key in own else facts.going for limit in limits}


def _closed(one: _OfNumber, now: datetime, settings: Settings) -> Wait | None:
    """Return why a number starts nothing now, whatever there is to send; None where it does."""
    if not one.number.enabled:
        return Wait(reason=WaitReason.NUMBER_OFF)
    if one.left_today == 0:
        return Wait(reason=WaitReason.DAILY_CAP, until=day_ends(now, settings.zone))
    closed = one.number.closed_until(now, settings.zone)
    return None if closed is None else Wait(reason=WaitReason.NUMBER_HOURS, until=closed)


def _course(one: _OfNumber, wait: Wait | None, settings: Settings, now: datetime, facts: _Facts) -> Course | None:
    """Return how what remains for a number is likely to go out; None where nobody can tell."""
    wait = _closed(one, now, settings) or wait
    if wait is not None and wait.reason in wait_reasons.OPEN_END:
        return None
    limits, sharing = _limits(one, facts, settings)
    decides = _deciding(limits, sharing, wait)
    spacing = decides.interval * sharing[decides.key]
    # Quiet hours that hold now are one of the rests, and may be one that nothing is left for.
    begins = now if wait is None or wait.reason is WaitReason.QUIET_HOURS else wait.until or now
    apart = min(timedelta(seconds=spacing), LONGEST / one.remaining)
    course = pace.course(begins, apart, one.people, settings.rules, made_at=facts.made_at, late=facts.late)
    return None if apart * one.remaining >= LONGEST - timedelta(seconds=1) and not course.is_cut_off else course


def _slowest(courses: Sequence[Course | None]) -> Course | None:
    """Return the course of all numbers together; None where there is none, or nobody can tell of one."""
    known = [course for course in courses if course is not None]
    if not known or len(known) < len(courses):
        return None
    cut_off = min((each.cut_off_at for each in known if each.cut_off_at is not None), default=None)
    return replace(max(known, key=lambda each: each.ends), cut_off_at=cut_off)
