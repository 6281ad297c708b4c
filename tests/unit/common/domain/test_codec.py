"""Messages to JSON and back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain import codec
from libs.common.domain import events as e
from libs.common.domain.commands import COMMANDS, MakeBroadcast
from libs.common.domain.events.broadcasts import Draw, Excluded
from libs.common.errors import UnreadableMessage
from libs.common.messaging.envelope import Envelope, amqp_message, open_envelope

st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
#: A filter is any JSON; hypothesis asks for a type.
FILTERS = st.none() | st.just({"all": ["north", {"not": {"attribute": "age", "lt": 18}}]})
st.register_type_strategy(
    Draw, st.builds(Draw, segment_id=st.integers(), quota=st.integers(), drawn=st.integers(), filter=FILTERS)
)
st.register_type_strategy(
    Excluded, st.builds(Excluded, segment_id=st.integers(), filter=st.dictionaries(st.text(), st.text()))
)

MESSAGES = (*COMMANDS, *e.EVENTS)
SECRET = "+13135551234"


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_every_message_comes_back_from_json_as_it_was(cls: type[codec.Message], data: st.DataObject) -> None:
    message = data.draw(st.from_type(cls))
    text = json.dumps(codec.encode(message))
    assert codec.decode(cls.__name__, codec.version(cls.__name__), json.loads(text)) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_no_message_has_a_place_for_a_phone_number_a_name_or_a_reply(cls: type[codec.Message]) -> None:
    """Invariant 8. `first_message` and `second_message` are the newsroom's own words."""
    fields = {name for name in get_type_hints(cls) if "message" not in name}
    assert not fields & {"to", "body", "phone_number", "number_to", "name", "recipient", "text_body", "from_number"}


def test_fields_that_a_newer_release_has_added_are_passed_over() -> None:
    assert codec.decode("MakeBroadcast", 1, {"broadcast_id": 1, "new": {"deep": [1]}}) == MakeBroadcast(broadcast_id=1)


def test_a_field_that_an_older_release_did_not_write_has_its_default() -> None:
    old = codec.encode(e.BroadcastPaused(broadcast_id=1))
    del old["reason"]
    assert codec.decode("BroadcastPaused", 1, old) == e.BroadcastPaused(broadcast_id=1)


@pytest.mark.parametrize(
    ("name", "version", "data"),
    [
        (SECRET, 1, {"broadcast_id": 1}),
        ("MakeBroadcast", 2, {"broadcast_id": 1}),
        ("MakeBroadcast", 0, {"broadcast_id": 1}),
        ("MakeBroadcast", -1, {"broadcast_id": 1}),
        ("MakeBroadcast", 1, {}),
        ("MakeBroadcast", 1, {"broadcast_id": SECRET}),
        ("MakeBroadcast", 1, {"broadcast_id": None}),
        ("MakeBroadcast", 1, {"broadcast_id": 1.5}),
        ("SendBatch", 1, {"broadcast_id": 1, "batch_id": SECRET, "is_second": False}),
        ("PhaseFinished", 1, {"broadcast_id": 1, "is_second": False, "second_due_at": SECRET, "uncertain": 0}),
        ("MessagesSkipped", 1, {"broadcast_id": 1, "message_ids": [SECRET], "reason": "replied"}),
        ("BroadcastCompleted", 1, {"broadcast_id": 1, "ledger": {SECRET: SECRET}, "unsettled": 0}),
    ],
)
def test_what_cannot_be_read_is_said_to_be_unreadable_without_a_value_of_it(
    name: str, version: int, data: dict[str, Any]
) -> None:
    """Invariant 8: dead letters carry ids, never a phone number."""
    with pytest.raises(UnreadableMessage) as caught:
        codec.decode(name, version, data)
    assert SECRET not in str(caught.value)


@pytest.fixture
def _renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release in which `broadcast_id` was `id` in version 1, and `number` in version 2."""
    monkeypatch.setitem(codec.VERSIONS, "MakeBroadcast", 3)
    monkeypatch.setitem(codec.UPCASTERS, ("MakeBroadcast", 1), lambda data: {"number": data["id"]})
    monkeypatch.setitem(codec.UPCASTERS, ("MakeBroadcast", 2), lambda data: {"broadcast_id": data["number"]})


@pytest.mark.usefixtures("_renamed")
@pytest.mark.parametrize(("version", "data"), [(1, {"id": 5}), (2, {"number": 5}), (3, {"broadcast_id": 5})])
def test_what_an_older_release_wrote_is_brought_up_step_by_step(version: int, data: dict[str, int]) -> None:
    assert codec.decode("MakeBroadcast", version, data) == MakeBroadcast(broadcast_id=5)


@pytest.mark.usefixtures("_renamed")
def test_an_old_message_is_still_checked_after_it_was_brought_up() -> None:
    with pytest.raises(UnreadableMessage):
        codec.decode("MakeBroadcast", 1, {"id": "five"})


def test_every_type_has_a_name_of_its_own() -> None:
    assert len(codec.TYPES) == len(MESSAGES)


def test_only_events_that_others_hear_of_are_published() -> None:
    assert set(e.PUBLISHED) < set(e.EVENTS)


def envelope(**changes: Any) -> bytes:
    now = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    given = Envelope(
        id=UUID(int=1), type="MakeBroadcast", version=1, time=now, due=now + timedelta(seconds=5),
        correlation_id=UUID(int=2), causation_id=None, actor="service:planner", data={"broadcast_id": 1},
    )  # fmt: skip
    return msgspec.json.encode({**msgspec.to_builtins(given), **changes})


def test_an_envelope_comes_back_as_it_was_and_tolerates_what_it_does_not_know() -> None:
    read = open_envelope(envelope(new=1))
    assert open_envelope(amqp_message(read).body) == read


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe", f'{{"{SECRET}'.encode(), SECRET.encode(), envelope(id=SECRET),
     envelope(time=SECRET), envelope(data=SECRET), envelope(version=SECRET), b'{"a":"\xff"}', b"[" * 100_000],
)  # fmt: skip
def test_an_envelope_that_cannot_be_read_is_said_to_be_unreadable_without_a_value_of_it(body: bytes) -> None:
    """Invariant 8."""
    with pytest.raises(UnreadableMessage) as caught:
        open_envelope(body)
    assert SECRET not in str(caught.value)
