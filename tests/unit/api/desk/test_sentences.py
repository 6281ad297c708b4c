"""The sentence at the top of a broadcast."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.broadcasts.explanations import Result
from libs.common.domain.states import BroadcastState, MessageState, PauseReason, SkipReason
from services.api.broadcasts import outcomes
from services.api.broadcasts.wait_reasons import WaitReason
from services.api.broadcasts.waiting import Going, PaceLimit
from services.api.desk import broadcast_facts, sentences, waits
from services.api.desk.sentences import Facts, PhaseCount, Stopped

DETROIT = ZoneInfo("America/Detroit")
NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
HALF = PhaseCount(planned=1200, delivered=400, sent=12, remaining=780, without=8)


def said(state: BroadcastState, **known: object) -> str:
    return sentences.broadcast(Facts(state=state, **{"run_at": NOW, **known}), NOW, DETROIT)  # type: ignore[arg-type]


def tag(state: BroadcastState, **known: object) -> str:
    return sentences.tag(Facts(state=state, **{"run_at": NOW, **known}), NOW)[1]  # type: ignore[arg-type]


def going(waits_for: WaitReason | None = None, **known: Any) -> Going:
    window = PaceLimit(carrier="missive", messages=900, seconds=900)
    given = {"until": None, "since": None, "expected_end": None, "limit": window, "shared_by": 1, "remaining": 780}
    return Going(started_lately=58, carrier="missive", waits_for=waits_for, **{**given, **known})


def test_while_it_sends_it_says_how_many_have_it_and_when_the_last_will() -> None:
    sentence = said(BroadcastState.SENDING_FIRST, first=HALF, going=going(expected_end=NOW + timedelta(minutes=52)))
    words = "Sending the first message: 412 of 1,200 have it, 8 will not get it, 780 still to go, the last about 14:52."
    assert sentence == words


def test_quiet_hours_are_said_with_their_end_and_what_remains() -> None:
    held = going(WaitReason.QUIET_HOURS, until=NOW + timedelta(hours=18), expected_end=NOW + timedelta(hours=19.5))
    sentence = said(BroadcastState.SENDING_FIRST, first=HALF, going=held)
    assert sentence == "Held until tomorrow 08:00 (quiet hours); 780 still to go, the last about tomorrow 09:30."


def test_who_waits_for_the_morning_while_others_get_it_is_said() -> None:
    some = going(asleep=312, wakes_at=NOW + timedelta(hours=18), expected_end=NOW + timedelta(hours=19, minutes=40))
    sentence = said(BroadcastState.SENDING_FIRST, first=HALF, going=some)
    assert "the last about tomorrow 09:40." in sentence
    assert sentence.endswith("312 people wait for the morning where they are, which comes first tomorrow 08:00.")


def test_what_quiet_hours_cut_off_is_said() -> None:
    ends = NOW + timedelta(hours=7)
    sentence = said(BroadcastState.SENDING_FIRST, first=HALF, going=going(expected_end=ends, cut_off_at=ends))
    words = "the last about 21:00. It takes too long: what has not left by today 21:00 (quiet hours) is not sent."
    assert sentence.endswith(words)
    held = going(WaitReason.QUIET_HOURS, until=NOW + timedelta(hours=18), expected_end=NOW, cut_off_at=NOW)
    words = "That is more than a day after it began: the 780 still to go are not sent."
    assert said(BroadcastState.SENDING_FIRST, first=HALF, going=held).endswith(words)


def test_what_can_be_called_back_says_until_when() -> None:
    held = going(WaitReason.HOLD, until=NOW + timedelta(seconds=30))
    words = "Goes out at 14:00:30 to 780 people. Until then it can be called back."
    assert said(BroadcastState.SENDING_FIRST, going=held) == words


WAITS = [
    (WaitReason.CARRIER_ERRORS, "Missive answers with errors since 13:52; the next try is at 14:00:40."),
    (WaitReason.CARRIER_LIMIT, "Missive has asked for a break: the next text leaves at 14:00:40."),
    (WaitReason.PACE, "Missive's limit of 900 in 15 minutes: the next text leaves at 14:00:40."),
    (WaitReason.TRY_AGAIN, "What is left was turned away for now and is tried again at 14:00:40."),
    (WaitReason.REVIEW, "2 people may have asked to be left alone: somebody has to decide under Replies."),
    (WaitReason.STUCK, "Nothing has left for 8 minutes, and we do not know why. Ask whoever runs Broadsheet."),
    (WaitReason.ANSWERS, "All have left. Of 2 we do not know yet: we look them up and do not send twice."),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "words"), WAITS)
def test_what_it_waits_for_is_said_with_the_time_at_which_it_goes_on(reason: WaitReason, words: str) -> None:
    waiting = going(reason, until=NOW + timedelta(seconds=40), since=NOW - timedelta(minutes=8), about=2)
    sentence = said(BroadcastState.SENDING_FIRST, first=HALF, going=waiting)
    assert sentence == f"Sending the first message: 412 of 1,200 have it, 8 will not get it, 780 still to go. {words}"


def test_what_does_not_go_on_is_said_also_where_all_have_left() -> None:
    waiting = going(WaitReason.STUCK, since=NOW - timedelta(minutes=8), remaining=0)
    done = PhaseCount(planned=5, sent=5)
    words = "All have left, but it does not go on, and we do not know why. Ask whoever runs Broadsheet."
    assert said(BroadcastState.SENDING_FIRST, first=done, going=waiting).endswith(words)
    assert tag(BroadcastState.SENDING_FIRST, going=waiting) == "Does not go on"


def test_what_is_over_its_time_is_not_said_to_be_scheduled() -> None:
    for minutes, words in ((1, "Scheduled for today 13:59."), (5, "It should have begun today 13:55, and has not.")):
        run_at = NOW - timedelta(minutes=minutes)
        assert said(BroadcastState.SCHEDULED, run_at=run_at).startswith(words)
        assert tag(BroadcastState.SCHEDULED, run_at=run_at) == ("Scheduled" if minutes == 1 else "Does not go on")
    late = NOW - timedelta(minutes=5)
    words = "The follow-up should have begun today 13:55, and has not. Ask whoever runs Broadsheet."
    assert said(BroadcastState.WAITING, second_due_at=late) == words
    assert tag(BroadcastState.WAITING, second_due_at=late) == "Does not go on"


def test_the_pace_is_said_with_what_is_allowed_and_by_which_limit() -> None:
    words = "58 texts in the last minute, of 60 a minute that are allowed: Missive's limit of 900 in 15 minutes."
    assert waits.pace(going()) == words
    ours = waits.pace(going(limit=PaceLimit(carrier=None, messages=0.5, seconds=1), shared_by=2))
    assert ours.endswith(
        "of 30 a minute that are allowed: our number's limit of 0.5 a second. 2 broadcasts share them now."
    )


@pytest.mark.parametrize(
    ("reason", "known", "words"),
    [
        (WaitReason.NUMBER_OFF, {}, "Held: the number that it is sent from is switched off; 780 still to go."),
        (
            WaitReason.NUMBER_HOURS,
            {"until": NOW + timedelta(hours=2)},
            "Held until today 16:00: the number that it is sent from has its hours; 780 still to go.",
        ),
        (
            WaitReason.DAILY_CAP,
            {"until": NOW + timedelta(hours=10), "left_today": 0},
            "Held until tomorrow: our number has sent all that it may send today; 780 still to go.",
        ),
    ],
)
def test_what_holds_the_number_is_said(reason: WaitReason, known: dict[str, Any], words: str) -> None:
    waiting = going(reason, remaining=780, **known)
    assert said(BroadcastState.SENDING_FIRST, first=HALF, going=waiting).startswith(words)
    assert tag(BroadcastState.SENDING_FIRST, going=waiting) == "Held"
    assert waits.pace(waiting) == ""


def test_how_many_the_day_has_no_room_for_is_said_while_it_sends() -> None:
    short = going(left_today=300, remaining=780)
    words = "300 more may be sent today; 480 wait for another day."
    assert said(BroadcastState.SENDING_FIRST, first=HALF, going=short).endswith(words)
    assert waits.day(going(left_today=780, remaining=780)) == ""


def test_a_limit_a_minute_is_called_so() -> None:
    ours = waits.pace(going(limit=PaceLimit(carrier=None, messages=75, seconds=60)))
    assert ours.endswith("of 75 a minute that are allowed: our number's limit of 75 a minute.")


def test_a_pause_says_why() -> None:
    sentence = said(BroadcastState.PAUSED, first=HALF, pause_reason="30034")
    assert sentence == "Paused: Blocked by the phone companies: our number is not registered. 780 texts still to go."
    pressed = Stopped(at=NOW, by="Ana Diaz")
    sentence = said(BroadcastState.PAUSED, first=HALF, pause_reason="staff", paused=pressed)
    assert sentence == "Paused by Ana Diaz, today 14:00. 780 texts still to go."
    sentence = said(BroadcastState.PAUSED, first=HALF, pause_reason="30007", paused=Stopped(at=NOW))
    assert sentence.startswith("Paused today 14:00: Blocked by the phone companies")


def test_of_one_text_a_pause_says_so() -> None:
    one = PhaseCount(planned=2, delivered=1, remaining=1)
    assert said(BroadcastState.PAUSED, first=one, pause_reason="staff", paused=Stopped(at=NOW, by="Bo")) == (
        "Paused by Bo, today 14:00. 1 text still to go."
    )


def test_a_cancel_says_who_and_when() -> None:
    pressed = Stopped(at=NOW, by="Ana Diaz")
    ended = PhaseCount(planned=3, delivered=1)
    assert said(BroadcastState.CANCELLED, cancelled=pressed) == (
        "Cancelled by Ana Diaz, today 14:00. Nothing had been sent."
    )
    assert said(BroadcastState.CANCELLED, first=ended, cancelled=pressed) == (
        "Cancelled by Ana Diaz, today 14:00. 1 of 3 got it; 2 did not."
    )
    assert said(BroadcastState.CANCELLED, cancelled=Stopped(at=NOW)) == "Cancelled today 14:00. Nothing had been sent."


@pytest.mark.parametrize("reason", PauseReason)
def test_every_reason_for_a_pause_has_words(reason: PauseReason) -> None:
    assert sentences.pause_reason(reason) != reason
    assert "code" not in sentences.pause_reason(reason)


def test_the_end_says_how_many_got_it_of_whom_there_is_no_word_and_who_did_not() -> None:
    for count, words in (
        (PhaseCount(planned=1200, delivered=1180), "1,180 of 1,200 got it; 20 did not"),
        (
            PhaseCount(planned=1200, delivered=1150, sent=28, unanswered=2),
            "1,150 of 1,200 got it; of 30 there is no word; 20 did not",
        ),
        (PhaseCount(planned=5, sent=5), "0 of 5 got it; of 5 there is no word"),
        (PhaseCount(planned=3, delivered=3), "All 3 got it"),
    ):
        assert said(BroadcastState.COMPLETED, first=count) == f"Done. {words}."
        if count.delivered < count.planned:
            assert said(BroadcastState.CANCELLED, first=count) == f"Cancelled. {words}."
            assert said(BroadcastState.SYNCING, first=count) == f"Sent. Collecting delivery reports. {words}."


def test_what_is_on_its_way_when_the_rest_is_cancelled_is_not_said_to_have_failed() -> None:
    ways = [(MessageState.STARTED, None), (MessageState.UNCERTAIN, None), (MessageState.SKIPPED, SkipReason.CANCELLED)]
    known = [
        Result(is_second=False, state=state, skip_reason=why, outcome=None, status=None, code=None)
        for state, why in ways
    ]
    counted = broadcast_facts.count_of(outcomes.together([(each, 1) for each in known]))
    assert (
        said(BroadcastState.CANCELLED, first=counted) == "Cancelled. 0 of 3 got it; of 2 there is no word; 1 did not."
    )


@pytest.mark.parametrize("state", BroadcastState)
def test_every_state_has_a_sentence_and_a_tag(state: BroadcastState) -> None:
    assert said(state).endswith(".")
    kind, words = sentences.TAGS[state]
    assert words
    assert kind in ("", "going", "good", "care", "paused", "harm")
