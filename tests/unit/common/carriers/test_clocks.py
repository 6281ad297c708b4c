"""How far a carrier's clock is from ours, by its answers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers.clocks import FAR, SAME, STALE, Meter, Offset, measure
from libs.common.carriers.twilio import Twilio

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def offset(low: float, high: float) -> Offset:
    return Offset(low=timedelta(seconds=low), high=timedelta(seconds=high))


def dated(at: datetime) -> str:
    return format_datetime(at.replace(microsecond=0), usegmt=True)


@given(
    offset=st.floats(-300, 300),
    fraction=st.floats(0, 0.999),
    there=st.floats(0, 10),
    back=st.floats(0, 10),
    kept=st.floats(0, STALE.total_seconds()),
)
def test_the_true_offset_is_within_what_an_answer_says(
    offset: float, fraction: float, there: float, back: float, kept: float
) -> None:
    """Whatever the request took, and wherever in its second the header was written."""
    sent_at = NOW + timedelta(seconds=fraction)
    answered_at = sent_at + timedelta(seconds=there)
    header = dated(answered_at + timedelta(seconds=offset) - timedelta(seconds=kept))
    found = measure(header, sent_at=sent_at, received_at=answered_at + timedelta(seconds=back))
    assert found is not None
    assert found.low <= timedelta(seconds=offset) <= found.high + timedelta(microseconds=1)


@pytest.mark.parametrize("header", [None, "", "yesterday", "Tue, 99 Nov 9999 00:00:00 GMT"])
def test_a_header_that_says_nothing_measures_nothing(header: str | None) -> None:
    assert measure(header, sent_at=NOW, received_at=NOW) is None


def test_a_clock_of_ours_that_is_set_back_while_a_request_is_out_measures_nothing() -> None:
    assert measure(dated(NOW), sent_at=NOW, received_at=NOW - timedelta(seconds=1)) is None


def test_measurements_that_agree_narrow_it_down_and_those_that_do_not_widen_it() -> None:
    assert offset(-1, 1).joined(offset(0, 2)) == offset(0, 1)
    assert offset(-1, 0).joined(offset(3, 4)) == offset(-1, 4)


@given(st.floats(-100, 100), st.floats(0, 5), st.floats(0, 0.999))
def test_a_time_that_the_carrier_tells_lies_between_its_earliest_and_its_latest(
    truth: float, wide: float, fraction: float
) -> None:
    """Times in the log are cut to the second: 2.5 s behind seemed 3.5."""
    found = offset(truth - wide, truth + wide)
    at = NOW + timedelta(seconds=fraction)
    told = (at + timedelta(seconds=truth)).replace(microsecond=0)
    assert found.earliest(told) <= at <= found.latest(told)
    assert found.log_time_from(at) <= told


def test_beyond_a_minute_a_clock_is_far() -> None:
    assert not SAME.is_far
    assert Offset(low=-FAR - timedelta(seconds=1), high=timedelta(0)).is_far
    assert offset(0, 61).is_far
    assert not offset(-60, 60).is_far


def test_what_somebody_in_between_answers_is_not_the_carriers_clock() -> None:
    meter = Meter(lambda: NOW)
    meter.note({"Content-Type": "text/html", "Date": dated(NOW + timedelta(minutes=9))}, NOW)
    assert meter.take() is None


async def test_every_answer_of_a_carrier_measures_its_clock() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        headers = {"Date": dated(NOW - timedelta(seconds=30))}
        return httpx.Response(429, json={"code": 20429, "message": "Too Many Requests"}, headers=headers)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    twilio = Twilio(base_url="http://t", account_sid="AC1", auth_token="t", client=client, now=lambda: NOW)
    await twilio.send(to="+13135550001", from_number="+13135550100", body="hi", may_still_send=lambda: True)
    assert twilio.meter.take() == offset(-30, -28)
    assert twilio.meter.take() is None
