"""What is meant by a form, and what its reader is told of words and days."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.settings.api import ApiSettings
from services.api.desk import compose_advice, compose_form
from services.api.desk.compose_form import Given, ShareKind
from services.api.schemas import FrequencyCap, Share

ZONE = ZoneInfo("America/Detroit")
#: A Wednesday.
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=ZONE)


def settings(**fields: Any) -> ApiSettings:
    given: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "from_number": "+13135550100",
        "api_keys": ("0123456789abcdef",),
        **fields,
    }
    return ApiSettings(**given)


@pytest.mark.parametrize(
    ("typed", "ratios"),
    [
        ({1: ""}, [100.0]),
        ({1: "50", 2: "", 3: ""}, [50.0, 25.0, 25.0]),
        ({1: "33.4", 2: "33.3", 3: "33.3"}, [33.4, 33.3, 33.3]),
        ({1: "10"}, [10.0]),
        ({}, []),
    ],
)
def test_shares_are_percents_and_an_empty_one_takes_what_is_left(typed: dict[int, str], ratios: list[float]) -> None:
    shares = compose_form.shares(Given(chosen=typed))
    assert shares is not None
    assert [share.ratio for share in shares] == ratios


@pytest.mark.parametrize("typed", [{1: "0"}, {1: "-5"}, {1: "101"}, {1: "60", 2: "60"}, {1: "100", 2: ""}, {1: "half"}])
def test_shares_that_cannot_be_are_none(typed: dict[int, str]) -> None:
    assert compose_form.shares(Given(chosen=typed)) is None


def test_a_share_may_be_a_number_of_people_or_everybody_and_percents_are_of_the_rest() -> None:
    given = Given(
        chosen={1: "500", 2: "", 3: "", 4: "x"},
        kinds={1: ShareKind.PEOPLE, 2: ShareKind.ALL, 4: ShareKind.ALL},
    )
    assert compose_form.shares(given) == [
        Share(segment_id=1, count=500),
        Share(segment_id=2, all=True),
        Share(segment_id=3, ratio=100.0),
        Share(segment_id=4, all=True),
    ]


@pytest.mark.parametrize("typed", ["", "0", "-5", "1.5", "many", "5000001"])
def test_what_is_no_number_of_people_is_none(typed: str) -> None:
    assert compose_form.shares(Given(chosen={1: typed}, kinds={1: ShareKind.PEOPLE})) is None


@pytest.mark.parametrize(
    ("texts", "days", "cap"),
    [("3", "7", FrequencyCap(texts=3, days=7)), ("", "", None), ("3", "", None), ("0", "7", None), ("3", "1.5", None),
     ("3", "367", None)],
)  # fmt: skip
def test_a_limit_of_texts_is_two_whole_numbers(texts: str, days: str, cap: FrequencyCap | None) -> None:
    assert compose_form.cap(Given(cap_texts=texts, cap_days=days)) == cap


def test_a_new_form_is_for_the_morning_of_the_next_working_day() -> None:
    assert (compose_form.blank(settings(), NOW).day, compose_form.blank(settings(), NOW).clock) == (
        "2026-11-25",
        "10:00",
    )
    after_ten = NOW.replace(hour=11)
    assert compose_form.blank(settings(), after_ten).day == "2026-11-27"  # the day between is Thanksgiving


def test_the_week_says_why_a_day_is_left_out() -> None:
    days = compose_advice.week(NOW, settings(), recurring=True)
    assert [(day.date.day, day.off, day.goes) for day in days[:7]] == [
        (25, "", True), (26, "Thanksgiving Day", False), (27, "", True), (28, "Weekend", False), (29, "Weekend", False),
        (30, "", True), (1, "", True),
    ]  # fmt: skip
    own = compose_advice.week(NOW, settings(), (None, time(14), None, None, None, time(9), None), recurring=True)
    assert [(day.date.day, day.at) for day in own if day.goes] == [
        (25, "09:00"),
        (28, "09:00"),
        (1, "14:00"),
        (5, "09:00"),
        (8, "14:00"),
    ]
    assert own[2].off == "No time on this weekday"
    once = compose_advice.week(NOW, settings(), recurring=False)
    assert [day.date for day in once if day.goes] == [date(2026, 11, 25)]


def test_a_broadcast_on_a_holiday_goes_out_and_its_writer_is_told() -> None:
    thanksgiving = datetime(2026, 11, 26, 22, 0, tzinfo=ZONE)
    holiday, quiet = compose_advice.on_time(thanksgiving, settings(), NOW)
    assert "Thanksgiving" in holiday
    assert "Fri 27 Nov, 08:00" in quiet
    assert compose_advice.on_time(NOW.replace(hour=10), settings(), NOW) == []


def test_the_last_is_said_and_quiet_hours_that_come_between_are_warned_of() -> None:
    evening = NOW.replace(hour=20, minute=50)
    in_time = compose_advice.on_pace(evening, {"": 600}, 1.0, settings(), NOW)
    assert (in_time.ends, in_time.advice) == (NOW.replace(hour=21), [])
    over = compose_advice.on_pace(evening, {"": 1200}, 1.0, settings(), NOW)
    assert over.ends == NOW.replace(day=26, hour=8, minute=10)
    words = "Not all get it before the quiet hours: it stops today 21:00, and goes on tomorrow 08:00."
    assert over.advice == [words]


def test_what_is_never_sent_since_it_takes_more_than_a_day_is_said() -> None:
    ten = NOW.replace(hour=10)
    sending = compose_advice.on_pace(ten, {"": 100_000}, 1.0, settings(), NOW)
    assert sending.ends == NOW.replace(day=26, hour=21)
    [words] = sending.advice
    assert words == "So many texts take too long: what has not left by tomorrow 21:00 (quiet hours) is not sent."
    assert compose_advice.on_pace(ten, {"": 5_000_000}, 1.0, settings(quiet_hours=""), NOW).ends is None


def test_a_time_that_is_over_begins_now() -> None:
    assert compose_advice.on_pace(NOW.replace(hour=8), {"": 60}, 1.0, settings(), NOW).ends == NOW.replace(minute=1)


@pytest.mark.parametrize("text", ["Reply STOP to stop", "Responde ALTO para no recibir más", "opt-out: write END"])
def test_a_text_that_says_how_to_stop_needs_no_advice(text: str) -> None:
    assert compose_advice.on_words(text, "") == []


@pytest.mark.parametrize(
    ("text", "is_short"), [("see bit.ly/x", True), ("https://t.co/a", True), ("rabbit.ly is", False)]
)
def test_a_link_that_hides_where_it_leads_is_warned_of(text: str, is_short: bool) -> None:
    assert bool(compose_advice.on_words("STOP", text)) == is_short
