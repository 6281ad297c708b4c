"""`broadsheet contacts` and `segments` over HTTP, against an API on a real database."""

import json
from pathlib import Path

from tests.integration.console.commands import Call, rows
from tests.support.workbooks import xlsx

NUMBER = "+13135550142"


async def test_an_import_is_taken_back(call: Call, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"phone_number,name,tags\n{NUMBER},Ann,north\n")
    status, said = await call("contacts", "import", str(file), "--json")
    assert status == 0, said
    import_id = str(json.loads(said)["import_id"])
    assert (await call("contacts", "undo", import_id))[0] == 2
    assert rows(database_url, "SELECT name FROM contacts") == [("Ann",)]
    assert await call("contacts", "undo", import_id, "--yes") == (
        0, "Erased again: 1. As before: 0. Left as they are: 0.\n"
    )  # fmt: skip
    assert rows(database_url, "SELECT phone_number FROM contacts") == [(None,)]
    assert (await call("contacts", "undo", import_id, "--yes"))[0] == 1


async def test_a_trial_writes_every_line_that_is_rejected_to_a_file_and_changes_nothing(
    call: Call, database_url: str, tmp_path: Path
) -> None:
    file, rejected = tmp_path / "people.xlsx", tmp_path / "rejected.csv"
    file.write_bytes(xlsx({"People": [["Phone", "Name", "Ward"], [NUMBER, "Ann", "5a"], ["=1+1", "Bo", ""]]}))
    status, said = await call("contacts", "import", str(file), "--dry-run", "--rejected", str(rejected))
    assert status == 0, said
    assert "line 3: " in said
    assert rejected.read_text() == "line,reason,phone_number\n3,not a phone number,'=1+1\n"
    assert rows(database_url, "SELECT count(*) FROM contacts") == [(0,)]
    status, said = await call("contacts", "import", str(file), "--attributes")
    assert (status, "People" in said) == (0, True), said
    assert rows(database_url, "SELECT attributes FROM contacts") == [({"ward": "5a"},)]
    status, said = await call("contacts", "imports", "--json")
    assert [(each["file_name"], each["imported"]) for each in json.loads(said)] == [("people.xlsx", 1)]


async def test_somebody_is_opted_out_and_in_again_with_the_reason_on_record(call: Call, database_url: str) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, name) VALUES ('{NUMBER}', 'Ann')")
    assert await call("contacts", "opt-out", NUMBER, "--reason", "By letter") == (0, f"{NUMBER} (Ann) is opted out.\n")
    assert rows(database_url, "SELECT phone_number FROM opt_outs") == [(NUMBER,)]
    status, said = await call("contacts", "opt-in", "(313) 555-0142", "--reason", "Called us", "--json")
    assert (status, json.loads(said)["opted_out"]) == (0, False)
    assert rows(database_url, "SELECT count(*) FROM opt_outs") == [(0,)]
    assert rows(database_url, "SELECT note FROM consent_records ORDER BY at") == [("By letter",), ("Called us",)]
    assert await call("contacts", "opt-out", "+13135550199", "--reason", "x") == (1, "nobody has this number\n")


async def test_a_segment_is_tried_made_shown_changed_and_deleted(call: Call, database_url: str, tmp_path: Path) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, tags) VALUES ('{NUMBER}', '{{north}}')")
    status, said = await call("segments", "preview", "--any", "north", "--none", "staff", "--none", "stfaf")
    assert (status, "1 can get texts." in said, NUMBER in said) == (0, True, True)
    assert "Nobody has the tag “stfaf”." in said
    assert (await call("segments", "create", "North", "--any", "north", "--none", "staff"))[0] == 0
    status, said = await call("segments", "show", "1", "--json")
    shown = json.loads(said)
    none = {"not": {"any": [{"tag": "staff"}]}}
    assert (status, shown["people"], shown["filter"]) == (0, 1, {"all": [{"any": [{"tag": "north"}]}, none]})
    file = tmp_path / "filter.json"
    file.write_text('{"attribute": "age", "ge": 18}')
    status, said = await call("segments", "change", "1", "--name", "Up north", "--filter", f"@{file}", "--json")
    assert (status, json.loads(said)["filter"]) == (0, {"attribute": "age", "ge": 18})
    status, said = await call("segments", "change", "1", "--filter", '{"any": ["a", {"tag": 5}]}')
    assert (status, "filter/any/1/tag" in said) == (1, True)
    assert (await call("segments", "change", "1", "--filter", "{"))[0] == 2
    assert (await call("segments", "change", "1", "--filter", "{}", "--any", "x"))[0] == 2
    assert (await call("segments", "change", "1"))[0] == 2
    status, said = await call("segments", "delete", "1")
    assert (status, "Delete segment 1 (“Up north”) for good?" in said) == (2, True)
    assert await call("segments", "delete", "1", "--yes") == (0, "Segment 1 is deleted.\n")
    assert rows(database_url, "SELECT count(*) FROM audience_segments") == [(0,)]


async def test_the_register_of_consent_is_written_to_a_file(call: Call, database_url: str, tmp_path: Path) -> None:
    rows(database_url, f"INSERT INTO contacts (phone_number, name) VALUES ('{NUMBER}', 'Ann')")
    await call("contacts", "opt-out", NUMBER, "--reason", "By letter")
    file = tmp_path / "register.csv"
    status, said = await call("consent", "export", str(file))
    assert (status, "".join(said.split())) == (0, f"Theregisterisin{file}.")  # a long path is broken into lines
    assert f"{NUMBER},opt_out," in file.read_text()
    lines = tmp_path / "register.jsonl"
    assert (await call("consent", "export", str(lines)))[0] == 0
    assert json.loads(lines.read_text())["note"] == "By letter"
    status, said = await call("consent", "export", str(tmp_path / "hashed.csv"), "--hashed")
    assert (status, "BROADSHEET_CONSENT_HASH_KEY" in said) == (1, True)
