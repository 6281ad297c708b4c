"""`broadsheet broadcast create` to a file, against an API on a real database."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.console import campaigns, contact_files
from libs.console.failures import ApiError
from tests.integration.console.commands import Call, rows


def at() -> tuple[str, str]:
    return "--run-at", (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def test_a_broadcast_to_a_file_of_numbers_goes_to_them_alone(
    call: Call, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("Phone,Name\n3135550101,Ana\n3135550102,Bo\n12,Cy\n")
    create = ("broadcast", "create", *at(), "--first", "Hello", "--numbers", str(file))
    status, said = await call(*create)
    assert status == 1
    assert "line 4: not a phone number" in said
    assert "or have them left out: --leave-out" in said
    assert rows(database_url, "SELECT count(*) FROM contacts") == [(0,)]
    status, said = await call(*create, "--leave-out", "--label", "Schools", "--json")
    assert status == 0, said
    made = json.loads(said[said.index("{") :])
    assert (made["file"], made["max_recipients"], made["recurring"], made["label"]) == (1, 2, False, "Schools")
    assert rows(database_url, "SELECT count(*) FROM contacts") == [(2,)]
    status, said = await call("broadcast", "create", *at(), "--first", "Hello again", "--file", "1", "--json")
    assert (status, json.loads(said)["file"]) == (0, 1)


async def test_a_broadcast_to_a_file_of_messages_has_the_words_of_the_file(
    call: Call, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "messages.csv"
    file.write_text("Phone,Message,Follow-up\n3135550101,Hi Ana,Ana?\n3135550102,Hi Bo,Bo?\n")
    status, said = await call("broadcast", "create", *at(), "--messages", str(file), "--json")
    assert status == 0, said
    made = json.loads(said)
    assert (made["first_message"], made["second_message"]) == ("{{ message }}", "{{ follow_up }}")
    assert rows(database_url, "SELECT first_body, second_body FROM contact_import_bodies ORDER BY 1") == [
        ("Hi Ana", "Ana?"), ("Hi Bo", "Bo?"),
    ]  # fmt: skip


async def test_it_says_who_gets_it_and_what_it_says(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("Phone\n3135550101\n")
    assert (await call("broadcast", "create", *at(), "--first", "x"))[0] == 2
    assert (await call("broadcast", "create", *at(), "--numbers", str(file)))[0] == 2
    both = ("--first", "x", "--numbers", str(file), "--messages", str(file))
    assert (await call("broadcast", "create", *at(), *both))[0] == 2
    status, said = await call("broadcast", "create", *at(), "--messages", str(file))
    assert (status, "no column holds the message of each person" in said) == (1, True)


def test_a_file_that_changes_between_the_trial_and_the_import_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("Phone\n3135550101\n")
    sent: list[str] = []

    def send(_client: object, to: str, *_: object, **__: object) -> dict[str, object]:
        sent.append(to)
        file.write_text("Phone\n3135550101\n3135550102\n")
        return {"people": 1, "rejected": [], "rejected_count": 0}

    monkeypatch.setattr(contact_files, "send", send)
    with pytest.raises(ApiError, match="changed while it was read"):
        campaigns.import_of(None, file, None, leave_out=True, key=None, as_json=True)  # type: ignore[arg-type]
    assert sent == ["/contacts/import/check"]
