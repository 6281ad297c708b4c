"""The attempts of a message to one person: started, answered, or lost.

It is sent at most once, as every message is: the attempt is on record before the request leaves, and one that got no
answer is uncertain. It is never sent again by itself; the carrier's log says what became of it (`single_log.py`).

The statement that starts an attempt runs alone with what its number wants (`opt_outs.ALONE`): an opt-out, or a doubt,
was committed before, and nothing starts, or comes after what has been sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from libs.common.broadcasts import opt_outs, restore_hold, single_messages
from libs.common.broadcasts.suppression import held, opted_out
from libs.common.carriers.error_codes import NOT_STARTED, POOL_TIMEOUT, ErrorAction, classify
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.database import Connection, EnumText, first_row, literals
from libs.common.domain.states import UNANSWERED, ConsentSource, MessageState, SinglePurpose, SkipReason
from libs.common.rate_limits import rate

RETRY_AFTER = timedelta(seconds=5)  # before a message that was refused for now is tried again
HELD_BACK = timedelta(seconds=30)  # before it is looked whether a message may start that could not
TOO_LATE = timedelta(hours=24)  # after it was asked for: nobody expects it then

#: The message that is due longest.
DUE = text(f"""
SELECT s.id, s.phone_number, s.sending_number_id, s.purpose,
       (SELECT c.time_zone FROM contacts c WHERE c.phone_number = s.phone_number) AS time_zone
FROM single_messages s
WHERE s.state = '{MessageState.PENDING}' AND s.not_before <= :now ORDER BY s.not_before, s.id LIMIT 1
""").columns(purpose=EnumText(SinglePurpose))

#: Starts an attempt, unless somebody has said no; after this has committed its request may leave.
START = text(f"""
UPDATE single_messages s SET state = '{MessageState.STARTED}', attempts = s.attempts + 1, attempt_started_at = :now
WHERE s.id = :id AND s.state = '{MessageState.PENDING}' AND s.not_before <= :now AND s.asked_at > :too_old
  AND NOT {opted_out("s.phone_number")} AND NOT {held("s.phone_number")} AND NOT {restore_hold.HOLDS}
  AND NOT (:quiet AND s.purpose = '{SinglePurpose.ANSWER}')
RETURNING s.id, s.attempts AS number, s.failures, s.phone_number AS to_number, s.body,
          (SELECT n.phone_number FROM sending_numbers n WHERE n.id = s.sending_number_id) AS from_number
""")

#: What could not start waits, or is given up.
PUT_OFF = text(f"""
UPDATE single_messages s SET not_before = greatest(s.not_before, :again), skip_reason = CASE
    WHEN {opted_out("s.phone_number")} THEN '{SkipReason.OPTED_OUT}'
    WHEN s.asked_at > :too_old THEN NULL
    WHEN {held("s.phone_number")} THEN '{SkipReason.HELD_FOR_REVIEW}'
    ELSE '{SkipReason.QUIET_HOURS}' END,
    state = CASE WHEN {opted_out("s.phone_number")} OR s.asked_at <= :too_old
        THEN '{MessageState.SKIPPED}' ELSE s.state END
WHERE s.id = :id AND s.state = '{MessageState.PENDING}'
RETURNING s.state, s.skip_reason
""").columns(state=EnumText(MessageState), skip_reason=EnumText(SkipReason))

#: Records what came of an attempt, unless it is known from elsewhere.
ANSWER = text(f"""
UPDATE single_messages SET state = :state, not_before = :not_before, failures = failures + :counts,
    missive_id = :missive_id, missive_conversation_id = :missive_conversation_id, twilio_id = :twilio_id,
    twilio_sent_status = :status, twilio_error_code = :code, look_at = :look_at
WHERE id = :id AND attempts = :number AND state IN {literals(UNANSWERED)}
RETURNING id
""")

#: Makes uncertain what was started and never answered: its worker died.
GIVE_UP_WAITING = text(f"""
UPDATE single_messages SET state = '{MessageState.UNCERTAIN}', look_at = :now
WHERE state = '{MessageState.STARTED}' AND attempt_started_at < :before RETURNING id
""")

#: What was to be sent when the database was restored to an earlier time may have been sent since.
DOUBT = text(f"""
UPDATE single_messages SET state = '{MessageState.UNCERTAIN}', attempts = greatest(attempts, 1),
    attempt_started_at = coalesce(attempt_started_at, asked_at), look_at = :now
WHERE state IN {literals((MessageState.PENDING, MessageState.STARTED))}
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is to be sent now."""

    id: int
    phone_number: str
    sending_number_id: int
    purpose: SinglePurpose
    #: Where their clocks are; None where nobody who is known has the number, or it is not known of them.
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt whose request may leave now."""

    id: int
    #: Counts the message's attempts.
    number: int
    failures: int
    to_number: str
    body: str
    from_number: str


@dataclass(frozen=True, slots=True)
class _PutOff:
    """A message that could not start."""

    state: MessageState
    skip_reason: SkipReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What an answer means."""

    state: MessageState
    code: str | None = None
    not_before: datetime
    counts: bool = False
    #: Whether everybody is held back, for so many seconds or for a wait that doubles with each failure.
    hold: bool = False
    hold_seconds: float | None = None


async def due(connection: Connection, now: datetime) -> Due | None:
    """Return the message that is due longest; None if none is."""
    return first_row(await connection.execute(DUE, {"now": now}), Due)


async def start(connection: Connection, message: Due, *, quiet_until: datetime | None, now: datetime) -> Started | None:
    """Commit an attempt with the caller's transaction; None if the message must not leave, or not now.

    Quiet hours hold back answers. A test goes to colleagues, when they want to see it.
    """
    await connection.execute(opt_outs.ALONE, {"phone_number": message.phone_number})
    too_old = now - TOO_LATE
    which = {"id": message.id, "now": now, "too_old": too_old, "quiet": quiet_until is not None}
    started = first_row(await connection.execute(START, which), Started)
    if started is not None:
        return started
    await _put_off(connection, message, max(now + HELD_BACK, quiet_until or now), now)
    return None


async def wait(connection: Connection, message: Due, until: datetime, now: datetime) -> None:
    """Put a message off whose number does not send now; one that nobody expects any more is given up."""
    await _put_off(connection, message, until, now)


async def _put_off(connection: Connection, message: Due, again: datetime, now: datetime) -> None:
    cursor = await connection.execute(PUT_OFF, {"id": message.id, "too_old": now - TOO_LATE, "again": again})
    put_off = first_row(cursor, _PutOff)
    if put_off is not None and put_off.state is MessageState.SKIPPED:
        await single_messages.ended(connection, message.id, put_off.state, put_off.skip_reason, now)


async def record(
    connection: Connection, started: Started, outcome: Outcome, *, carrier: str, max_attempts: int, look_after: float,
    now: datetime,
) -> MessageState:  # fmt: skip
    """Record an answer and what follows from it; return what the message is then.

    The log is looked at `look_after` seconds later for what the answer does not say.
    """
    effect = _effect(outcome, started, max_attempts, now)
    accepted = outcome if isinstance(outcome, Accepted) else Accepted()
    is_tracked = effect.state in (MessageState.UNCERTAIN, MessageState.ACCEPTED)
    cursor = await connection.execute(
        ANSWER,
        {
            "id": started.id,
            "number": started.number,
            "state": effect.state,
            "not_before": effect.not_before,
            "counts": int(effect.counts),
            "missive_id": accepted.missive_id,
            "missive_conversation_id": accepted.missive_conversation_id,
            "twilio_id": accepted.twilio_id,
            "status": accepted.twilio_status,
            "code": effect.code,
            "look_at": now + timedelta(seconds=look_after) if is_tracked else None,
        },
    )
    if cursor.first() is not None and effect.state is not MessageState.PENDING:
        await single_messages.ended(connection, started.id, effect.state, effect.code, now)
    if isinstance(outcome, Refused) and classify(outcome.code).kind is ErrorAction.OPT_OUT:
        note = opt_outs.carrier_code(outcome.code)
        await opt_outs.opt_out(connection, started.to_number, ConsentSource.CARRIER, now, note=note)
    if effect.hold:
        await rate.back_off(connection, carrier, effect.hold_seconds)
    if effect.state is MessageState.ACCEPTED:
        await rate.release(connection, carrier)
    return effect.state


def _effect(outcome: Outcome, started: Started, max_attempts: int, now: datetime) -> _Effect:
    """Decide what follows from an answer. What hits every message alike uses none of this one's attempts."""
    match outcome:
        case Accepted():
            full = outcome.wait is not None
            return _Effect(state=MessageState.ACCEPTED, not_before=now, hold=full, hold_seconds=outcome.wait)
        case Refused():
            return _Effect(state=MessageState.REFUSED, not_before=now, code=outcome.code)
        case Unknown():
            return _Effect(state=MessageState.UNCERTAIN, not_before=now, hold=True, hold_seconds=outcome.retry_after)
        case Deferred():
            is_ours = outcome.code in (NOT_STARTED, POOL_TIMEOUT)
            kind = classify(outcome.code).kind
            counts = kind is ErrorAction.RETRY and not is_ours
            # One message is no broadcast that could be paused: what every message would be refused for ends it.
            if kind is ErrorAction.STOP_BROADCAST or (counts and started.failures + 1 >= max_attempts):
                return _Effect(state=MessageState.REFUSED, not_before=now, code=outcome.code)
            wait = RETRY_AFTER if outcome.retry_after is None else timedelta(seconds=outcome.retry_after)
            return _Effect(
                state=MessageState.PENDING,
                not_before=now if is_ours else now + wait,
                counts=counts,
                hold=not is_ours and not counts,
                hold_seconds=outcome.retry_after,
            )


async def give_up_waiting(connection: Connection, before: datetime, now: datetime) -> int:
    """Make the messages that were started before `before` and never answered uncertain; return how many."""
    lost: Sequence[int] = (await connection.execute(GIVE_UP_WAITING, {"before": before, "now": now})).scalars().all()
    for single_id in lost:
        await single_messages.ended(connection, single_id, MessageState.UNCERTAIN, None, now)
    return len(lost)


async def doubt(connection: Connection, now: datetime) -> None:
    """Make uncertain what a restored database would send: it may have been sent after the point of the restore."""
    await connection.execute(DOUBT, {"now": now})
