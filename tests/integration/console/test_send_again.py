"""`broadsheet broadcast send-again`, from the command line to the history: by name, on record, and once."""

import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.integration.console.commands import Call, rows

WHO = ("--by", "Ann Arbor", "--reason", "She got nothing")
PEOPLE = "phone_number,name,tags\n+13135550142,Ann,north\n"


@pytest.fixture
async def uncertain(api: httpx.AsyncClient, database_url: str) -> tuple[str, str]:
    """Make a broadcast whose only first message is uncertain; return their ids."""
    await api.post("/contacts/import", content=PEOPLE, headers={"Content-Type": "text/csv"})
    segment = (await api.post("/segments", json={"name": "north", "filter": {"any": ["north"]}})).json()["id"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    wanted = {
        "run_at": tomorrow.isoformat(), "first_message": "Hello", "second_message": "Again?", "max_recipients": 1,
        "segments": [{"segment_id": segment, "ratio": 100}], "recurring": False,
    }  # fmt: skip
    broadcast = (await api.post("/broadcasts", json=wanted)).json()["id"]
    made = await api.post(f"/broadcasts/{broadcast}/send-now")
    assert made.status_code == 200, made.text
    [(message,)] = rows(
        database_url,
        "UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = now()"
        " WHERE NOT is_second RETURNING id",
    )
    return str(broadcast), str(message)


def state(database_url: str) -> object:
    [(found,)] = rows(database_url, "SELECT state FROM outgoing_messages WHERE NOT is_second")
    return found


def on_record(database_url: str) -> list[tuple[object, ...]]:
    """Return which messages were sent again, by whom and why."""
    return rows(
        database_url,
        "SELECT data ->> 'message_id', data ->> 'by', data ->> 'reason' FROM events WHERE type = 'MessageSentAgain'",
    )


async def test_staff_have_an_uncertain_message_sent_again_by_name_and_once(
    call: Call, database_url: str, uncertain: tuple[str, str]
) -> None:
    broadcast, message = uncertain
    status, said = await call("broadcast", "send-again", *uncertain, *WHO, "--yes", "--json")
    assert status == 0, said
    assert json.loads(said) == {
        "broadcast_id": int(broadcast), "message_id": int(message), "state": "pending", "by": "Ann Arbor"
    }  # fmt: skip
    assert state(database_url) == "pending"
    status, said = await call("broadcast", "send-again", *uncertain, *WHO, "--yes")
    assert status == 1
    assert "it is known what became of this message" in said
    assert on_record(database_url) == [(message, "Ann Arbor", "She got nothing")]


async def test_nothing_is_sent_again_unless_somebody_says_yes(
    call: Call, database_url: str, uncertain: tuple[str, str]
) -> None:
    _, message = uncertain
    status, said = await call("broadcast", "send-again", *uncertain, *WHO)
    assert status == 2
    assert f"Send message {message} again, though it may have arrived?" in said
    assert (state(database_url), on_record(database_url)) == ("uncertain", [])


@pytest.mark.parametrize(("who", "fault"), [((), "--by"), (("--by", " "), "by: must be the name of whoever says so")])
async def test_nobody_sends_again_without_a_name(
    call: Call, database_url: str, uncertain: tuple[str, str], who: tuple[str, ...], fault: str
) -> None:
    status, said = await call("broadcast", "send-again", *uncertain, *who, "--yes")
    assert status != 0
    assert fault in re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert (state(database_url), on_record(database_url)) == ("uncertain", [])
