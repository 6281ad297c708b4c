"""What follows from each answer."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from libs.common import events as e
from libs.common.carriers.codes import CODES, Kind
from libs.common.carriers.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from libs.common.texts import Attempt
from services.sender.answers import RETRY_AFTER, Consequence, consequence
from services.sender.batches import Started

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def what(outcome: Outcome, *, failures: int = 0, max_attempts: int = 3) -> Consequence:
    attempt = Attempt(text=7, broadcast_id=1, number=failures + 1, batch_id=uuid4(), to="+13135550001")
    return consequence(outcome, Started(attempt=attempt, failures=failures), max_attempts, NOW)


def deferred(code: str, retry_after: float | None = None) -> Deferred:
    return Deferred(code=code, reason="", retry_after=retry_after)


def returned(code: str, *, seconds: float, counts: bool) -> e.TextReturned:
    return e.TextReturned(broadcast_id=1, text=7, code=code, not_before=NOW + timedelta(seconds=seconds), counts=counts)


REFUSED = e.TextRefused(broadcast_id=1, text=7, code="21211")
ACCEPTED = e.TextAccepted(
    broadcast_id=1, text=7, missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued"
)
TAKEN = Accepted(missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued")
SPENT = Accepted(missive_id="M", missive_conversation_id="C", twilio_id="S", twilio_status="queued", wait=9)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (TAKEN, Consequence(event=ACCEPTED, outcome="accepted")),
        (SPENT, Consequence(event=ACCEPTED, outcome="accepted", hold=True, hold_seconds=9)),
        (Refused(code="21211", reason=""), Consequence(event=REFUSED, outcome="refused")),
        (
            Refused(code="21610", reason=""),
            Consequence(event=e.TextRefused(broadcast_id=1, text=7, code="21610"), outcome="refused", opt_out=True),
        ),
        (Unknown(reason="timeout"), Consequence(event=None, outcome="unknown", hold=True)),
        (
            Unknown(reason="http_503", retry_after=20),
            Consequence(event=None, outcome="unknown", hold=True, hold_seconds=20),
        ),
        (
            deferred("http_429", 30),
            Consequence(
                event=returned("http_429", seconds=30, counts=False), outcome="deferred", hold=True, hold_seconds=30
            ),
        ),
        (
            deferred("http_429"),
            Consequence(event=returned("http_429", seconds=0, counts=False), outcome="deferred", hold=True),
        ),
        (
            deferred("http_408"),
            Consequence(event=returned("http_408", seconds=RETRY_AFTER, counts=True), outcome="deferred"),
        ),
        (
            deferred("http_408", 2),
            Consequence(event=returned("http_408", seconds=2, counts=True), outcome="deferred", hold_seconds=2),
        ),
        (
            deferred("connect_failed"),
            Consequence(event=returned("connect_failed", seconds=0, counts=False), outcome="deferred", hold=True),
        ),
        (
            deferred("not_written"),
            Consequence(event=returned("not_written", seconds=0, counts=False), outcome="deferred", hold=True),
        ),
        (
            deferred("not_started"),
            Consequence(event=returned("not_started", seconds=0, counts=False), outcome="deferred"),
        ),
        (
            deferred("pool_timeout"),
            Consequence(event=returned("pool_timeout", seconds=0, counts=False), outcome="deferred"),
        ),
        (
            deferred("http_401"),
            Consequence(
                event=returned("http_401", seconds=0, counts=False), outcome="deferred", hold=True, pause="http_401"
            ),
        ),
    ],
    ids=lambda value: getattr(value, "code", None) or getattr(value, "outcome", None) or type(value).__name__,
)
def test_from_each_answer_follows_what_the_table_says(outcome: Outcome, expected: Consequence) -> None:
    assert what(outcome) == expected


@pytest.mark.parametrize("code", [code for code, meaning in CODES.items() if meaning.kind is Kind.STOP_BROADCAST])
def test_an_error_that_hits_every_text_pauses_the_broadcast_and_spends_no_text(code: str) -> None:
    followed = what(deferred(code), failures=9)
    assert followed.pause == code
    assert isinstance(followed.event, e.TextReturned)
    assert not followed.event.counts


@pytest.mark.parametrize(("failures", "kind"), [(0, e.TextReturned), (1, e.TextReturned), (2, e.TextRefused)])
def test_a_text_is_given_up_after_as_many_failures_of_its_own_as_any_gets(failures: int, kind: type) -> None:
    """Fault 18: failed texts were given back for ever, so a phase never ended."""
    assert isinstance(what(deferred("http_408"), failures=failures).event, kind)


@pytest.mark.parametrize("code", ["http_429", "connect_failed", "connect_timeout", "not_written", "not_started"])
def test_throttling_and_outages_never_use_up_a_texts_attempts(code: str) -> None:
    assert isinstance(what(deferred(code), failures=99).event, e.TextReturned)


def test_a_lost_answer_never_gives_a_text_back() -> None:
    """Fault 17: sent texts were given back and sent again."""
    assert what(Unknown(reason="connection_lost"), failures=99).event is None
