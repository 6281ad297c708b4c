"""What the carriers' webhooks say, however they say it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.broadcasts.inbound import Inbound
from libs.common.carriers import missive_conversations
from libs.common.domain.states import Channel
from services.api.http.errors import BadSignature, MalformedBody
from services.api.webhooks import incoming

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ANN = "+13135550001"
SID = "SM" + "0a" * 16
ACCOUNT = "AC" + "0b" * 16
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FORM = {"MessageSid": SID, "AccountSid": ACCOUNT, "From": ANN, "To": "+13135550100", "Body": "hi", "NumMedia": "0"}


def message(**fields: Any) -> dict[str, Any]:
    return {
        "rule": {"type": "incoming_sms"},
        "message": {
            "id": "m1",
            "external_id": SID,
            "delivered_at": int(NOW.timestamp()) - 60,
            "from_field": {"phone_number": ANN},
            **fields,
        },
    }


def read(**fields: Any) -> Inbound:
    found = incoming.missive(message(**fields), NOW)
    assert found is not None
    return found


def twilio(**fields: str) -> Inbound:
    return incoming.twilio(list({**FORM, **fields}.items()), ACCOUNT, NOW)


@given(payload=JSON)
def test_no_payload_at_all_is_too_odd(payload: Any) -> None:
    assert incoming.missive(payload, NOW) is None


@given(
    field=st.sampled_from(["id", "external_id", "delivered_at", "to_fields", "body", "preview", "type"]),
    value=JSON,
)
def test_whatever_one_field_holds_what_names_a_number_is_kept(field: str, value: Any) -> None:
    try:
        found = read(**{field: value})
    except MalformedBody:  # an id that nobody could keep
        assert field in ("id", "external_id")
        return
    assert found.phone_number == ANN
    assert found.received_at <= NOW
    assert "\x00" not in found.body + found.provider_id
    assert found.body.encode() is not None
    assert 0 < len(found.provider_id) <= missive_conversations.LONGEST_ID + 20


@given(value=JSON)
def test_no_sender_is_too_odd(value: Any) -> None:
    found = incoming.missive(message(from_field=value), NOW)
    assert found is None or found.phone_number or found.sender


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"body": "whole", "preview": "wh"}, "whole"),
        ({"preview": "part"}, "part"),
        ({"body": "", "preview": ""}, ""),
        ({"body": None, "preview": "part"}, "part"),
        ({"body": {"html": "x"}, "preview": "part"}, "part"),
        ({"body": "<div>STOP</div>"}, "STOP"),
        ({"body": "<div><br></div>", "preview": "STOP"}, "STOP"),
        ({"body": "<p>Hi&nbsp;there,</p><p>don&#39;t &lt;b&gt;</p>"}, "Hi there,\n\ndon't <b>"),
        ({"body": "STOP<br>--<br>Ana"}, "STOP\n--\nAna"),
        ({"body": "a < b & c <3"}, "a < b & c <3"),
        ({"body": "<style>p {}</style><p>yes</p><!-- no -->"}, "yes"),
        ({"body": "half a \ud83d character\x00"}, "half a ? character"),
    ],
)
def test_the_words_are_taken_from_whichever_field_has_them(fields: dict[str, Any], text: str) -> None:
    """`<div>STOP</div>` was not heard."""
    assert read(**fields).body == text


LONG = "I have lived here for thirty years and the street lights have never worked. STOP"


@pytest.mark.parametrize(
    ("fields", "is_cut"),
    [
        ({"preview": "Yes"}, False),
        ({"preview": LONG[:64]}, True),
        ({"preview": "Yes and…"}, True),
        ({"preview": "Yes and..."}, True),
        ({"preview": LONG[:64], "body": LONG}, False),
        ({"preview": LONG[:64], "body": ""}, True),
    ],
)
def test_a_preview_that_may_have_been_cut_is_said_to_be(fields: dict[str, Any], is_cut: bool) -> None:
    assert read(**fields).is_cut is is_cut


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({}, SID),
        ({"external_id": None}, "m1"),
        ({"external_id": 17}, "m1"),
        ({"external_id": "17"}, "m1"),
        ({"external_id": 17, "id": None}, "missive-17"),
        ({"external_id": None, "id": 7}, "7"),
    ],
)
def test_twilios_sid_names_the_reply_and_missives_id_where_there_is_none(ids: dict[str, Any], expected: str) -> None:
    assert read(**ids).provider_id == expected


def test_a_message_without_any_id_is_the_same_one_each_time() -> None:
    first, again, other = (read(external_id=None, id=None, body=body) for body in ("a", "a", "b"))
    assert first.provider_id == again.provider_id != other.provider_id


@pytest.mark.parametrize("field", ["phone_number", "id", "username"])
def test_the_number_is_wherever_missive_puts_it(field: str) -> None:
    assert read(from_field={"name": "Ann", field: ANN}).phone_number == ANN


def test_the_number_that_was_written_to_is_read_where_it_is_told() -> None:
    told: list[Any] = [[{"phone_number": "+13135550100"}], [], [{"name": "us"}], None]
    assert [read(to_fields=to).to for to in told] == ["+13135550100", None, None, None]
    assert twilio().to == "+13135550100"


@pytest.mark.parametrize(
    "told", [None, "yesterday", "", True, [], 0, -1, float("nan"), float("inf"), 10**40, NOW.timestamp() + 3600]
)
def test_a_message_that_does_not_say_when_it_was_written_was_written_now(told: Any) -> None:
    assert read(delivered_at=told).received_at == NOW


@pytest.mark.parametrize("told", [NOW.timestamp() - 60, str(NOW.timestamp() - 60), "2026-03-04T14:59:00Z"])
def test_a_time_is_read_as_a_number_or_as_a_text_and_its_second_taken_for_its_end(told: Any) -> None:
    assert read(delivered_at=told).received_at == NOW - timedelta(seconds=59)
    assert read(delivered_at=None, created_at=told).received_at == NOW - timedelta(seconds=59)


@pytest.mark.parametrize(
    ("fields", "channel", "number", "sender"),
    [
        ({"type": "sms"}, "sms", ANN, None),
        ({"type": "twilio"}, "sms", ANN, None),
        ({"type": "something new"}, "sms", ANN, None),
        ({"type": "whatsapp"}, "whatsapp", ANN, None),
        ({"from_field": {"id": "whatsapp:" + ANN}}, "whatsapp", ANN, None),
        ({"from_field": {"phone_number": "rcs:" + ANN}}, "rcs", ANN, None),
        ({"type": "email", "from_field": {"address": "ann@example.org"}}, "email", None, "ann@example.org"),
        ({"type": None, "from_field": {"address": "ann@example.org", "name": "Ann"}}, "email", None, "ann@example.org"),
        # Ten digits, and no phone number.
        (
            {"type": "facebook_message", "from_field": {"id": "3135550001", "name": "Ann"}},
            "facebook",
            None,
            "3135550001",
        ),
        ({"from_field": {"phone_number": "22"}}, "other", None, "22"),
    ],
)
def test_what_is_no_sms_is_kept_as_what_it_is(
    fields: dict[str, Any], channel: str, number: str | None, sender: str | None
) -> None:
    found = read(**fields)
    assert (found.channel, found.phone_number, found.sender) == (channel, number, sender)


@pytest.mark.parametrize("sender", ["22000", "+811", "262966"])
def test_a_short_code_sends_texts_though_nobody_can_be_reached_by_it(sender: str) -> None:
    found = read(from_field={"phone_number": sender})
    assert (found.channel, found.phone_number, found.sender) == (Channel.SMS, None, sender)


def test_the_words_of_an_email_are_its_preview_which_is_no_page() -> None:
    email = {"type": "email", "from_field": {"address": "ann@example.org"}}
    assert read(**email, preview="Dear all", body="<table><tr><td>Dear all, and much more").body == "Dear all"


@pytest.mark.parametrize(
    ("sender", "channel", "number"),
    [
        (ANN, "sms", ANN),
        ("whatsapp:" + ANN, "whatsapp", ANN),
        ("rcs:" + ANN, "rcs", ANN),
        ("messenger:12345", "facebook", None),
        ("client:ann", "other", None),
        ("22000", "sms", None),
    ],
)
def test_twilio_says_by_which_channel_before_the_number(sender: str, channel: str, number: str | None) -> None:
    found = twilio(From=sender)
    assert (found.channel, found.phone_number) == (channel, number)
    assert (found.sender is None) is (number is not None)


@pytest.mark.parametrize("missing", incoming.SMS_FIELDS)
def test_a_form_without_what_twilio_always_sends_is_refused(missing: str) -> None:
    with pytest.raises(MalformedBody, match=missing):
        incoming.twilio([(name, value) for name, value in FORM.items() if name != missing], ACCOUNT, NOW)


@pytest.mark.parametrize("twice", incoming.SMS_FIELDS)
def test_a_form_that_says_something_twice_is_refused(twice: str) -> None:
    with pytest.raises(MalformedBody, match=twice):
        incoming.twilio([*FORM.items(), (twice, "x")], ACCOUNT, NOW)


@pytest.mark.parametrize(
    "sid", [SID + "NumMedia0", SID[:-1], SID + "\n", "XX" + SID[2:], "", "SM" + "g" * 32, "SM" + "٠" * 32, SID + "\x00"]
)
def test_an_id_that_is_none_of_twilios_is_refused(sid: str) -> None:
    with pytest.raises(MalformedBody, match="MessageSid"):
        twilio(MessageSid=sid)


@pytest.mark.parametrize("sid", [SID, "MM" + SID[2:]])
def test_twilios_ids_are_taken(sid: str) -> None:
    assert twilio(MessageSid=sid).provider_id == sid


def test_a_form_of_another_account_is_refused() -> None:
    with pytest.raises(BadSignature):
        twilio(AccountSid="AC" + "0c" * 16)


@pytest.mark.parametrize(
    ("told", "word"), [("STOP", "stop"), ("start", "start"), ("HELP", "help"), ("", None), ("x", None)]
)
def test_the_carriers_own_word_is_read(told: str, word: str | None) -> None:
    assert twilio(OptOutType=told).carrier_word == word


@pytest.mark.parametrize("raw", [b'{"a": "\\ud83d"}', b'{"a": "\xff"}', b'{"a": NaN}'])
def test_a_body_with_a_mistake_in_a_text_is_read(raw: bytes) -> None:
    assert isinstance(incoming.decode(raw), dict)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff"])
def test_a_body_that_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        incoming.decode(raw)
