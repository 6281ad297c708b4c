"""Segments, contacts, their import and their erasure."""

import asyncio
import unicodedata
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from libs.common import database
from tests.integration.api.support import NOW, Api, incoming


async def load(api: Api, message: str | bytes, *, kind: str = "text/csv") -> Any:
    raw = message.encode() if isinstance(message, str) else message
    answer = await api.client.post("/contacts/import", content=raw, headers={"Content-Type": kind})
    return answer.json() if answer.status_code == 200 else answer


async def everybody(api: Api) -> list[tuple[str, str, list[str]]]:
    rows = await api.query("SELECT phone_number, name, tags FROM contacts ORDER BY phone_number")
    return [(row["phone_number"], row["name"], row["tags"]) for row in rows]


async def test_a_segment_is_created_listed_and_previewed(api: Api) -> None:
    for tags in (["a"], ["a", "b"], ["a", "c"], ["b"]):
        await api.contact(*tags)
    filter_ = {"all": [{"tag": "a"}, {"not": {"tag": "c"}}]}
    created = (await api.post("/segments", {"name": "A without C", "filter": filter_})).json()
    assert (created["name"], created["filter"]) == ("A without C", filter_)
    assert (await api.get("/segments")).json() == {"items": [created], "next_cursor": None}
    preview = (await api.get(f"/segments/{created['id']}/preview")).json()
    assert preview["count"] == 2
    assert sorted(item["phone_number"] for item in preview["sample"]) == ["+13135550001", "+13135550002"]


async def test_a_preview_shows_ten_at_most_and_nobody_who_opted_out(api: Api) -> None:
    """Fault 4: unsubscribed people were excluded only if the segment's author thought of it."""
    numbers = [await api.contact("a") for _ in range(13)]
    await api.patch(f"/contacts/{await api.contact_id(numbers[0])}", {"opted_out": True})
    preview = (await api.get(f"/segments/{await api.segment('a')}/preview")).json()
    assert (preview["count"], len(preview["sample"])) == (12, 10)
    assert numbers[0] not in [item["phone_number"] for item in preview["sample"]]


async def test_a_name_is_given_to_one_segment_only(api: Api) -> None:
    body = {"name": "tenants", "filter": {"all": []}}
    answers = await asyncio.gather(*(api.post("/segments", body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    taken = next(answer for answer in answers if answer.status_code == 409)
    assert taken.json()["type"] == "urn:broadsheet:problem:name-taken"


async def test_a_segment_that_is_not_there_has_no_preview(api: Api) -> None:
    assert (await api.get("/segments/5/preview")).status_code == 404


async def test_a_file_is_imported_with_its_bad_lines_told_by_number(api: Api) -> None:
    """Fault 5: one bad or duplicate number in a file failed the whole insert."""
    file = (
        "\ufeffName,Phone,Tags,Comment\r\n"
        '"Núñez, Ana",(313) 555-0001,tenants; eviction ;tenants,x\r\n'
        "Bob,313-555-0002,,\r\n"
        "Nobody,12,tenants,\r\n"
        "\r\n"
        '"two\r\nlines",+1 313 555 0003,español,\r\n'
        "Ana again,+13135550001,court,\r\n"
        "Tag,313.555.0004,a|b,\r\n"
        "Many,3135550005,a,b,c\r\n"
        "None,,a,\r\n"
        "Short,555-0123,a,\r\n"
    )
    assert await load(api, file) == {
        "import_id": 1,
        "imported": 3,
        "updated": 0,
        "unchanged": 0,
        "rejected": [
            {"line": 4, "reason": "not a phone number"},
            {
                "line": 9,
                "reason": "a tag has characters other than letters, digits and _ . : / & ' + -, or is too long",
            },
            {"line": 10, "reason": "more cells than the first line has columns"},
            {"line": 11, "reason": "no phone number"},
            {"line": 12, "reason": "not a phone number"},
        ],
        "rejected_count": 5,
        "opted_out": 0,
        "full": 0,
        "passed_over": ["Comment"],
        "attributes": {},
        "encoding": "UTF-8",
        "sheet": "",
        "other_sheets": [],
    }
    assert await everybody(api) == [
        ("+13135550001", "Ana again", ["court", "eviction", "tenants"]),
        ("+13135550002", "Bob", []),
        ("+13135550003", "two\r\nlines", ["español"]),
    ]


async def test_a_second_import_adds_what_is_new_and_counts_what_is_not(api: Api) -> None:
    await load(api, "phone_number,name,tags\n3135550001,Ana,a\n3135550002,Bob,b\n3135550003,Cy,c\n")
    again = await load(api, "phone_number,name,tags\n3135550001,,a\n3135550002,Bob,x\n3135550003,Cyn,\n3135550004,,\n")
    assert (again["imported"], again["updated"], again["unchanged"]) == (1, 2, 1)
    assert await everybody(api) == [
        ("+13135550001", "Ana", ["a"]),
        ("+13135550002", "Bob", ["b", "x"]),
        ("+13135550003", "Cyn", ["c"]),
        ("+13135550004", "", []),
    ]


async def test_an_import_does_not_bring_back_somebody_who_said_stop(api: Api) -> None:
    """Fault 4: a personal list from a file skipped the check."""
    await api.missive(incoming("+13135550001", "STOP", NOW))
    await load(api, "phone,tags\n3135550001,a\n")
    assert (await api.get(f"/segments/{await api.segment('a')}/preview")).json()["count"] == 0


async def test_an_import_does_not_bring_back_somebody_who_said_stop_and_was_erased(api: Api) -> None:
    await api.missive(incoming("+13135550001", "STOP", NOW))
    await api.client.delete(f"/contacts/{await api.contact_id('+13135550001')}")
    await load(api, "phone,tags\n3135550001,a\n")
    assert (await api.get(f"/segments/{await api.segment('a')}/preview")).json()["count"] == 0


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "phone_number"),
        (b"name,tags\nAna,a\n", "phone_number"),
        (b"3135550001,Ana\n", "phone_number"),
        (b"phone,name\n3135550001,\xc3\xa9\n3135550002,\xe9\n", "file"),
        (b"Phone,phone\n3135550001,3135550001\n", "file"),
        (b"PK\x03\x04", "file"),
        (b'phone,name\n3135550001,"open\n', "file"),
        (b"phone,name\n3135550001," + b"x" * 200_000 + b"\n", "file"),
        ("phone\n3135550001\n".encode("utf-16")[:-1], "file"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_whole(api: Api, raw: bytes, field: str) -> None:
    before = await api.counts()
    answer = await load(api, raw)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await api.counts() == before


async def test_a_file_of_another_kind_is_refused(api: Api) -> None:
    assert (await load(api, "{}", kind="application/json")).status_code == 415


async def test_a_file_may_come_as_the_part_of_a_form(api: Api) -> None:
    files = {"file": ("contacts.csv", b"phone\n3135550001\n", "text/csv")}
    answer = await api.client.post("/contacts/import", files=files)
    assert answer.json()["imported"] == 1
    assert (await api.client.post("/contacts/import", files={"x": (None, b"y")})).status_code == 422


async def test_two_files_in_one_form_are_refused(api: Api) -> None:
    """One of them was imported, and nobody was told about the other."""
    files = [("file", (f"{name}.csv", f"phone\n313555000{name}\n".encode(), "text/csv")) for name in (1, 2)]
    for form in (files, [files[0], ("other", files[1][1])]):
        answer = await api.client.post("/contacts/import", files=form)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
    assert await api.value("SELECT count(*) FROM contacts") == 0


async def test_the_same_key_and_file_are_one_import_whatever_the_forms_boundary(api: Api) -> None:
    answers = [
        await api.client.post(
            "/contacts/import",
            files={"file": ("contacts.csv", b"phone\n3135550001\n", "text/csv")},
            headers={"Idempotency-Key": "import"},
        )
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["imported"] == 1


async def test_two_imports_of_the_same_people_at_once_end_with_each_once(api: Api) -> None:
    numbers = [f"313555{n:04}" for n in range(500)]
    one, other = (
        "\n".join(["phone,tags", *(f"{number},{tag}" for number in order)])
        for order, tag in ((numbers, "one"), (numbers[::-1], "other"))
    )
    results = await asyncio.gather(load(api, one), load(api, other))
    assert sorted(result["imported"] for result in results) == [0, 500]
    assert await api.value("SELECT count(*) FROM contacts WHERE tags = '{one,other}'") == 500


async def test_a_long_file_is_imported_and_lists_a_bounded_number_of_bad_lines(api: Api) -> None:
    lines = ["phone,tags", *(f"313{n + 2_000_000:07},a" for n in range(12_000)), *("x,a" for _ in range(1500))]
    result = await load(api, "\n".join(lines))
    assert (result["imported"], len(result["rejected"]), result["rejected_count"]) == (12_000, 1000, 1500)


async def test_contacts_are_found_by_number_and_tag_page_by_page(api: Api) -> None:
    numbers = [await api.contact("a", name=f"n{n}") for n in range(3)]
    await api.contact("b")
    found = (await api.get("/contacts", params={"phone_number": "(313) 555-0002"})).json()["items"]
    assert [item["phone_number"] for item in found] == [numbers[1]]
    page = (await api.get("/contacts", params={"tag": "a", "limit": 2})).json()
    rest = (await api.get("/contacts", params={"tag": "a", "limit": 2, "cursor": page["next_cursor"]})).json()
    assert [item["phone_number"] for item in page["items"] + rest["items"]] == numbers
    assert rest["next_cursor"] is None


async def test_staff_change_a_name_and_tags_and_what_is_left_out_stays(api: Api) -> None:
    contact = await api.contact_id(await api.contact("a", name="Ana"))
    assert (await api.patch(f"/contacts/{contact}", {"tags": ["c", "b", "c"]})).json()["tags"] == ["b", "c"]
    changed = (await api.patch(f"/contacts/{contact}", {"name": "Ana Núñez"})).json()
    assert (changed["name"], changed["tags"]) == ("Ana Núñez", ["b", "c"])


async def test_an_opt_out_by_staff_takes_out_what_has_not_left(api: Api) -> None:
    await api.made(2)
    contact = await api.value("SELECT min(id) FROM contacts")
    for _ in range(2):
        assert (await api.patch(f"/contacts/{contact}", {"opted_out": True})).json()["opted_out"] is True
    reasons = await api.query("SELECT contact_id = %s AS theirs, state, skip_reason FROM outgoing_messages"
                              " GROUP BY 1, 2, 3 ORDER BY 1", contact)  # fmt: skip
    assert [tuple(row.values()) for row in reasons] == [(False, "pending", None), (True, "skipped", "opted_out")]
    assert (await api.patch(f"/contacts/{contact}", {"opted_out": False})).json()["opted_out"] is False


async def test_a_contact_that_is_not_there_is_not_found(api: Api) -> None:
    for answer in (
        await api.get("/contacts/5"), await api.patch("/contacts/5", {}), await api.client.delete("/contacts/5")
    ):  # fmt: skip
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:broadsheet:problem:not-found")


async def test_an_erased_contact_leaves_no_trace_but_the_ledger(api: Api) -> None:
    broadcast = await api.made(1)
    await api.query("UPDATE contacts SET name = 'Ana'")
    await api.sent(broadcast)
    api.clock.forward(seconds=5)
    number = await api.value("SELECT recipient_phone_number FROM outgoing_messages LIMIT 1")
    contact = await api.contact_id(number)
    await api.missive(incoming(number, "I live on Elm Street", api.clock.now))

    for _ in range(2):
        assert (await api.client.delete(f"/contacts/{contact}")).status_code == 204

    dump = ""
    for table in ("contacts", "outgoing_messages", "replies", "events", "outbox", "idempotency_keys"):
        dump += str(await api.query(f"SELECT t::text FROM {table} AS t"))
    assert number not in dump
    assert "Elm Street" not in dump
    shown = (await api.get(f"/contacts/{contact}")).json()
    assert (shown["phone_number"], shown["name"], shown["tags"]) == (None, "", [])
    assert shown["erased_at"] is not None
    assert (await api.get(f"/broadcasts/{broadcast}/report")).json()["ledger"]["planned"] == 2
    assert (await api.patch(f"/contacts/{contact}", {"name": "x"})).status_code == 409


async def test_what_has_not_left_for_an_erased_contact_never_will(api: Api) -> None:
    await api.made(2)
    contact = await api.value("SELECT min(id) FROM contacts")
    await api.client.delete(f"/contacts/{contact}")
    rows = await api.query("SELECT DISTINCT state, skip_reason, recipient_phone_number FROM outgoing_messages"
                           " WHERE contact_id = %s", contact)  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [("skipped", "erased", None)]


async def test_a_message_that_may_still_be_settled_keeps_its_number_until_the_contact_is_erased_again(api: Api) -> None:
    await api.made(1)
    await api.query("UPDATE outgoing_messages SET state = 'uncertain', attempts = 1, attempt_started_at = now()"
                    " WHERE NOT is_second")  # fmt: skip
    contact = await api.value("SELECT id FROM contacts")
    await api.client.delete(f"/contacts/{contact}")
    kept = "SELECT count(*) FROM outgoing_messages WHERE recipient_phone_number IS NOT NULL"
    assert await api.value(kept) == 1
    await api.query("UPDATE outgoing_messages SET state = 'accepted' WHERE NOT is_second")
    await api.client.delete(f"/contacts/{contact}")
    assert await api.value(kept) == 0


async def test_somebody_who_is_erased_during_a_draw_is_not_drawn(api: Api) -> None:
    gone, stays = [await api.contact_id(await api.contact("a")) for _ in range(2)]
    broadcast = await api.broadcast(await api.segment("a"))
    async with database.transaction(api.engine) as connection:
        await connection.execute(text("SELECT 1 FROM contacts WHERE id = :p1 FOR UPDATE"), {"p1": gone})
        drawing = asyncio.create_task(api.post(f"/broadcasts/{broadcast}/send-now"))
        await api.until_somebody_waits()
        await connection.execute(
            text("UPDATE contacts SET phone_number = NULL, erased_at = now() WHERE id = :p1"), {"p1": gone}
        )
    assert (await drawing).json()["recipients"] == 1
    assert await api.query("SELECT DISTINCT contact_id FROM outgoing_messages") == [{"contact_id": stays}]


SCRIPTS = ["বাংলা", "हिन्दी", "தமிழ்", "Cafe\u0301"]


@pytest.mark.parametrize("tag", SCRIPTS)
async def test_a_tag_with_combining_marks_loses_nobody(api: Api, tag: str) -> None:
    assert (await load(api, f"phone,tags\n3135550001,{tag}\n"))["imported"] == 1
    segment = await api.segment(tag)
    assert (await api.get(f"/segments/{segment}/preview")).json()["count"] == 1
    found = (await api.get("/contacts", params={"tag": tag})).json()["items"]
    assert [item["tags"] for item in found] == [[unicodedata.normalize("NFC", tag)]]
    changed = await api.patch(f"/contacts/{found[0]['id']}", {"tags": [tag, "b"]})
    assert changed.json()["tags"] == sorted(["b", unicodedata.normalize("NFC", tag)])


async def test_composed_and_decomposed_are_one_tag_one_name_and_one_segment(api: Api) -> None:
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    await load(
        api, f"phone,name,tags\n3135550001,{decomposed},{decomposed}\n3135550002,{composed},{composed};{decomposed}\n"
    )
    assert {(name, *tags) for _, name, tags in await everybody(api)} == {(composed, composed)}
    one, other = [
        await api.post("/segments", {"name": form, "filter": {"any": [decomposed, composed]}})
        for form in (decomposed, composed)
    ]
    assert (one.status_code, one.json()["name"], one.json()["filter"]) == (
        201,
        composed,
        {"any": [{"tag": composed}] * 2},
    )
    assert other.json()["type"].endswith("name-taken")
    assert (await api.get(f"/segments/{one.json()['id']}/preview")).json()["count"] == 2
    contact = await api.contact_id("+13135550001")
    assert (await api.patch(f"/contacts/{contact}", {"name": decomposed})).json()["name"] == composed


async def test_a_tag_that_is_none_is_told_by_its_place(api: Api) -> None:
    filter_ = {"any": ["a", {"not": {"any": ["b", "\u00abx\u00bb"]}}]}
    answer = await api.post("/segments", {"name": "x", "filter": filter_})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "filter/any/1/not/any/1")
    assert (await api.get("/contacts", params={"tag": "\u00abx\u00bb"})).status_code == 422


NUMBER = "+13135550001"


async def forgotten(api: Api, *tables: str) -> bool:
    """Return whether neither the number nor any word of a reply is in some tables."""
    dump = ""
    for table in tables or ("contacts", "outgoing_messages", "replies", "events", "outbox", "idempotency_keys"):
        dump += str(await api.query(f"SELECT t::text FROM {table} AS t"))
    return NUMBER not in dump and "Elm Street" not in dump


@pytest.mark.parametrize("opt_out", [True, False])
async def test_who_wrote_to_us_and_is_no_contact_is_erased_by_number(api: Api, opt_out: bool) -> None:
    await api.missive(incoming(NUMBER, "I live on Elm Street", NOW))
    assert await api.value("SELECT count(*) FROM replies WHERE contact_id IS NULL") == 1
    asked = httpx.QueryParams(phone_number="(313) 555-0001", opt_out=opt_out)
    assert (await api.client.delete("/contacts", params=asked)).status_code == 204
    assert await forgotten(api)
    assert await api.value("SELECT count(*) FROM opt_outs") == int(opt_out)
    assert (await api.client.delete("/contacts", params=asked)).status_code == 404


async def test_a_contact_is_erased_by_number_as_by_id(api: Api) -> None:
    broadcast = await api.made(1)
    await api.sent(broadcast)
    api.clock.forward(seconds=5)
    await api.missive(incoming(NUMBER, "I live on Elm Street", api.clock.now))
    assert (await api.client.delete("/contacts", params={"phone_number": NUMBER})).status_code == 204
    assert await forgotten(api)
    assert await api.value("SELECT count(*) FROM contacts WHERE erased_at IS NOT NULL") == 1
    assert await api.value("SELECT count(*) FROM opt_outs") == 0


async def test_a_number_that_nobody_has_is_not_put_on_record_by_its_erasure(api: Api) -> None:
    before = await api.counts()
    answer = await api.client.delete("/contacts", params={"phone_number": NUMBER, "opt_out": True})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:broadsheet:problem:not-found")
    assert await api.counts() == before
    assert (await api.client.delete("/contacts", params={"phone_number": "12"})).status_code == 422
    assert (await api.client.delete("/contacts")).status_code == 422


async def test_a_change_that_waited_for_an_erasure_brings_nothing_back(api: Api) -> None:
    contact = await api.contact_id(await api.contact("a", name="Ana"))
    async with database.transaction(api.engine) as connection:
        await connection.execute(text("SELECT 1 FROM contacts WHERE id = :p1 FOR UPDATE"), {"p1": contact})
        changing = asyncio.create_task(api.patch(f"/contacts/{contact}", {"name": "Ana Núñez", "tags": ["b"]}))
        await api.until_somebody_waits()
        await connection.execute(
            text("UPDATE contacts SET phone_number = NULL, name = '', tags = '{}', erased_at = now() WHERE id = :p1"),
            {"p1": contact},
        )
    assert (await changing).status_code == 409
    assert await api.query("SELECT name, tags FROM contacts") == [{"name": "", "tags": []}]
