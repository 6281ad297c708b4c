"""Every outcome there can be has words of its own, and the words are an editor's."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from libs.common.broadcasts import explanations
from libs.common.broadcasts.explanations import Result, explain
from libs.common.broadcasts.outcome_kinds import Kind
from libs.common.carriers import error_codes
from libs.common.domain.states import MessageState, Outcome, SkipReason


def result(state: MessageState, **known: str | None) -> Result:
    given: dict[str, Any] = {"skip_reason": None, "outcome": None, "status": None, "code": None, **known}
    return Result(is_second=False, state=state, **given)


@pytest.mark.parametrize("reason", SkipReason)
@pytest.mark.parametrize("is_second", [False, True])
def test_every_reason_for_which_a_message_is_skipped_has_words(reason: SkipReason, is_second: bool) -> None:
    said = explain(
        Result(
            is_second=is_second,
            state=MessageState.SKIPPED,
            skip_reason=reason,
            outcome=None,
            status=None,
            code=None,
        )
    )
    assert said.kind is Kind.NOT_SENT
    assert said.sentence
    assert reason not in said.sentence.split() or reason in ("cancelled", "replied")


@pytest.mark.parametrize("code", ["http_400", "99999"])
def test_a_code_that_nobody_knows_is_said_without_our_words(code: str) -> None:
    assert explanations.failure(code) == ("Refused, and we do not know why", explanations.ASK)


@pytest.mark.parametrize("code", [*error_codes.CODES, "unknown", "99999", None])
def test_every_failure_has_a_sentence_and_an_advice(code: str | None) -> None:
    sentence, advice = explanations.failure(code)
    assert sentence
    assert advice
    assert str(code) not in sentence


def test_a_delivered_message_is_told_from_one_that_was_only_handed_over() -> None:
    handed_over = result(MessageState.ACCEPTED, outcome=Outcome.ACCEPTED, status="sent")
    delivered = result(MessageState.ACCEPTED, outcome=Outcome.ACCEPTED, status="delivered")
    assert (explain(handed_over).kind, explain(delivered).kind) == (Kind.SENT, Kind.DELIVERED)


def test_a_message_that_missive_kept_is_a_failure_and_not_sent() -> None:
    kept = result(MessageState.ACCEPTED, outcome=Outcome.NOT_HANDED_OVER)
    assert explain(kept).kind is Kind.FAILED


def test_an_explanation_s_key_is_an_address_and_each_key_has_one_sentence() -> None:
    said: dict[str, set[str]] = {}
    statuses = ("delivered", "undelivered", "failed", "sent", None)
    for state, reason, outcome, status, code in product(
        MessageState, SkipReason, (Outcome.ACCEPTED, Outcome.NOT_HANDED_OVER), statuses, ("30003", "30005", None)
    ):
        found = explain(result(state, skip_reason=reason, outcome=outcome, status=status, code=code))
        assert found.key.replace("-", "").replace("_", "").isalnum()
        said.setdefault(found.key, set()).add(found.sentence)
    assert all(len(sentences) == 1 for sentences in said.values()), said


@pytest.mark.parametrize("runs", [True, False, None])
def test_sending_again_is_advised_where_it_can_be_done_alone(runs: bool | None) -> None:
    advice = explain(replace(result(MessageState.UNCERTAIN), phase_runs=runs)).advice
    assert ("Send it again to those" in advice) == (runs is True)
    assert ("too late to send it again" in advice) == (runs is False)
