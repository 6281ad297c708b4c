"""What follows from the carrier's answer to a message: a pure function, and its recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from libs.common.broadcasts import acceptances, auto_pause, messages, opt_outs, repository, unreachable
from libs.common.carriers.error_codes import ErrorAction, classify
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.database import Connection, Engine
from libs.common.domain import events as e
from libs.common.domain.cause import Cause
from libs.common.domain.states import ConsentSource
from libs.common.observability import telemetry
from libs.common.rate_limits import rate
from services.sender.batches import StartedAttempt

RETRY_AFTER = 5.0  # seconds before a message that was refused for now is tried again
#: Codes of requests that were never sent because of us: the carrier is not to blame, and nobody has to wait.
OURS = frozenset({"not_started", "pool_timeout"})


class Count(StrEnum):
    """What an answer is counted as in the metrics."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"


def begin_at_zero() -> None:
    """Have this process expose each outcome, from 0 on (`libs/common/broadcasts/counters.py`)."""
    for count in Count:
        telemetry.MESSAGES.labels(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an answer means for the message, and for everybody else."""

    #: None if the answer is lost: the message is uncertain.
    event: e.MessageAccepted | e.MessageRefused | e.MessageReturned | None
    outcome: Count
    #: Whether everybody is held back, for `hold_seconds` or for a wait that doubles with each failure.
    hold: bool = False
    hold_seconds: float | None = None
    opt_out: bool = False
    #: The code for which the broadcast is paused: every message of it would be refused.
    pause: str | None = None


def effect(outcome: Outcome, started: StartedAttempt, max_attempts: int, now: datetime) -> Effect:
    """Decide what follows from an answer.

    A message is given up only for what is its own fault, or after `max_attempts` refusals that were about it. What hits
    every message alike (throttling, an outage, a closed account) uses none of its attempts: everybody waits instead.
    """
    attempt = started.attempt
    match outcome:
        case Accepted():
            return _accepted(outcome, started)
        case Refused():
            refused = e.MessageRefused(
                broadcast_id=attempt.broadcast_id, message_id=attempt.message_id, code=outcome.code
            )
            stop = classify(outcome.code).kind is ErrorAction.OPT_OUT
            return Effect(event=refused, outcome=Count.REFUSED, opt_out=stop)
        case Unknown():
            return Effect(event=None, outcome=Count.UNKNOWN, hold=True, hold_seconds=outcome.retry_after)
        case Deferred():
            return _deferred(outcome, started, max_attempts, now)


def _accepted(outcome: Accepted, started: StartedAttempt) -> Effect:
    event = e.MessageAccepted(
        broadcast_id=started.attempt.broadcast_id,
        message_id=started.attempt.message_id,
        missive_id=outcome.missive_id,
        missive_conversation_id=outcome.missive_conversation_id,
        twilio_id=outcome.twilio_id,
        twilio_status=outcome.twilio_status,
    )
    full = outcome.wait is not None
    return Effect(event=event, outcome=Count.ACCEPTED, hold=full, hold_seconds=outcome.wait)


def _deferred(outcome: Deferred, started: StartedAttempt, max_attempts: int, now: datetime) -> Effect:
    attempt = started.attempt
    kind = classify(outcome.code).kind
    counts = kind is ErrorAction.RETRY and outcome.code not in OURS
    if counts and started.failures + 1 >= max_attempts:
        refused = e.MessageRefused(broadcast_id=attempt.broadcast_id, message_id=attempt.message_id, code=outcome.code)
        return Effect(event=refused, outcome=Count.REFUSED)
    wait = outcome.retry_after if outcome.retry_after is not None else (RETRY_AFTER if counts else 0.0)
    event = e.MessageReturned(
        broadcast_id=attempt.broadcast_id,
        message_id=attempt.message_id,
        code=outcome.code,
        not_before=now + timedelta(seconds=wait),
        counts=counts,
    )
    return Effect(
        event=event,
        outcome=Count.DEFERRED,
        hold=outcome.code not in OURS and not counts,
        hold_seconds=outcome.retry_after,
        pause=outcome.code if kind is ErrorAction.STOP_BROADCAST else None,
    )


async def record(
    connection: Connection, started: StartedAttempt, outcome: Outcome, *, carrier: str, max_attempts: int, now: datetime
) -> Effect:
    """Record an answer and what follows from it, in the caller's transaction."""
    attempt = started.attempt
    what = effect(outcome, started, max_attempts, now)
    refused = what.event if isinstance(what.event, e.MessageRefused) else None
    # The broadcast's row comes before its messages' rows, here as in the planner.
    if what.pause is not None or refused is not None:
        await repository.lock(connection, attempt.broadcast_id)
    if what.pause is not None:
        await auto_pause.pause_for(connection, attempt.broadcast_id, what.pause, now)
    if what.event is None:
        assert isinstance(outcome, Unknown)
        await messages.unanswered(connection, attempt, outcome.reason, now)
    elif isinstance(what.event, e.MessageAccepted):
        await acceptances.record(connection, attempt, what.event, now, carrier=carrier)
    else:
        await messages.answered(connection, attempt, what.event, now)
    if refused is not None:
        if classify(refused.code).is_unreachable:
            await unreachable.judge(connection, [attempt.to], now, broadcast_id=attempt.broadcast_id)
        await auto_pause.pause_if_refused(connection, attempt.broadcast_id, now)
    if refused is not None and what.opt_out:
        await opt_outs.opt_out(
            connection,
            attempt.to,
            ConsentSource.CARRIER,
            now,
            broadcast_id=attempt.broadcast_id,
            note=opt_outs.carrier_code(refused.code),
        )
    if what.hold:
        await rate.back_off(connection, carrier, what.hold_seconds)
    if what.outcome is Count.ACCEPTED:
        await rate.release(connection, carrier)  # a full window is no failure
    return what


async def record_acceptance(
    engine: Engine,
    cause: Cause,
    started: StartedAttempt,
    accepted: Accepted,
    *,
    carrier: str,
    permits: Sequence[int],
    now: datetime,
) -> Effect:
    """Record what nearly all answers are, an acceptance after which nobody has to wait, in one round trip.

    The permits of its request are free then.
    """
    assert accepted.wait is None, "the carrier wants us to wait"
    what = _accepted(accepted, started)
    assert isinstance(what.event, e.MessageAccepted)
    await acceptances.record_alone(engine, cause, started.attempt, what.event, now, carrier=carrier, permits=permits)
    return what
