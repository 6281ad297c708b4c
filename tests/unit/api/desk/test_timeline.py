"""The history of a broadcast, as sentences."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from libs.common.domain import actors
from libs.common.domain import events as e
from libs.common.domain.actors import Actor
from libs.common.domain.states import PauseReason
from services.api.broadcasts.history import Step
from services.api.desk import timeline
from services.api.desk.sentences import Stopped

DETROIT = ZoneInfo("America/Detroit")
NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
ANA = actors.user(7)
PLANNER = actors.service("planner")


def step(event: e.Event, actor: Actor = ANA, name: str | None = "Ana Diaz") -> Step:
    return Step(event=event, at=NOW, actor=actor, name=name if actor.user_id else None)


def said(event: e.Event, actor: Actor = ANA) -> str:
    return timeline.words(step(event, actor), NOW, DETROIT)


def made(people: int) -> e.BroadcastMade:
    return e.BroadcastMade(broadcast_id=1, recipients=people, seed=1, draws=(), next_broadcast_id=None)


def test_who_did_it_is_said_as_people_are_called() -> None:
    assert said(made(1200)) == "Ana Diaz began to send it to 1,200 people."
    assert said(made(1), PLANNER) == "Broadsheet began to send it to 1 person."
    cancelled = e.BroadcastCancelled(broadcast_id=1, next_broadcast_id=None)
    assert said(cancelled, actors.key("website")) == "The program “website” cancelled it."
    assert said(cancelled, actors.console("bo")) == "bo (command line) cancelled it."


def test_a_pause_by_hand_names_who_and_one_by_itself_says_why() -> None:
    assert said(e.BroadcastPaused(broadcast_id=1)) == "Ana Diaz paused it."
    assert said(e.BroadcastPaused(broadcast_id=1, reason="30034"), actors.carrier("twilio")) == (
        "Broadsheet paused it: Blocked by the phone companies: our number is not registered."
    )


@pytest.mark.parametrize(("why", "ends"), [("She has nothing", "went out: “She has nothing”."), ("", "went out.")])
def test_a_text_that_was_sent_again_names_who_said_so_and_why(why: str, ends: str) -> None:
    again = e.MessageSentAgain(broadcast_id=1, message_id=5, by="Ann Arbor", reason=why, not_before=NOW)
    words = said(again, actors.key("website"))
    assert words.startswith("Ann Arbor sent a text again of which nobody knew whether it ")
    assert words.endswith(ends)


@pytest.mark.parametrize("reason", ["day_over", "empty_draw", "not_approved"])
def test_one_that_did_not_go_out_says_why(reason: str) -> None:
    words = said(e.BroadcastMissed(broadcast_id=1, reason=reason, next_broadcast_id=None), PLANNER)
    assert words.startswith("It did not go out: ")
    assert reason not in words


def test_what_a_reader_need_not_know_is_left_out() -> None:
    steps = [step(e.BroadcastResumed(broadcast_id=1)), step(e.NumbersForgotten(broadcast_id=1), PLANNER)]
    [line] = timeline.lines(steps, NOW, DETROIT)
    assert (line.words, line.by_person) == ("Ana Diaz went on with it.", True)


def test_who_paused_it_is_whoever_did_so_last() -> None:
    resumed = step(e.BroadcastResumed(broadcast_id=1))
    bo = step(e.BroadcastPaused(broadcast_id=1), name="Bo")
    ana = step(e.BroadcastPaused(broadcast_id=1))
    by_itself = step(e.BroadcastPaused(broadcast_id=1, reason=PauseReason.NOT_HANDED_OVER), PLANNER)
    assert timeline.paused([bo, resumed, ana]) == Stopped(at=bo.at, by="Bo")
    assert timeline.paused([by_itself, resumed, ana]) == Stopped(at=by_itself.at)
    assert timeline.paused([]) is None


def test_who_cancelled_it_is_known() -> None:
    ended = step(e.BroadcastCancelled(broadcast_id=1, next_broadcast_id=None), name="Bo")
    assert timeline.cancelled([ended, step(e.BroadcastPaused(broadcast_id=1))]) == Stopped(at=ended.at, by="Bo")
    assert timeline.cancelled([step(e.BroadcastPaused(broadcast_id=1))]) is None
