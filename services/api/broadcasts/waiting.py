"""How fast a broadcast may go now, by which limit, why it waits, and when its last message is likely to leave.

It only reads. What the planner and the sender go by (pace, holds, quiet hours, what may be claimed) is read as they
read it. `settings` of the API are those of the sender: number, rate, carrier and windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
SELECT b.state = '{BroadcastState.SENDING_SECOND}' AS is_second, b.sending_number_id,
    b.made_at, b.late, b.hold_until, {restore_hold.HOLDS} AS is_restored,
    greatest(b.made_at, b.hold_until, (SELECT reconciled_at FROM restored),
             (SELECT occurred_at FROM events WHERE stream = :stream ORDER BY version DESC LIMIT 1)) AS since,
    (SELECT count(*) FROM broadcasts o WHERE o.completed_at IS NULL AND o.state IN {literals(GOING)}) AS going,
    (SELECT count(*) FROM broadcasts o WHERE o.completed_at IS NULL AND o.state IN {literals(GOING)}
     AND o.sending_number_id = b.sending_number_id) AS going_from_number
FROM broadcasts b WHERE b.id = :broadcast_id AND b.state IN {literals(GOING)}
""").columns(late=EnumText(Late))

#: How many messages of a phase nobody has claimed, by the place that they go to.
BY_PLACE = text(f"""
SELECT place, count(*) FROM outgoing_messages
WHERE broadcast_id = :broadcast_id AND is_second = :is_second AND state = '{MessageState.PENDING}' GROUP BY place
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
         WHERE m.broadcast_id = :broadcast_id AND m.is_second = :is_second AND m.state = '{MessageState.PENDING}'
           AND m.place = ANY(CAST(:open AS text[]))
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
    #: How many more messages the number may start today; null where it has no such limit.
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
    sending_number_id: int
    made_at: datetime
    late: Late
    hold_until: datetime | None
    is_restored: bool
    #: Since when it is as it is: nobody has resumed it since, for one.
    since: datetime
    going: int
    going_from_number: int


async def read(
    connection: Connection, broadcast_id: int, settings: Settings, now: datetime, counted: Sequence[InState]
) -> Going | None:
    """Return how a broadcast goes on at `now`, whose messages were counted; None where it does not send."""
    known = {"broadcast_id": broadcast_id, "stream": store.stream(broadcast_id)}
    facts = first_row(await connection.execute(FACTS, known), _Facts)
    if facts is None:
        return None
    which = {"broadcast_id": broadcast_id, "is_second": facts.is_second}
    number = await sending_numbers.one(connection, facts.sending_number_id)
    limits = rate.limits(settings, number)
    own = {limit.key for limit in rate.number_limits(settings, number)}
    sharing = {limit.key: facts.going_from_number if limit.key in own else facts.going for limit in limits}
    patience = PATIENCE * facts.going
    phase = _phase([each for each in counted if each.is_second is facts.is_second])
    found = await places.outlooks(
        connection, broadcast_id, settings.rules, now,
        is_second=facts.is_second, made_at=facts.made_at, late=facts.late,
    )  # fmt: skip
    long = [place for place in found.open if found.by_place[place].window.opens <= now - patience]
    values = {**which, "now": now, "long_ago": now - patience, "open": found.open, "long": long}
    claimable = first_row(await connection.execute(CLAIMABLE, values), Claimable)
    assert claimable is not None  # it counts
    keys = [limit.key for limit in limits]
    slots = all_rows(await connection.execute(SLOTS, {"keys": keys, "number": rate.number_key(number.id)}), Slot)
    day = daily.today(number, now, settings.zone)
    left_today = None if day is None else max(0, day.cap - await daily.started(connection, number.id, day.day))
    closed = _closed(number, left_today, now, settings)
    was_quiet = bool(found.by_place) and not long
    was_closed = was_quiet or number.closed_until(now - patience, settings.zone) is not None
    stuck_since = None if was_closed else wait_reasons.stuck(phase, claimable, slots, facts.since, now, patience)
    wait = wait_reasons.why(
        phase, claimable, slots, found.all_quiet_until, now,
        hold=facts.hold_until, is_restored=facts.is_restored, number=closed, stuck_since=stuck_since,
    )  # fmt: skip
    decides = _deciding(limits, sharing, wait)
    people = await _people(connection, which, found, phase)
    # What a day has no room for leaves on another one, and nobody knows who else sends by then.
    course = (
        None
        if left_today is not None and left_today < phase.remaining
        else _course(people, decides.interval * sharing[decides.key], wait, settings, now, facts)
    )
    asleep = found.of(Standing.WAITS)
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
        asleep=sum(people[place] for place in asleep),
        wakes_at=found.opens_at,
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


async def _people(connection: Connection, which: Mapping[str, Any], found: Outlooks, phase: Phase) -> dict[str, int]:
    """Return to how many people messages of a phase have still to leave, by place."""
    if len(found.by_place) > 1:
        people = dict((await connection.execute(BY_PLACE, which)).tuples().all())
    else:
        people = dict.fromkeys(found.by_place, phase.remaining - phase.claimed)
    # What a batch has is going where it is day.
    here = next(iter(found.open or found.by_place), "")
    people[here] = people.get(here, 0) + phase.claimed
    return {place: people.get(place, 0) for place in {*people, *found.by_place}}


def _closed(number: SendingNumber, left_today: int | None, now: datetime, settings: Settings) -> Wait | None:
    """Return why a number starts nothing now, whatever there is to send; None where it does."""
    if not number.enabled:
        return Wait(reason=WaitReason.NUMBER_OFF)
    if left_today == 0:
        return Wait(reason=WaitReason.DAILY_CAP, until=day_ends(now, settings.zone))
    closed = number.closed_until(now, settings.zone)
    return None if closed is None else Wait(reason=WaitReason.NUMBER_HOURS, until=closed)


def _course(
    people: Mapping[str, int], spacing: float, wait: Wait | None, settings: Settings, now: datetime, facts: _Facts
) -> Course | None:
    """Return how the rest of a phase is likely to go out; None where nothing remains, or nobody can tell."""
    remaining = sum(people.values())
    if not remaining or (wait is not None and wait.reason in wait_reasons.OPEN_END):
        return None
    # Quiet hours that hold now are one of the rests, and may be one that nothing is left for.
    begins = now if wait is None or wait.reason is WaitReason.QUIET_HOURS else wait.until or now
    apart = min(timedelta(seconds=spacing), LONGEST / remaining)
    course = pace.course(begins, apart, people, settings.rules, made_at=facts.made_at, late=facts.late)
    return None if apart * remaining >= LONGEST - timedelta(seconds=1) and not course.is_cut_off else course
