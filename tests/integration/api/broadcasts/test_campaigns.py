"""Broadcasts to a file: of numbers, or of messages in which each person has their own words."""

from datetime import timedelta
from typing import Any

import pytest

from libs.common import database
from libs.common.broadcasts import file_words
from tests.integration.api.support import NOW, Api

NUMBERS = "phone_number,name\n3135550001,Ana\n3135550002,Bo\n3135550003,Cy\n"
MESSAGES = (
    "phone,message,follow_up\n3135550001,Hi Ana: your street floods,Ana?\n3135550002,Hi Bo: the school closes,Bo?\n"
    f"3135550003,{'Cy ' * 60},Cy?\n3135550003,again,again\n12,Hi,Hi\n3135550004,,x\n"
)


async def uploaded(api: Api, text: str, **options: str) -> int:
    answer = await api.client.post(
        "/contacts/import", content=text.encode(), headers={"Content-Type": "text/csv"},
        params={"file_name": "people.csv", **options},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return int(answer.json()["import_id"])


def campaign(file: int, **fields: Any) -> dict[str, Any]:
    return {"run_at": (NOW + timedelta(hours=1)).isoformat(), "first_message": "Hello", "file": file, **fields}


async def to_file(api: Api, file: int, **fields: Any) -> Any:
    answer = await api.post("/broadcasts", campaign(file, **fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def of_messages(api: Api, text: str = MESSAGES, **fields: Any) -> Any:
    given = {"first_message": "{{ message }}", "second_message": "{{ follow_up }}", **fields}
    return await to_file(api, await uploaded(api, text, messages="true"), **given)


async def wrong(api: Api, body: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await api.post("/broadcasts", body)
    assert answer.status_code == 422, answer.text
    return [(each["field"], each["message"]) for each in answer.json()["errors"]]


async def bodies(api: Api, broadcast: int) -> list[tuple[str, bool, str, int]]:
    rows = await api.query(
        "SELECT m.recipient_phone_number AS number, m.is_second, w.body, w.parts FROM message_bodies w"
        " JOIN outgoing_messages m ON m.id = w.message_id WHERE m.broadcast_id = %s ORDER BY 1, 2",
        broadcast,
    )
    return [tuple(row.values()) for row in rows]


async def forget(api: Api) -> None:
    for _ in range(9):
        async with database.transaction(api.engine) as connection:
            if not await file_words.forget(connection, api.clock.now):
                return


async def test_exactly_the_people_of_a_file_get_it_but_for_those_who_may_not(api: Api) -> None:
    await api.contact("stranger")
    file = await uploaded(api, f"{NUMBERS}3135550002,Bo\nnobody,Di\n3135550005,Ed\n")
    await api.query(
        "INSERT INTO opt_outs (phone_number, contact_id, source, opted_out_at, actor)"
        " SELECT phone_number, id, 'staff', now(), 'x' FROM contacts WHERE name = 'Cy'"
    )
    made = await to_file(api, file)
    assert (made["file"], made["max_recipients"], made["recurring"]) == (file, 4, False)
    sent = (await api.post(f"/broadcasts/{made['id']}/send-now")).json()
    assert (sent["recipients"], sent["next_broadcast_id"]) == (3, None)
    names = "SELECT c.name FROM outgoing_messages m JOIN contacts c ON c.id = m.contact_id ORDER BY 1"
    assert await api.column(names) == ["Ana", "Bo", "Ed"]


async def test_a_file_is_no_segment_in_any_list_and_stays_as_it_is(api: Api) -> None:
    file = await uploaded(api, NUMBERS)
    first, second = await to_file(api, file), await to_file(api, file)
    [segment], [same] = first["segments"], second["segments"]
    assert segment["segment_id"] == same["segment_id"]
    assert segment["name"] == f"people.csv ({file})"
    assert (await api.get("/segments")).json()["items"] == []
    changed = await api.patch(f"/segments/{segment['segment_id']}", {"filter": {"all": []}})
    assert changed.status_code == 409


async def test_a_name_that_is_taken_does_not_keep_a_file_from_being_sent_to(api: Api) -> None:
    file = await uploaded(api, NUMBERS) + 1
    await api.segment("x", name=f"people.csv ({file})")
    assert await uploaded(api, NUMBERS) == file
    assert (await to_file(api, file))["file"] == file


async def test_what_cannot_be_of_a_file_is_named(api: Api) -> None:
    file, segment = await uploaded(api, NUMBERS), await api.segment("made")
    share = {"segment_id": segment, "ratio": 100}
    assert await wrong(api, campaign(file, segments=[share], recurring=True)) == [
        ("segments", "a broadcast goes to segments or to a file, not to both"),
        ("recurring", "must be false: a broadcast to a file goes out once"),
    ]
    for none in (file + 1, 2**63):
        assert await wrong(api, campaign(none)) == [("file", f"there is no import {none}")]
    await api.query("UPDATE contact_imports SET state = 'undone' WHERE id = %s", file)
    assert await wrong(api, campaign(file)) == [("file", "is not imported, or its import was taken back")]
    await api.query("UPDATE contact_imports SET state = 'done'")
    await api.query("DELETE FROM contact_import_members")
    assert await wrong(api, campaign(file)) == [("file", "nobody of it is here any more")]
    without = {name: value for name, value in campaign(file).items() if name != "file"}
    assert await wrong(api, {**without, "segments": [share]}) == [
        ("max_recipients", "is missing: say how many people may get it at most")
    ]


async def test_a_scheduled_broadcast_may_be_given_a_file_or_segments_in_its_place(api: Api) -> None:
    file = await uploaded(api, NUMBERS)
    segment = await api.segment("made")
    broadcast = await api.broadcast(segment, recurring=False)
    changed = (await api.patch(f"/broadcasts/{broadcast}", {"file": file})).json()
    assert (changed["file"], changed["max_recipients"]) == (file, 3)
    refused = await api.patch(f"/broadcasts/{broadcast}", {"recurring": True})
    assert refused.status_code == 422, refused.text
    share = {"segment_id": segment, "ratio": 100}
    changed = (await api.patch(f"/broadcasts/{broadcast}", {"segments": [share], "recurring": True})).json()
    assert (changed["file"], changed["recurring"]) == (None, True)


async def test_each_gets_their_own_words_and_parts_are_exact(api: Api) -> None:
    made = await of_messages(api)
    checked = (await api.get(f"/broadcasts/{made['id']}/preflight")).json()
    assert (checked["people"], checked["wrong"], checked["total_parts"]) == (3, 0, 7)
    sent = (await api.post(f"/broadcasts/{made['id']}/send-now")).json()
    assert sent["recipients"] == 3
    assert await bodies(api, made["id"]) == [
        ("+13135550001", False, "Hi Ana: your street floods", 1), ("+13135550001", True, "Ana?", 1),
        ("+13135550002", False, "Hi Bo: the school closes", 1), ("+13135550002", True, "Bo?", 1),
        ("+13135550003", False, ("Cy " * 60).strip(), 2), ("+13135550003", True, "Cy?", 1),
    ]  # fmt: skip
    assert sent["parts"] == [
        {"is_second": False, "parts": 1, "messages": 2}, {"is_second": False, "parts": 2, "messages": 1},
        {"is_second": True, "parts": 1, "messages": 3},
    ]  # fmt: skip


async def test_words_may_stand_around_those_of_the_file_and_no_follow_up_is_needed(api: Api) -> None:
    text = "phone,name,message\n3135550001,Ana Diaz,your street floods\n"
    made = await of_messages(api, text, first_message="{{ first_name }}: {{ message }}.", second_message=None)
    await api.post(f"/broadcasts/{made['id']}/send-now")
    assert [body for _, _, body, _ in await bodies(api, made["id"])] == ["Ana: your street floods."]


async def test_without_a_file_a_message_is_an_attribute_as_any_other(api: Api) -> None:
    file = await uploaded(api, "phone,message\n3135550001,of the contact\n", attributes="true")
    made = await to_file(api, file, first_message="{{ message }}!")
    await api.post(f"/broadcasts/{made['id']}/send-now")
    assert [body for _, _, body, _ in await bodies(api, made["id"])] == ["of the contact!"]


async def test_whoever_lacks_the_words_is_listed_and_nobody_gets_it(api: Api) -> None:
    made = await of_messages(api, "phone,message\n3135550001,Hi\n3135550002,Hi\n")
    checked = (await api.get(f"/broadcasts/{made['id']}/preflight")).json()
    assert (checked["wrong"], checked["lacking"]) == (2, [{"variable": "follow_up", "people": 2}])
    refused = await api.post(f"/broadcasts/{made['id']}/send-now")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:broadsheet:problem:unrenderable")


async def test_the_lines_of_a_file_of_messages_that_cannot_be_taken_are_told_before(api: Api) -> None:
    answer = await api.client.post(
        "/contacts/import/check?messages=true", content=MESSAGES.encode(), headers={"Content-Type": "text/csv"}
    )
    assert (answer.json()["people"], answer.json()["rejected_count"]) == (3, 3)
    assert [(each["line"], each["reason"]) for each in answer.json()["rejected"]] == [
        (5, "the number has its message in line 4 already"),
        (6, "not a phone number"),
        (7, 'the message under "message" is empty'),
    ]
    assert await api.value("SELECT count(*) FROM contact_import_bodies") == 0
    listed = await api.client.post(
        "/contacts/import/rejected.csv?messages=true", content=MESSAGES.encode(), headers={"Content-Type": "text/csv"}
    )
    assert listed.text.splitlines()[1] == "5,the number has its message in line 4 already,3135550003"


async def test_words_are_made_again_after_a_call_back_and_forgotten_once_they_left(api: Api) -> None:
    made = await of_messages(api)
    path = f"/broadcasts/{made['id']}"
    kept = "SELECT count(*) FROM contact_import_bodies"
    for _ in range(2):
        assert (await api.post(f"{path}/send-now")).status_code == 200
        await forget(api)
        assert await api.value(kept) == 3, "it may be called back"
        assert (await api.post(f"{path}/call-back")).status_code == 200
    await api.post(f"{path}/send-now")
    assert len(await bodies(api, made["id"])) == 6
    await api.query("UPDATE broadcasts SET state = 'waiting', second_due_at = now() WHERE id = %s", made["id"])
    await forget(api)
    assert await api.value(kept) == 0
    assert len(await bodies(api, made["id"])) == 6, "what each got is kept with the message"
    assert (await api.get("/contacts/imports")).json()["items"][0]["has_messages"] is False
    assert await wrong(api, campaign(made["file"])) == [
        ("file", "its messages have gone out, or waited for too long, and are not kept any more: upload it again")
    ]


async def test_words_that_no_broadcast_takes_are_forgotten_after_a_week(api: Api) -> None:
    await uploaded(api, MESSAGES, messages="true")
    waits = await of_messages(api, run_at=(NOW + timedelta(days=30)).isoformat())
    draft = await of_messages(api, draft=True)
    kept = "SELECT DISTINCT import_id FROM contact_import_bodies ORDER BY 1"
    api.clock.forward(days=6)
    await forget(api)
    assert len(await api.column(kept)) == 3
    api.clock.forward(days=2)
    await forget(api)
    assert await api.column(kept) == [waits["file"]], "what is to be sent later waits for its time"
    assert draft["file"] not in await api.column(kept)


async def test_words_go_with_their_person_and_with_the_import(api: Api) -> None:
    made = await of_messages(api)
    await api.client.delete("/contacts", params={"phone_number": "+13135550001"})
    assert await api.value("SELECT count(*) FROM contact_import_bodies") == 2
    checked = (await api.get(f"/broadcasts/{made['id']}/preflight")).json()
    assert (checked["people"], checked["wrong"]) == (2, 0)
    undone = await api.post(f"/contacts/imports/{made['file']}/undo")
    assert undone.status_code == 200, undone.text
    assert await api.value("SELECT count(*) FROM contact_import_bodies") == 0
    refused = await api.post(f"/broadcasts/{made['id']}/send-now")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:broadsheet:problem:empty-draw")


@pytest.mark.parametrize("brace", ["Hi {{ first_name }", "Hi { first_name }}"])
async def test_a_brace_too_few_is_told_with_its_place(api: Api, brace: str) -> None:
    file = await uploaded(api, NUMBERS)
    [(field, reason)] = await wrong(api, campaign(file, first_message=brace))
    assert field == "first_message"
    assert reason.startswith("is wrong at character ")


async def test_a_test_has_the_words_of_whoever_is_in_the_file_else_those_of_the_first(api: Api) -> None:
    made = await of_messages(api)
    to = ["+13135550002", "+13135550177"]
    asked = await api.post(f"/broadcasts/{made['id']}/test", {"to": to})
    assert asked.status_code == 202, asked.text
    firsts = {each["phone_number"]: each["body"] for each in asked.json()["items"] if ":" in each["body"][6:]}
    assert firsts == {to[0]: "Test: Hi Bo: the school closes", to[1]: "Test: Hi Ana: your street floods"}
