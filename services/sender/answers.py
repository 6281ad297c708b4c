"""What follows from the carrier's answer to a text: a pure function, and its recording."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common import broadcast as rules
from libs.common import consent, filtering, lifecycle, pace, texts
from libs.common import events as e
from libs.common.carriers.codes import Kind, classify
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.database import Connection
from services.sender.batches import Started

RETRY_AFTER = 5.0  # seconds before a text that was refused for now is tried again
#: Codes of requests that never left because of us: the carrier is not to blame, and nobody has to wait.
OURS = frozenset({"not_started", "pool_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What an answer means for the text, and for everybody else."""

    #: None if the answer is lost: the text is uncertain.
    event: e.TextAccepted | e.TextRefused | e.TextReturned | None
    #: A name for metrics.
    outcome: str
    #: Whether everybody is held back, for `hold_seconds` or for a wait that doubles with each failure.
    hold: bool = False
    hold_seconds: float | None = None
    opt_out: bool = False
    #: The code for which the broadcast is paused: every text of it would be refused.
    pause: str | None = None


def consequence(outcome: Outcome, started: Started, max_attempts: int, now: datetime) -> Consequence:
    """Decide what follows from an answer.

    A text is given up only for what is its own fault, or after `max_attempts` refusals that were about it. What hits
    every text alike (throttling, an outage, a closed account) uses none of its attempts: everybody waits instead.
    """
    attempt = started.attempt
    match outcome:
        case Accepted():
            event = e.TextAccepted(
                broadcast_id=attempt.broadcast_id,
                text=attempt.text,
                missive_id=outcome.missive_id,
                missive_conversation_id=outcome.missive_conversation_id,
                twilio_id=outcome.twilio_id,
                twilio_status=outcome.twilio_status,
            )
            full = outcome.wait is not None
            return Consequence(event=event, outcome="accepted", hold=full, hold_seconds=outcome.wait)
        case Refused():
            refused = e.TextRefused(broadcast_id=attempt.broadcast_id, text=attempt.text, code=outcome.code)
            stop = classify(outcome.code).kind is Kind.OPT_OUT
            return Consequence(event=refused, outcome="refused", opt_out=stop)
        case Unknown():
            return Consequence(event=None, outcome="unknown", hold=True, hold_seconds=outcome.retry_after)
        case Deferred():
            return _deferred(outcome, started, max_attempts, now)


def _deferred(outcome: Deferred, started: Started, max_attempts: int, now: datetime) -> Consequence:
    attempt = started.attempt
    kind = classify(outcome.code).kind
    carrier_wide = outcome.code.startswith("connect_") or outcome.code == "not_written"
    counts = kind is Kind.RETRY and not carrier_wide and outcome.code not in OURS
    if counts and started.failures + 1 >= max_attempts:
        refused = e.TextRefused(broadcast_id=attempt.broadcast_id, text=attempt.text, code=outcome.code)
        return Consequence(event=refused, outcome="refused")
    wait = outcome.retry_after if outcome.retry_after is not None else (RETRY_AFTER if counts else 0.0)
    event = e.TextReturned(
        broadcast_id=attempt.broadcast_id,
        text=attempt.text,
        code=outcome.code,
        not_before=now + timedelta(seconds=wait),
        counts=counts,
    )
    return Consequence(
        event=event,
        outcome="deferred",
        hold=outcome.code not in OURS and not counts,
        hold_seconds=outcome.retry_after,
        pause=outcome.code if kind is Kind.STOP_BROADCAST else None,
    )


async def record(
    connection: Connection, started: Started, outcome: Outcome, *, carrier: str, max_attempts: int, now: datetime
) -> Consequence:
    """Record an answer and what follows from it, in the caller's transaction."""
    attempt = started.attempt
    what = consequence(outcome, started, max_attempts, now)
    refused = isinstance(what.event, e.TextRefused)
    if refused or what.pause is not None:
        # The broadcast's row comes before its texts' rows, here as in the planner.
        broadcast, version = await lifecycle.load(connection, attempt.broadcast_id)
        if what.pause is not None and broadcast.state in rules.PAUSABLE:
            await lifecycle.record(connection, attempt.broadcast_id, version, rules.pause(broadcast, what.pause), now)
    if what.event is None:
        assert isinstance(outcome, Unknown)
        await texts.unanswered(connection, attempt, outcome.reason, now)
    else:
        await texts.answered(connection, attempt, what.event, now)
    if refused:
        await filtering.pause_if_refused(connection, attempt.broadcast_id, now)
    if what.opt_out:
        await consent.opt_out(connection, attempt.to, "carrier", now, broadcast_id=attempt.broadcast_id)
    if what.hold:
        await pace.hold(connection, carrier, what.hold_seconds)
    if what.outcome == "accepted":
        await pace.release(connection, carrier)
    return what
