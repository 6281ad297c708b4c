from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api import incoming

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def message(**fields: Any) -> dict[str, Any]:
    return {
        "message": {
            "id": "m1",
            "external_id": "SM1",
            "delivered_at": int(NOW.timestamp()) - 60,
            "from_field": {"phone_number": "+13135550001"},
            **fields,
        }
    }


@given(payload=JSON)
def test_no_payload_at_all_is_too_odd(payload: Any) -> None:
    assert incoming.missive(payload, NOW) is None


@given(
    field=st.sampled_from(["id", "external_id", "delivered_at", "from_field", "to_fields", "body", "preview"]),
    value=JSON,
)
def test_no_field_of_a_message_is_too_odd(field: str, value: Any) -> None:
    read = incoming.missive(message(**{field: value}), NOW)
    assert read is None or (read.received_at <= NOW and "\x00" not in read.body and read.body.encode() is not None)


def test_the_text_is_the_body_and_the_preview_where_there_is_none() -> None:
    assert [
        read.body
        for fields in ({"body": "whole", "preview": "wh"}, {"preview": "part"}, {"body": "", "preview": ""})
        if (read := incoming.missive(message(**fields), NOW))
    ] == ["whole", "part", ""]


def test_twilios_sid_names_the_reply_and_missives_id_where_there_is_none() -> None:
    read = incoming.missive(message(), NOW), incoming.missive(message(external_id=None), NOW)
    assert [each and each.provider_id for each in read] == ["SM1", "m1"]


@pytest.mark.parametrize("field", ["phone_number", "id", "username"])
def test_the_number_is_wherever_missive_puts_it(field: str) -> None:
    read = incoming.missive(message(from_field={"name": "Ann", field: "+13135550001"}), NOW)
    assert read is not None
    assert read.phone_number == "+13135550001"


def test_the_number_that_was_written_to_is_read_where_it_is_told() -> None:
    told: list[Any] = [[{"phone_number": "+13135550100"}], [], [{"name": "us"}], None]
    read = [incoming.missive(message(to_fields=to), NOW) for to in told]
    assert [each and each.to for each in read] == ["+13135550100", None, None, None]
    form = [("From", "+13135550001"), ("To", "+13135550100"), ("MessageSid", "SM1")]
    assert [each and each.to for each in (incoming.twilio(form, NOW), incoming.twilio(form[::2], NOW))] == [
        "+13135550100", None
    ]  # fmt: skip


def test_a_whole_second_is_taken_for_its_end_but_never_for_the_future() -> None:
    past, present = incoming.missive(message(), NOW), incoming.missive(message(delivered_at=NOW.timestamp()), NOW)
    assert past is not None
    assert present is not None
    assert (past.received_at, present.received_at) == (NOW - timedelta(seconds=59), NOW)


@pytest.mark.parametrize("form", [[], [("From", "x")], [("From", "+13135550001")], [("MessageSid", "SM1")]])
def test_a_form_without_sender_or_id_tells_of_nothing(form: list[tuple[str, str]]) -> None:
    assert incoming.twilio(form, NOW) is None
