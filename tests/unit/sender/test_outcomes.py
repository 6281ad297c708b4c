"""What follows from each answer."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from libs.common.broadcasts.messages import Attempt
from libs.common.carriers.error_codes import CODES, ErrorAction
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.domain import events as e
from services.sender.batches import StartedAttempt
from services.sender.outcomes import RETRY_AFTER, Count, Effect, effect

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def what(outcome: Outcome, *, failures: int = 0, max_attempts: int = 3) -> Effect:
    attempt = Attempt(message_id=7, broadcast_id=1, number=failures + 1, batch_id=uuid4(), to="+13135550001")
    return effect(outcome, StartedAttempt(attempt=attempt, failures=failures, body="Hello"), max_attempts, NOW)


def deferred(code: str, retry_after: float | None = None) -> Deferred:
    return Deferred(code=code, reason="", retry_after=retry_after)


def returned(code: str, *, seconds: float, counts: bool) -> e.MessageReturned:
    return e.MessageReturned(
        broadcast_id=1, message_id=7, code=code, not_before=NOW + timedelta(seconds=seconds), counts=counts
    )


REFUSED = e.MessageRefused(broadcast_id=1, message_id=7, code="21211")
ACCEPTED = e.MessageAccepted(
    broadcast_id=1, message_id=7, missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued"
)
TAKEN = Accepted(missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued")
SPENT = Accepted(missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued", wait=9)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (TAKEN, Effect(event=ACCEPTED, outcome=Count.ACCEPTED)),
        (SPENT, Effect(event=ACCEPTED, outcome=Count.ACCEPTED, hold=True, hold_seconds=9)),
        (Refused(code="21211", reason=""), Effect(event=REFUSED, outcome=Count.REFUSED)),
        (
            Refused(code="21610", reason=""),
            Effect(
                event=e.MessageRefused(broadcast_id=1, message_id=7, code="21610"), outcome=Count.REFUSED, opt_out=True
            ),
        ),
        (Unknown(reason="timeout"), Effect(event=None, outcome=Count.UNKNOWN, hold=True)),
        (
            Unknown(reason="http_503", retry_after=20),
            Effect(event=None, outcome=Count.UNKNOWN, hold=True, hold_seconds=20),
        ),
        (
            deferred("http_429", 30),
            Effect(
                event=returned("http_429", seconds=30, counts=False), outcome=Count.DEFERRED, hold=True, hold_seconds=30
            ),
        ),
        (
            deferred("http_429"),
            Effect(event=returned("http_429", seconds=0, counts=False), outcome=Count.DEFERRED, hold=True),
        ),
        (
            deferred("http_408"),
            Effect(event=returned("http_408", seconds=RETRY_AFTER, counts=True), outcome=Count.DEFERRED),
        ),
        (
            deferred("http_408", 2),
            Effect(event=returned("http_408", seconds=2, counts=True), outcome=Count.DEFERRED, hold_seconds=2),
        ),
        (
            deferred("connect_failed"),
            Effect(event=returned("connect_failed", seconds=0, counts=False), outcome=Count.DEFERRED, hold=True),
        ),
        (
            deferred("not_written"),
            Effect(event=returned("not_written", seconds=0, counts=False), outcome=Count.DEFERRED, hold=True),
        ),
        (
            deferred("gateway_404"),
            Effect(event=returned("gateway_404", seconds=0, counts=False), outcome=Count.DEFERRED, hold=True),
        ),
        (
            Unknown(reason="gateway_400"),
            Effect(event=None, outcome=Count.UNKNOWN, hold=True),
        ),
        (
            deferred("not_started"),
            Effect(event=returned("not_started", seconds=0, counts=False), outcome=Count.DEFERRED),
        ),
        (
            deferred("pool_timeout"),
            Effect(event=returned("pool_timeout", seconds=0, counts=False), outcome=Count.DEFERRED),
        ),
        (
            deferred("http_401"),
            Effect(
                event=returned("http_401", seconds=0, counts=False), outcome=Count.DEFERRED, hold=True, pause="http_401"
            ),
        ),
    ],
    ids=lambda value: getattr(value, "code", None) or getattr(value, "outcome", None) or type(value).__name__,
)
def test_from_each_answer_follows_what_the_table_says(outcome: Outcome, expected: Effect) -> None:
    assert what(outcome) == expected


@pytest.mark.parametrize(
    "code", [code for code, meaning in CODES.items() if meaning.kind is ErrorAction.STOP_BROADCAST]
)
def test_an_error_that_hits_every_message_pauses_the_broadcast_and_spends_no_message(code: str) -> None:
    followed = what(deferred(code), failures=9)
    assert followed.pause == code
    assert isinstance(followed.event, e.MessageReturned)
    assert not followed.event.counts


@pytest.mark.parametrize(("failures", "kind"), [(0, e.MessageReturned), (1, e.MessageReturned), (2, e.MessageRefused)])
def test_a_message_is_given_up_after_as_many_failures_of_its_own_as_any_gets(failures: int, kind: type) -> None:
    """Fault 18: failed messages were given back for ever, so a phase never ended."""
    assert isinstance(what(deferred("http_408"), failures=failures).event, kind)


@pytest.mark.parametrize(
    "code", ["http_429", "connect_failed", "connect_timeout", "not_written", "not_started", "gateway_401"]
)
def test_throttling_and_outages_never_use_up_a_messages_attempts(code: str) -> None:
    assert isinstance(what(deferred(code), failures=99).event, e.MessageReturned)


def test_a_lost_answer_never_gives_a_message_back() -> None:
    """Fault 17: sent messages were given back and sent again."""
    assert what(Unknown(reason="connection_lost"), failures=99).event is None
